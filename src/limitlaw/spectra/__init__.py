"""Limiting spectral laws and the spectra of drawn matrices; no learning problem is known here."""
