"""Message passing with matrix iterates: the algorithm on given data, and its state evolution."""

from limitlaw.message_passing.amp import amp
from limitlaw.message_passing.record import MessagePassing
from limitlaw.message_passing.trajectories import (
    Trajectory,
    state_evolution,
    stationary_changes,
    stationary_start,
)

__all__ = [
    "MessagePassing",
    "Trajectory",
    "amp",
    "state_evolution",
    "stationary_changes",
    "stationary_start",
]
