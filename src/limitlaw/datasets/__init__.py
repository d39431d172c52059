"""A user's data: files, labels and checks, without JAX."""
