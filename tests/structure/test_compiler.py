"""The compiler gives the numbers that were written: a release of jaxlib did not, and said nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from limitlaw.core.precision import double_precision


@pytest.mark.parametrize(("rows", "inner", "columns", "nodes"), [(16, 200, 200, 161), (64, 40, 300, 61)])
def test_products_that_are_broadcast_and_summed(rows, inner, columns, nodes):
    """A matrix product, a function of it at every node, a sum over nodes: one fused kernel (jaxlib 0.10.2)."""
    random = np.random.default_rng(0)
    left, right, grid = (
        random.normal(size=(rows, inner)),
        random.normal(size=(columns, inner)),
        np.linspace(-4, 4, nodes),
    )

    def averaged(left, right, grid):
        return jnp.sum(jnp.tanh((left @ right.T)[..., None] + grid), -1)

    with double_precision():
        compiled = np.asarray(jax.jit(averaged)(left, right, grid))
    expected = np.sum(np.tanh((left @ right.T)[..., None] + grid), -1)
    np.testing.assert_allclose(compiled, expected, atol=1e-9)


def test_a_row_by_row_product_that_is_squared_and_summed():
    """The case of the report against jaxlib 0.10.2."""
    rows = np.stack([np.arange(16_385.0), np.zeros(16_385), np.zeros(16_385)], axis=1)
    with double_precision():
        sums = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))(rows)
    np.testing.assert_array_equal(sums, rows[:, 0] ** 2)
