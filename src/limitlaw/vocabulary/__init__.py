"""Nouns of a statement: activations and targets."""
