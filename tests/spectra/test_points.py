"""Points handed to laws and functions: what is no point is one sentence."""

import warnings

import jax
import numpy as np
import pytest

import limitlaw as ll

A = ll.activations
TARGET = ll.targets.SingleIndex(A.Sin())
LAW = ll.spectrum(ll.models.RandomFeatures(A.Tanh(), TARGET, 1.5, 1.0, 0.1))
KERNELS = {
    samples: ll.spectrum(
        ll.models.RandomFeatures(A.Tanh(), TARGET, samples, 1.0, 0.1), normalisation="kernel"
    )
    for samples in (1.5, 0.5)
}
MODEL = ll.models.SpikedRandomFeatures(A.Tanh(), TARGET, 1.5, 0.8, 0.1, strength=1.0, alignment=0.7)
TWO = ll.models.SpikedRandomFeatures(
    A.Tanh(), TARGET, 1.5, 0.8, 0.1, strength=[[1.0, 0.5]], alignment=[0.5, 0.5]
)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: LAW.density(np.nan), r"Spectrum\.density\.x must be finite, got nan"),
        (lambda: LAW.density(np.inf), r"Spectrum\.density\.x must be finite, got inf"),
        (lambda: LAW.density(0.2 + 1j), r"Spectrum\.density\.x must be real numbers, got \(0.2\+1j\)"),
        (lambda: LAW.density("x"), r"Spectrum\.density\.x must be real numbers, got 'x'"),
        (lambda: LAW.density(None), r"Spectrum\.density\.x must be real numbers, got None"),
        (lambda: LAW.density([[1.0], [1.0, 2.0]]), "real numbers in one array"),
        (lambda: LAW.status("x"), r"Spectrum\.status\.x must be numbers"),
        (lambda: LAW.cdf(np.nan), r"Spectrum\.cdf\.x must be without nan"),
        (lambda: LAW.quantile(2), r"Spectrum\.quantile\.q must be from 0 to 1, got 2"),
        (lambda: LAW.stieltjes("x"), r"Spectrum\.stieltjes\.z must be numbers"),
        (lambda: LAW.stieltjes(np.inf), r"Spectrum\.stieltjes\.z must be finite"),
        (lambda: ll.plots.spectrum("x"), r"plots\.spectrum\.law must be from `spectrum`"),
        (lambda: ll.plots.spectrum(LAW, 3), r"plots\.spectrum\.drawn must be from `simulate"),
        (lambda: ll.bounds(MODEL).upper_function("x"), r"bounds\.kappa must be real numbers, got 'x'"),
        (lambda: MODEL.conditional_error(ll.solve(MODEL), "a"), r"Features\.kappa must be real numbers"),
        (lambda: TWO.mean_predictor(ll.solve(TWO), [1.0]), r"Features\.kappa must be of shape \(\.\.\., 2\)"),
        (lambda: MODEL.learned_function(ll.solve(MODEL), None), r"Features\.t must be real numbers"),
    ],
)
def test_no_points(ask, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ask()


@pytest.mark.parametrize("place", [0, 1])
def test_an_edge_is_on_the_support(place):
    with pytest.raises(ll.errors.InvalidInput, match="off the support where it is real"):
        LAW.stieltjes(LAW.edges[0, place])
    beside = LAW.edges[0, place] * (0.99, 1.01)[place]
    assert np.isfinite(LAW.stieltjes(beside))


@pytest.mark.slow
def test_an_unbounded_support_has_no_real_points_beyond_its_bulk():
    law = ll.spectrum(ll.models.SpikedRandomFeatures(
        A.Hermite(2), TARGET, 1.5, 1.0, 0.1, strength=1.0, alignment=0.5
    ))  # fmt: skip
    assert law.edges[-1, 1] == np.inf
    with pytest.raises(ll.errors.InvalidInput, match=r"off the support .*, got 2000"):
        law.stieltjes([-1.0, 2000.0])
    assert np.isfinite(law.stieltjes([-1.0, 2000.0 + 1j])).all()


@pytest.mark.parametrize(
    ("samples", "sentence"), [(1.5, "off the support"), (0.5, "nonzero for the kernel of fewer samples")]
)
def test_the_kernel_at_zero(samples, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ll.errors.InvalidInput, match=sentence):
            KERNELS[samples].stieltjes([0.0, -1.0])


def test_ends_of_the_distribution():
    np.testing.assert_allclose(LAW.cdf([-np.inf, np.inf]), [0, 1], atol=1e-6)
    assert LAW.quantile(1) == pytest.approx(LAW.edges[0, 1], rel=1e-4)
    assert LAW.density([]).shape == (0,)


@pytest.mark.slow
def test_a_traced_point_that_is_no_number_stays_one(float64):
    assert np.isnan(jax.jit(LAW.density)(np.nan))
