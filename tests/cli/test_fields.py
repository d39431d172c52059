"""Text of fields: what is read, and what is refused in one sentence."""

import numpy as np
import pytest

import limitlaw as ll
from limitlaw.cli.fields import build_model, parse_axes

A = ll.activations


def test_parameters_and_vectors():
    model = build_model(
        "spiked-random-features", ["activation=(tanh,erf(1))", "strength=(1,-0.6)", "target=hermite2+0.1"]
    )
    assert [one.label for one in model.activation] == ["tanh", "erf(z)"]
    np.testing.assert_array_equal(model.strength, [1.0, -0.6])
    assert model.target.fn.degree == 2
    assert build_model("spiked-random-features", ["fraction=none"]).fraction is None


def test_kernels_and_functions_by_degree():
    matrix = build_model("inner-product-kernel", ["function=(0,0,0.8)", "law=limit", "degree=2", "dim=50"])
    np.testing.assert_array_equal(matrix.function.coefficients, [0.0, 0.0, 0.8])
    assert (matrix.degree, matrix.dim) == (2, 50)
    assert build_model("inner-product-kernel", ["function=hermite2"]).function.degree == 2
    np.testing.assert_array_equal(build_model("kernel-ridge", ["kernel=(0,1)"]).kernel.parts, [0.0, 1.0])


def test_mixtures_and_switches():
    mixture = build_model(
        "gaussian-mixture", ["intercept=true", "loss=cross-entropy", "mean_gram=((1,0),(0,1))"]
    )
    assert mixture.intercept
    assert mixture.loss.label == "cross-entropy"
    np.testing.assert_array_equal(mixture.mean_gram, np.eye(2))
    assert build_model("gaussian-mixture", ["loss=square", "class_fractions=none"]).loss.label == "square"
    with pytest.raises(ll.errors.InvalidInput, match="intercept must be True or False, got 'maybe'"):
        build_model("gaussian-mixture", ["intercept=maybe"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["activation=erf(x)"], "activation.erf must be a number, as in erf.*, got 'x'"),
        (["activation=hermite(x)"], "activation.hermite must be an integer"),
        (["activation=tanh(2)"], "activation.tanh must be without a parameter, got '2'"),
        (["activation=(tanh"], "open brackets"),
        (["strength=((1,2),(3))"], r"SpikedRandomFeatures.strength must be a number, got \[\[1.0, 2.0\], \[3.0\]\]"),
        (["strength=(1,23"], "strength must be a number or a vector"),
        (["strength=1j"], "strength must be a number or a vector"),
        (["alignment=none"], "alignment must be a number or a vector"),
        (["penalty=1", "penalty=2"], "--set.penalty must be given once, got '1' and '2'"),
        (["samples-per-dim=1", "samples_per_dim=2"], "--set.samples_per_dim must be given once"),
    ],
)  # fmt: skip
def test_mistakes(settings, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        build_model("spiked-random-features", settings)


def test_an_axis_is_given_once():
    with pytest.raises(ll.errors.InvalidInput, match=r"--over\.penalty must be given once"):
        parse_axes(["penalty=1,2", "penalty=3"])
