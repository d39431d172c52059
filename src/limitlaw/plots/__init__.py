"""Pictures: results in, axes out, no computing."""

from limitlaw.plots.curves import learning_curve

__all__ = ["learning_curve"]
