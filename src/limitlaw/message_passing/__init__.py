"""Message passing: with matrix iterates on classes, and site by site on latent Gaussian models.

Each comes as the algorithm on given data and as what its limit says of it.
"""

from limitlaw.message_passing.amp import amp
from limitlaw.message_passing.matrix_amp import MatrixPassing, matrix_amp
from limitlaw.message_passing.matrix_state_evolution import MatrixTrajectory, matrix_state_evolution
from limitlaw.message_passing.record import MessagePassing
from limitlaw.message_passing.sequential import sequential
from limitlaw.message_passing.sequential_data import covariance_of_factors
from limitlaw.message_passing.sequential_experiment import sequential_experiment
from limitlaw.message_passing.sequential_limits import (
    ContinuousTrajectory,
    continuous_limit,
    sequential_limit,
    sequential_limit_with_memory,
)
from limitlaw.message_passing.sequential_record import SequentialPassing
from limitlaw.message_passing.stability_line import StabilityLine, stability_line
from limitlaw.message_passing.trajectories import (
    Trajectory,
    state_evolution,
    stationary_changes,
    stationary_start,
)
from limitlaw.simulation.rotations import haar_rotation, structured_rotation
from limitlaw.theory.sequential_dynamics import SequentialTrajectory
from limitlaw.theory.sequential_memory import MemoryTrajectory

__all__ = [
    "ContinuousTrajectory",
    "MatrixPassing",
    "MatrixTrajectory",
    "MemoryTrajectory",
    "MessagePassing",
    "SequentialPassing",
    "SequentialTrajectory",
    "StabilityLine",
    "Trajectory",
    "amp",
    "continuous_limit",
    "covariance_of_factors",
    "haar_rotation",
    "matrix_amp",
    "matrix_state_evolution",
    "sequential",
    "sequential_experiment",
    "sequential_limit",
    "sequential_limit_with_memory",
    "stability_line",
    "state_evolution",
    "stationary_changes",
    "stationary_start",
    "structured_rotation",
]
