"""Training by gradients: many updates on the host's clock, watched, kept and resumed."""
