"""Models: one file each, statement, limit and finite-size draw side by side."""

from limitlaw.models.context_ridge import ContextRidge
from limitlaw.models.discrete_mmse import DiscreteMMSE
from limitlaw.models.fixed_tasks import FixedTasks
from limitlaw.models.frozen_features import FrozenFeatures
from limitlaw.models.gaussian_mixture import GaussianMixture
from limitlaw.models.giant_step import GiantStep
from limitlaw.models.inner_product_kernel import InnerProductKernel
from limitlaw.models.kernel_ridge import KernelRidge
from limitlaw.models.linear_attention import LinearAttention
from limitlaw.models.noise_injection import NoiseInjection
from limitlaw.models.polynomial_features import PolynomialFeatures
from limitlaw.models.random_features import RandomFeatures
from limitlaw.models.spiked_random_features import SpikedRandomFeatures
from limitlaw.models.trained_attention import TrainedAttention

__all__ = [
    "ContextRidge",
    "DiscreteMMSE",
    "FixedTasks",
    "FrozenFeatures",
    "GaussianMixture",
    "GiantStep",
    "InnerProductKernel",
    "KernelRidge",
    "LinearAttention",
    "NoiseInjection",
    "PolynomialFeatures",
    "RandomFeatures",
    "SpikedRandomFeatures",
    "TrainedAttention",
]
