"""Records, outcomes, errors, references, keys and precision: what every room stands on."""
