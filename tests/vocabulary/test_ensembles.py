"""Ensembles: moments, transforms against their definitions, atoms, draws against laws, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.precision import double_precision

E = ll.ensembles
CASES = [
    E.MarchenkoPastur(0.5),
    E.MarchenkoPastur(1.0),
    E.MarchenkoPastur(0.99),
    E.MarchenkoPastur(3.0),
    E.WishartProduct(2.0, 0.5),
    E.WishartProduct(1.0, 1.0),
    E.WishartProduct(0.3, 0.2),
    E.SherringtonKirkpatrick(1.2),
    E.TwoPoint.row_orthogonal(0.4),
    E.RandomOrthogonal(1.0, 1.7),
    E.GivenSpectrum([0.0, 1.0, 2.5], [0.2, 0.5, 0.3]),
]
FEW = (4,)
BY_NAME = pytest.mark.parametrize(
    "ensemble",
    [pytest.param(one, marks=() if k in FEW else pytest.mark.slow) for k, one in enumerate(CASES)],
    ids=lambda one: one.label,
)


def moments(ensemble, count=3):
    nodes, weights = ensemble.law()
    return [float(jnp.sum(weights * nodes**order)) for order in range(count + 1)]


def test_moments_are_known_ones(float64):
    for c in (0.5, 1.0, 0.99, 3.0):
        assert moments(E.MarchenkoPastur(c)) == pytest.approx([1, 1, 1 + c, 1 + 3 * c + c**2], abs=1e-12)
    assert moments(E.WishartProduct(2.0, 0.5)) == pytest.approx([1, 1, 3.5, 15.75], abs=1e-11)
    assert moments(E.WishartProduct(1.0, 1.0)) == pytest.approx([1, 1, 3, 12], abs=1e-11)


@BY_NAME
def test_stieltjes_is_an_average_over_the_law(float64, ensemble):
    nodes, weights = (np.asarray(part) for part in ensemble.law())
    for z in (-0.5 + 0.1j, 12 - 0.2j, -1.3):
        expected = np.sum(weights / (nodes - z))
        assert ensemble.stieltjes(jnp.asarray(z)) == pytest.approx(expected, abs=1e-11)


@BY_NAME
def test_transforms_invert_their_averages(float64, ensemble):
    """R through <1/(z - d)> = w and S through <z d/(1 - z d)> = w, which they were not computed by."""
    nodes, weights = (np.asarray(part) for part in ensemble.law())
    for w in (-0.6, -0.2, 0.05):
        place = float(ensemble.r_transform(w)) + 1 / w
        assert np.sum(weights / (place - nodes)) == pytest.approx(w, abs=1e-10)
    for w in (-0.15, 0.02):
        place = float(ensemble.s_transform(w)) * w / (1 + w)
        assert np.sum(weights * place * nodes / (1 - place * nodes)) == pytest.approx(w, abs=1e-10)
    mean = float(ensemble.mean())
    assert float(ensemble.r_transform(0.0)) == pytest.approx(mean, abs=1e-12)
    assert float(ensemble.s_transform(0.0)) == pytest.approx(1 / mean, abs=1e-12)


def test_closed_transforms(float64):
    """Couplings: K^-1 = c - beta J, so that 1/V = c - R_J(chi), R_J of the semicircle and of signs."""
    chi, beta, shift = 0.4, 0.9, 3.0
    for ensemble, coupling in (
        (E.SherringtonKirkpatrick(beta, shift), beta**2 * chi),
        (E.RandomOrthogonal(beta, shift), (np.sqrt(1 + 4 * beta**2 * chi**2) - 1) / (2 * chi)),
    ):
        nodes, weights = (np.asarray(part) for part in ensemble.law())
        precision = 1 / chi - (shift - coupling)
        assert np.sum(weights * nodes / (1 + precision * nodes)) == pytest.approx(chi, abs=1e-11)


def test_product_of_one_trivial_factor_is_a_wishart(float64):
    nodes, weights = E.MarchenkoPastur(0.7).law()
    others, shares = E.WishartProduct(0.7, 1e-9).law()
    np.testing.assert_allclose(others, nodes, atol=1e-7)
    np.testing.assert_allclose(shares, weights, atol=1e-7)


@pytest.mark.slow
@BY_NAME
def test_quantiles_keep_atoms_and_moments(ensemble):
    values = ensemble.eigenvalues(3000)
    assert values.shape == (3000,)
    with double_precision():
        nodes, weights = (np.asarray(part) for part in ensemble.law())
        low, high = (float(end) for end in ensemble.ends())
    assert values.min() >= low - 1e-9
    assert values.max() <= high + 1e-9
    for order in (1, 2):
        assert np.mean(values**order) == pytest.approx(weights @ nodes**order, rel=2e-3)
    if weights[nodes == 0].sum() > 1e-9:
        assert np.mean(values == 0) == pytest.approx(weights[nodes == 0].sum(), abs=1 / 3000)


@pytest.mark.parametrize(
    "ensemble",
    [CASES[3], *(pytest.param(CASES[k], marks=pytest.mark.slow) for k in (0, 4, 7, 8))],
    ids=lambda one: one.label,
)
def test_draws_have_the_law(float64, ensemble):
    drawn = ensemble.draw(jax.random.key(0), 400)
    assert np.abs(drawn.rotation.T @ drawn.rotation - np.eye(400)).max() < 1e-12
    nodes, weights = ensemble.law()
    square = float(jnp.sum(weights * nodes**2))
    # Moments of factors fluctuate by about 1/N.
    assert float(jnp.mean(drawn.eigenvalues**2)) == pytest.approx(square, rel=0.04)
    again = jax.jit(lambda plan: ensemble.draw(jax.random.key(0), plan))(ensemble.blueprint(400))
    np.testing.assert_allclose(again.eigenvalues, drawn.eigenvalues, atol=1e-10)
    if ensemble is CASES[3]:
        assert np.sum(np.asarray(drawn.eigenvalues) == 0) == 400 - 133


def test_a_given_matrix_is_drawn_as_it_is(float64):
    rows = np.random.default_rng(0).standard_normal((30, 20))
    matrix = rows @ rows.T / 20
    ensemble = E.GivenSpectrum.of_matrix(matrix)
    drawn = ensemble.draw(jax.random.key(0), 30)
    assert (drawn.rotation * drawn.eigenvalues) @ drawn.rotation.T == pytest.approx(matrix, abs=1e-12)
    with pytest.raises(ll.errors.InvalidInput, match="sites must be 30"):
        ensemble.draw(jax.random.key(0), 31)


@given(st.floats(0.05, 20), st.floats(0.05, 20))
def test_products_are_laws(first, second):
    with double_precision():
        nodes, weights = (np.asarray(part) for part in E.WishartProduct(first, second).law())
    assert np.all(nodes >= 0)
    zeros = 1 - 1 / max(1, first, second)
    assert weights[0] == pytest.approx(
        zeros, abs=1e-2 if min(abs(first - 1), abs(second - 1)) < 0.05 else 1e-6
    ) or (abs(first - second) < 0.05 * first)
    assert weights @ nodes == pytest.approx(1, abs=1e-9)
    assert weights @ nodes**2 == pytest.approx(1 + first + second, rel=1e-9)


def test_draws_and_transforms_need_no_switch():
    """In double precision whatever the user's setting."""
    for ensemble in (
        E.MarchenkoPastur(2.0),
        E.TwoPoint.row_orthogonal(0.5),
        E.GivenSpectrum.of_matrix(np.eye(3)),
    ):
        drawn = ensemble.draw(jax.random.key(0), 3)
        assert drawn.rotation.dtype == drawn.eigenvalues.dtype == np.float64
    with pytest.raises(
        ll.errors.InvalidInput, match=r"stieltjes.z must be off the band of eigenvalues, got 1"
    ):
        E.MarchenkoPastur(2.0).stieltjes([-1.0, 1.0])
    with pytest.raises(ll.errors.InvalidInput, match=r"stieltjes.z must be off the band"):
        E.SherringtonKirkpatrick(1.0).stieltjes(0.4)


def test_transforms_that_do_not_exist_are_refused(float64):
    with pytest.raises(
        ll.errors.InvalidInput, match=r"MarchenkoPastur.r_transform.w must be where the transform"
    ):
        E.MarchenkoPastur(2.0).r_transform(0.7)
    with pytest.raises(ll.errors.InvalidInput, match=r"TwoPoint.s_transform"):
        E.TwoPoint.row_orthogonal(0.4).s_transform(-0.5)
    with pytest.raises(ll.errors.InvalidInput, match=r"SherringtonKirkpatrick.r_transform"):
        E.SherringtonKirkpatrick(1.0).r_transform(5.0)
    inside = jax.jit(lambda w: E.MarchenkoPastur(2.0).r_transform(w))(jnp.asarray([0.7, 0.1]))
    assert np.isnan(inside[0])
    assert not np.isnan(inside[1])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: E.MarchenkoPastur(0.0), "MarchenkoPastur.sites_per_factor must be positive"),
        (lambda: E.WishartProduct(1.0, "a"), "WishartProduct.sites_per_second must be a number"),
        (lambda: E.TwoPoint(-1.0, 1.0, 0.5), "TwoPoint.low must be zero or more"),
        (lambda: E.TwoPoint(0.0, 1.0, 1.0), "TwoPoint.share_low must be between 0 and 1"),
        (lambda: E.SherringtonKirkpatrick(1.0, 1.9), "SherringtonKirkpatrick.shift must be above 2 beta"),
        (lambda: E.RandomOrthogonal(1.0, 0.9), "RandomOrthogonal.shift must be above 1 beta"),
        (lambda: E.GivenSpectrum([-1.0, 2.0]), "eigenvalues must be finite, zero or more"),
        (lambda: E.GivenSpectrum([0.0, 0.0]), "not all zero"),
        (lambda: E.GivenSpectrum([1.0, 2.0], [0.5, 0.6]), "positive shares that sum to one"),
        (lambda: E.GivenSpectrum([1.0, 2.0], [1.0]), r"weights must be of shape \(2,\)"),
        (lambda: E.GivenSpectrum.of_matrix([[0.0, 1.0], [1.0, 0.0]]), "without negative eigenvalues"),
        (lambda: E.MarchenkoPastur(1.0).eigenvalues(0), "sites must be a positive integer"),
    ],
)
def test_bad_numbers_are_refused(make, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        make()
