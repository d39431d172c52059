"""Models: one file each, statement, limit and finite-size draw side by side."""

from limitlaw.models.fixed_tasks import FixedTasks
from limitlaw.models.frozen_features import FrozenFeatures
from limitlaw.models.giant_step import GiantStep
from limitlaw.models.linear_attention import LinearAttention
from limitlaw.models.random_features import RandomFeatures
from limitlaw.models.spiked_random_features import SpikedRandomFeatures

__all__ = [
    "FixedTasks",
    "FrozenFeatures",
    "GiantStep",
    "LinearAttention",
    "RandomFeatures",
    "SpikedRandomFeatures",
]
