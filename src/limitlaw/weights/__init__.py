"""Weight matrices of trained networks, from arrays or files: spectra, outliers and tails. No JAX here."""
