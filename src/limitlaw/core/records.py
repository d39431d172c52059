"""What the verbs return."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from limitlaw.core.errors import UnknownName
from limitlaw.core.reference import Standing
from limitlaw.core.status import Status


class Convergence(eqx.Module):
    """How a fixed point was reached.

    Attributes:
        status: a `Status` code; `Status(int(status)).sentence` says it in words.
        residual: largest relative change under one more sweep of the equations.
        steps: sweeps and Newton steps taken.
    """

    status: Int[Array, ""]
    residual: Float[Array, ""]
    steps: Int[Array, ""]

    @classmethod
    def closed(cls) -> "Convergence":
        """Of a result in closed form: nothing was iterated."""
        return cls(jnp.asarray(int(Status.CONVERGED)), jnp.zeros(()), jnp.asarray(0))

    @property
    def sentence(self) -> str:
        """The status in words."""
        return Status(int(self.status)).sentence


class Solution(eqx.Module):
    """The limit of a model: observables and order parameters by name.

    `solution["test_error"]` is an observable, `solution.order_parameters["mean"]` an array whose
    axes the model's docstring names.
    """

    observables: dict[str, Any]
    order_parameters: dict[str, Any]
    convergence: Convergence
    standing: Standing = eqx.field(static=True)

    def __getitem__(self, name: str) -> Any:
        return _pick(self.observables, name)


class Measurements(eqx.Module):
    """The same names measured at finite size; every array has a leading replica axis."""

    observables: dict[str, np.ndarray]
    order_parameters: dict[str, np.ndarray]
    dim: int = eqx.field(static=True)
    seed: int = eqx.field(static=True)
    replicas: int = eqx.field(static=True)

    def __getitem__(self, name: str) -> np.ndarray:
        return _pick({**self.order_parameters, **self.observables}, name)

    def mean(self, name: str) -> np.ndarray:
        """Average over replicas."""
        return np.mean(self[name], axis=0)

    def standard_error(self, name: str) -> np.ndarray:
        """Standard error of the average over replicas; NaN for a single one, or an infinite value."""
        values = self[name]
        if len(values) < 2:
            return np.full(values.shape[1:], np.nan)
        with np.errstate(invalid="ignore"):  # diverged replicas have infinite errors, which spread by NaN
            return np.std(values, axis=0, ddof=1) / np.sqrt(len(values))


def _pick(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise UnknownName("observable", name, values)
    return values[name]
