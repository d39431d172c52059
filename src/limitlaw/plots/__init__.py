"""Pictures: results in, axes out, no computing."""

from limitlaw.plots.curves import learning_curve
from limitlaw.plots.spectra import spectrum

__all__ = ["learning_curve", "spectrum"]
