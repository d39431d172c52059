"""Finite-size experiments: draws, gradient step, ridge readout, overlaps."""
