"""Numerical methods that have never heard of learning."""
