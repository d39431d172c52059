"""Which arrays are weight matrices, and which way round they lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limitlaw.core.errors import InvalidInput
from limitlaw.weights.matrices import weight_matrices


def drawn(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape)


def test_what_is_no_matrix_is_named():
    found = weight_matrices({
        "block": {"kernel": drawn(40, 50), "bias": drawn(40), "deep": {"step": np.arange(9).reshape(3, 3)}},
        "scale": np.float64(2.0), "mask": np.ones((40, 40), bool), "fourier": np.ones((40, 40), complex),
        "names": np.array(["a"]), "ragged": [[1.0], [1.0, 2.0]], "none": None, "six": np.ones((2,) * 6),
    })  # fmt: skip
    assert [matrix.name for matrix in found.matrices] == ["block.kernel"]
    assert found.others == {
        "block.bias": "a vector", "block.deep.step": "integers", "scale": "a number", "mask": "booleans",
        "fourier": "complex numbers", "names": "no numbers", "ragged": "no numbers", "none": "no numbers",
        "six": "6 axes",
    }  # fmt: skip


@pytest.mark.parametrize("transposed", [False, True])
def test_the_order_of_axes_is_read_off_the_chain(transposed):
    layers = {"first": drawn(60, 40), "second": drawn(50, 60), "third": drawn(70, 50)}
    given_ = {name: array.T if transposed else array for name, array in layers.items()}
    found = weight_matrices(given_)
    assert found.layout == ("in-out" if transposed else "out-in")
    for matrix in found.matrices:
        np.testing.assert_array_equal(matrix.values, layers[matrix.name])
        assert matrix.reading == ("transposed" if transposed else "as stored")
    assert weight_matrices(given_, "in-out").layout == "in-out"
    assert weight_matrices({"square": drawn(40, 40)}).layout == "out-in"


@pytest.mark.parametrize(
    ("shape", "layout", "reading"),
    [
        ((64, 32, 3, 3), "out-in", "kernel (64, 32, 3, 3) as 64 x 288"),
        ((64, 3, 7, 7), "out-in", "kernel (64, 3, 7, 7) as 64 x 147"),
        ((7, 7, 3, 64), "in-out", "kernel (7, 7, 3, 64) as 64 x 147"),
        ((3, 3, 64, 64), "in-out", "kernel (3, 3, 64, 64) as 64 x 576"),
        ((64, 32, 5), "out-in", "kernel (64, 32, 5) as 64 x 160"),
        ((5, 32, 64), "in-out", "kernel (5, 32, 64) as 64 x 160"),
        ((32, 16, 3, 3, 3), "out-in", "kernel (32, 16, 3, 3, 3) as 32 x 432"),
    ],
)
def test_kernels_act_on_patches(shape, layout, reading):
    array = drawn(*shape)
    found = weight_matrices({"conv": array})
    assert (found.layout, found.matrices[0].reading) == (layout, reading)
    one = array[5] if layout == "out-in" else array[..., 5]
    np.testing.assert_array_equal(np.sort(found.matrices[0].values[5]), np.sort(one.ravel()))


def test_small_and_constant_matrices_are_refused_in_words():
    found = weight_matrices({"head": drawn(10, 400), "ones": np.ones((50, 60)), "empty": np.ones((0, 60))})
    refusals = [matrix.refusal for matrix in found.matrices]
    assert refusals[0] == "too small: 10 x 400, and a bulk needs 30 eigenvalues"
    assert refusals[1] == "constant: all entries are 1"
    assert "too small" in refusals[2]


@given(st.integers(0, 2399), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_is_refused(place, value):
    array = drawn(60, 40)
    array.flat[place] = value
    with pytest.raises(InvalidInput, match=r"must be finite, got 1 values that are not, in layer\.w"):
        weight_matrices({"layer": {"w": array}})


@pytest.mark.parametrize(
    ("weights", "layout", "sentence"),
    [
        ({}, None, "an array of two axes or more, got nothing"),
        ({"b": np.ones(3)}, None, r"two axes or more, got b \(a vector\)"),
        ({"w": drawn(40, 40)}, "columns", '"out-in" or "in-out", got \'columns\''),
    ],
)
def test_no_model(weights, layout, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        weight_matrices(weights, layout)
