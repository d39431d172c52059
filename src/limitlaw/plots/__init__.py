"""Pictures: results in, axes out, no computing."""

from limitlaw.plots.curves import learning_curve
from limitlaw.plots.predictions import prediction
from limitlaw.plots.spectra import spectrum
from limitlaw.plots.weights import weight_spectra

__all__ = ["learning_curve", "prediction", "spectrum", "weight_spectra"]
