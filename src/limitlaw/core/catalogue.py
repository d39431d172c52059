"""Names of the command line and where their objects live; plain text, so that it costs nothing to read."""

import importlib
from typing import Any

from limitlaw.core.errors import UnknownName

MODELS = {
    "giant-step": "limitlaw.models:GiantStep",
    "spiked-random-features": "limitlaw.models:SpikedRandomFeatures",
    "random-features": "limitlaw.models:RandomFeatures",
    "frozen-features": "limitlaw.models:FrozenFeatures",
    "noise-injection": "limitlaw.models:NoiseInjection",
    "linear-attention": "limitlaw.models:LinearAttention",
    "fixed-tasks": "limitlaw.models:FixedTasks",
    "trained-attention": "limitlaw.models:TrainedAttention",
    "polynomial-features": "limitlaw.models:PolynomialFeatures",
    "kernel-ridge": "limitlaw.models:KernelRidge",
    "inner-product-kernel": "limitlaw.models:InnerProductKernel",
    "conjugate-kernel": "limitlaw.models:ConjugateKernel",
    "neural-tangent-kernel": "limitlaw.models:NeuralTangentKernel",
    "stepped-weights": "limitlaw.models:SteppedWeights",
    "wide-network": "limitlaw.models:WideNetwork",
    "gaussian-mixture": "limitlaw.models:GaussianMixture",
    "latent-gaussian": "limitlaw.models:LatentGaussian",
    "context-ridge": "limitlaw.models:ContextRidge",
    "discrete-mmse": "limitlaw.models:DiscreteMMSE",
    "from-data": "limitlaw.models:FromData",
}

ACTIVATIONS = {
    "tanh": "Tanh",
    "erf": "Erf",
    "sin": "Sin",
    "cos": "Cos",
    "relu": "ReLU",
    "sign": "Sign",
    "linear": "Linear",
    "softplus": "Softplus",
    "hermite": "Hermite",
}

LOSSES = {
    "square": "Square",
    "huber": "Huber",
    "logistic": "Logistic",
    "hinge": "Hinge",
    "cross-entropy": "CrossEntropy",
}

PENALTIES = {"ridge": "Ridge", "lasso": "Lasso", "elastic-net": "ElasticNet"}

NETWORKS = {"linear": "Linear", "softmax": "Softmax"}

OPTIMISERS = {"gradient-descent": "GradientDescent", "adam": "Adam"}

READOUTS = {"normal": "Normal", "uniform": "Uniform"}

LIKELIHOODS = {"probit": "Probit", "sign": "Sign", "gaussian": "Gaussian", "ising": "Ising"}

ENSEMBLES = {
    "marchenko-pastur": "MarchenkoPastur",
    "wishart-product": "WishartProduct",
    "two-point": "TwoPoint",
    "sherrington-kirkpatrick": "SherringtonKirkpatrick",
    "random-orthogonal": "RandomOrthogonal",
}

FIGURES = {
    "one-step-learned-function": "the function learned along the teacher, for growing step samples",
    "one-step-samples": "test error against samples for several batches of the step, two targets",
    "one-step-strengths": "test error against samples for several spike strengths",
    "one-step-alignments": "test error against samples for several alignments of spike and teacher",
    "one-step-widths": "test error against width",
    "one-step-bounds": "functions that realise the bounds of the error, and test error against penalty",
    "one-step-mean-functions": "mean feature along the spike for several strengths, and the bounds it gives",
    "one-step-vocabularies": "test error against samples for several vocabularies of the first readout",
    "one-step-letters": "a continuous law of the first readout: test error against its letters",
    "one-step-losses": "0/1 error against samples for logistic and hinge loss",
    "one-step-histogram": "eigenvalues of the features after one step, and their law",
    "one-step-spectra": "the spectrum before and after the step",
    "one-step-tails": "the spectrum's tail for several vocabularies",
    "one-step-first-batch": "test error against the first batch: isotropic mapping, exact theory, networks",
    "attention-sequences": "linear attention: errors against pretraining sequences, double descent",
    "attention-contexts": "linear attention: errors against context length, for several numbers of tasks",
    "attention-best-contexts": "linear attention: where longer contexts stop helping",
    "attention-task-diversity": "from memorised tasks to the rule: linear attention, discrete posterior",
    "transformer-sequences": "trained attention: errors against pretraining sequences, and where they peak",
    "transformer-task-diversity": "a trained transformer: from memorised tasks to the rule",
    "polynomial-phases": "random features: test error in the plane of log p/log d and log n/log d",
    "polynomial-descent": "random features: test error against log p/log d and log n/log d",
    "polynomial-windows": "random features: a degree being learned, by samples, by features, by both",
    "kernel-descent": "kernel ridge regression: a peak at each degree's dimensions, and the best penalty",
    "kernel-spectra": "kernel matrices: drawn spectra, the law of all degrees, and the limit",
    "kernel-universality": "kernel matrices: four laws of the entries and three functions",
    "noise-copies": "noise injection: test and training error against width for several numbers of copies",
    "noise-strength": "noise injection: test error against the injected variance, and the best ridge",
    "noise-many-copies": "noise injection: from one copy to the weighted ridge, on the same data",
    "noise-coefficients": "noise injection: the weighted ridge of infinitely many copies, by activation",
    "noise-labels": "noise injection: 0/1 errors of logistic regression on noisy copies",
    "trained-spectra": "spectra of weights and kernels before, during and after training, three regimes",
    "trained-invariance": "distances of spectra from where they started, against the number of samples",
    "trained-rates": "outlier of the weights and its alignment against the learning rate",
    "trained-digits": "spectra of networks trained on images, and their errors along training",
    "trained-tails": "Hill's exponent of the weights' spectrum along training, and its null",
    "network-kernels": "spectra of both kernels of a random network, one to three hidden layers",
    "step-outlier": "the outlier of one gradient step: singular value and overlaps against the step",
    "mixture-errors": "three Gaussian classes: test and training error, cross-entropy and square loss",
    "mixture-separability": "three classes: training errors at small penalties, separable draws, real digits",
    "amp-trajectories": "message passing: order parameters at each step, on state evolution",
    "amp-convergence": "message passing: how fast it settles, and both sides of its stability",
    "sequential-lines": "latent Gaussian models: the lines beyond which message passing fails",
    "sequential-trajectories": "sequential message passing: errors against sweeps, on the limit",
    "sequential-stability": "sequential message passing: both sides of the stability line, and perturbations",
    "data-learning-curve": "real data: predicted errors, the published recipe, and training on subsets",
    "data-extrapolation": "real data: from few points to many, as far as they determine the curve",
    "data-points": "which images will be wrong: predicted chances, frequencies, the hardest images",
    "data-exponents": "real data: degrees of freedom and level against the effective penalty",
    "one-step-sample-split": "a fixed budget of samples split between step and readout, and the best split",
}


def find(kind: str, name: str, table: dict[str, str]) -> str:
    """Entry of a table.

    Raises:
        UnknownName: with the closest names.
    """
    if name not in table:
        raise UnknownName(kind, name, table)
    return table[name]


def model_class(name: str) -> Any:
    """The model behind a command-line name; this imports it."""
    module, _, attribute = find("model", name, MODELS).partition(":")
    return getattr(importlib.import_module(module), attribute)
