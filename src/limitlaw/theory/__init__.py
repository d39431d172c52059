"""Asymptotic engines: conditionally Gaussian features, bulks, ridge regression."""
