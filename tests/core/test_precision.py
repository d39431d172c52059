"""Fields become float64 arrays, or stay as they are for the statement to refuse."""

import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import number


@pytest.mark.parametrize(
    "value", [2, 2.5, [1, 2], np.arange(3), jnp.ones(2, jnp.bfloat16), np.float32(0.5), []]
)
def test_real_numbers_become_float64(value):
    assert number(value).dtype == np.float64
    np.testing.assert_array_equal(number(value), np.asarray(value, dtype=np.float64))


@pytest.mark.parametrize(
    "value",
    [
        "big",
        True,
        np.array([True, False]),
        1j,
        ["a", "b"],
        ["1", "2"],
        np.array([1.0, 1j]),
        np.complex128(1j),
        [[1.0, 2.0], [3.0]],
        [None, 1.0],
    ],
)
def test_what_is_not_real_is_refused_and_never_cut(value):
    for field in ("strength", "samples_per_dim"):
        fields = {"samples_per_dim": 1.0, "strength": 1.0} | {field: value}
        with pytest.raises(
            ll.errors.InvalidInput, match=f"SpikedRandomFeatures.{field} must be a number, got"
        ):
            ll.models.SpikedRandomFeatures(
                ll.activations.Tanh(),
                ll.activations.Sin(),
                width_per_dim=1.0,
                penalty=0.1,
                alignment=0.5,
                **fields,
            )
