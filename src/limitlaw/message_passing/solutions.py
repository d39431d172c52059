"""A mixture and a solution that a user hands over: order parameters, or one sentence on what is wrong."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from limitlaw.core.errors import InvalidInput
from limitlaw.core.records import Solution
from limitlaw.theory.state_evolution import ClassState, StateEvolution

_NEAR = 1e-2
"""Change of the order parameters under one step, relative, that quadratures of any refinement stay below."""


def require_mixture(owner: str, model: Any) -> None:
    """Refuse what has no state evolution."""
    if isinstance(model, type) or not hasattr(model, "state_evolution"):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise InvalidInput(owner, "model", "a GaussianMixture", got)


def solved_state(owner: str, model: Any, solution: Any) -> ClassState:
    """Order parameters in active coordinates, within float64.

    Raises:
        InvalidInput: it is no solution, or that of another model.
    """
    require_mixture(owner, model)
    allowed = "a solution of this model, as ll.solve returns it"
    if not isinstance(solution, Solution):
        raise InvalidInput(owner, "solution", allowed, type(solution).__name__)
    for name, shape in _shapes(model).items():
        part = solution.order_parameters.get(name)
        if part is None:
            raise InvalidInput(owner, "solution", allowed, f"one without {name}")
        if np.shape(part) != shape:
            raise InvalidInput(owner, "solution", allowed, f"one with {name} of shape {np.shape(part)}")
        if not np.all(np.isfinite(part)):
            raise InvalidInput(owner, "solution", allowed, f"one whose {name} is not finite")
    state = jax.tree.map(jnp.asarray, model.state(solution))
    change = float(_change(model.state_evolution(0), state))
    if not change <= _NEAR:
        raise InvalidInput(owner, "solution", allowed, f"one that a step of it changes by {change:.1%}")
    return state


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    square = (model.classes, model.classes)
    shapes = {"mean_logits": square, "norm": square, "response": square}
    return shapes | ({"intercept": (model.classes,)} if model.intercept else {})


@eqx.filter_jit
def _change(evolution: StateEvolution, state: ClassState) -> Float[Array, ""]:
    packed = evolution.packed(state)
    return jnp.max(jnp.abs(evolution.step(packed) - packed) / evolution.scale(packed))
