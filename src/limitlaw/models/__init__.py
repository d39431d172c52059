"""Models: one file each, statement, limit and finite-size draw side by side."""

from limitlaw.models.conjugate_kernel import ConjugateKernel
from limitlaw.models.context_ridge import ContextRidge
from limitlaw.models.discrete_mmse import DiscreteMMSE
from limitlaw.models.fixed_tasks import FixedTasks
from limitlaw.models.from_data import FromData
from limitlaw.models.frozen_features import FrozenFeatures
from limitlaw.models.gaussian_mixture import GaussianMixture
from limitlaw.models.giant_step import GiantStep
from limitlaw.models.inner_product_kernel import InnerProductKernel
from limitlaw.models.kernel_ridge import KernelRidge
from limitlaw.models.latent_gaussian import LatentGaussian
from limitlaw.models.linear_attention import LinearAttention
from limitlaw.models.neural_tangent_kernel import NeuralTangentKernel
from limitlaw.models.noise_injection import NoiseInjection
from limitlaw.models.polynomial_features import PolynomialFeatures
from limitlaw.models.random_features import RandomFeatures
from limitlaw.models.spiked_random_features import SpikedRandomFeatures
from limitlaw.models.stepped_weights import SteppedWeights
from limitlaw.models.trained_attention import TrainedAttention
from limitlaw.models.wide_network import WideNetwork

__all__ = [
    "ConjugateKernel",
    "ContextRidge",
    "DiscreteMMSE",
    "FixedTasks",
    "FromData",
    "FrozenFeatures",
    "GaussianMixture",
    "GiantStep",
    "InnerProductKernel",
    "KernelRidge",
    "LatentGaussian",
    "LinearAttention",
    "NeuralTangentKernel",
    "NoiseInjection",
    "PolynomialFeatures",
    "RandomFeatures",
    "SpikedRandomFeatures",
    "SteppedWeights",
    "TrainedAttention",
    "WideNetwork",
]
