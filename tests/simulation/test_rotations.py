"""Fast rotations: they are orthogonal, what they are made of is known elsewhere, and bad sizes are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dct
from scipy.linalg import hadamard

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.simulation.rotations import haar_rotation, structured_rotation, walsh_hadamard


@pytest.mark.parametrize("sites", [1, 2, 32, 64, 2048])
def test_hadamard_against_scipy(sites):
    columns = np.random.default_rng(0).standard_normal((sites, 3))
    with double_precision():
        found = walsh_hadamard(jnp.asarray(columns))
        alone = walsh_hadamard(jnp.asarray(columns[:, 0]))
    expected = hadamard(sites) @ columns / np.sqrt(sites)
    assert found == pytest.approx(expected, abs=1e-12)
    assert alone == pytest.approx(expected[:, 0], abs=1e-12)


@pytest.mark.parametrize(
    ("sites", "rounds", "seed"),
    [
        (64, 2, 1),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 2, 2), (12, 1, 3), (12, 2, 0))),
    ],
)
def test_rotations_are_orthogonal(sites, rounds, seed):
    with double_precision():
        rotation = structured_rotation(jax.random.key(seed), sites, rounds)
        matrix = np.asarray(rotation.apply(jnp.eye(sites)))
        back = np.asarray(rotation.apply_transpose(jnp.eye(sites)))
        vector = np.random.default_rng(seed).standard_normal(sites)
        turned = np.asarray(rotation.apply(jnp.asarray(vector)))
    assert matrix.T @ matrix == pytest.approx(np.eye(sites), abs=1e-12)
    assert back == pytest.approx(matrix.T, abs=1e-13)
    assert turned == pytest.approx(matrix @ vector, abs=1e-12)


def test_one_round_of_cosines_written_out():
    with double_precision():
        rotation = structured_rotation(jax.random.key(3), 6, 1, "cosine")
        matrix = np.asarray(rotation.apply(jnp.eye(6)))
    before, after = np.asarray(rotation.signs)
    moved = np.eye(6)[np.asarray(rotation.orders[0])]
    transform = dct(np.eye(6), axis=0, norm="ortho")
    assert matrix == pytest.approx(np.diag(after) @ transform @ np.diag(before) @ moved, abs=1e-13)


def test_a_dense_rotation_takes_one_vector_or_many():
    with double_precision():
        rotation = haar_rotation(jax.random.key(0), 20)
        columns = jnp.asarray(np.random.default_rng(0).standard_normal((20, 4)))
        many, one = rotation.apply_transpose(columns), rotation.apply_transpose(columns[:, 1])
    expected = np.asarray(rotation.matrix).T @ np.asarray(columns)
    assert np.asarray(many) == pytest.approx(expected, abs=1e-13)
    assert np.asarray(many)[:, 1] == pytest.approx(np.asarray(one), abs=1e-13)


def test_counts_are_counts_and_numbers_are_doubles():
    for sites, rounds in ((0, 2), (2.5, 2), (8, 0)):
        with pytest.raises(ll.errors.InvalidInput, match="must be a positive integer"):
            structured_rotation(jax.random.key(0), sites, rounds)
    assert haar_rotation(jax.random.key(0), 4).matrix.dtype == np.float64


@pytest.mark.parametrize(("sites", "transform"), [(12, "hadamard"), (16, "fourier")])
def test_refusals(sites, transform):
    with pytest.raises(
        ll.errors.InvalidInput, match=r"structured_rotation.transform must be one of hadamard, cosine"
    ):
        structured_rotation(jax.random.key(0), sites, transform=transform)
