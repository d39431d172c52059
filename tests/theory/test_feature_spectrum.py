"""The limiting spectrum of features: closed forms, identities, derivatives, refusals ([A] is arXiv 2402.04980)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll

A = ll.activations
TARGET = ll.targets.SingleIndex(A.Sin())


def spiked(**changes):
    fields = {
        "activation": A.Tanh(), "target": TARGET, "samples_per_dim": 1.5, "width_per_dim": 1.0, "penalty": 0.1,
        "strength": 1.2, "alignment": 0.8,
    }  # fmt: skip
    return ll.models.SpikedRandomFeatures(**(fields | changes))


@pytest.fixture(scope="module")
def quadratic():
    """He2 without a spike: Phi has independent entries as far as its spectrum knows."""
    return ll.spectrum(ll.models.RandomFeatures(A.Hermite(2), TARGET, 1.5, 1.0, 0.3))


def test_quadratic_features_are_marchenko_pastur(quadratic):
    z = np.array([0.5 + 0.1j, 2.0 + 1e-3j, -0.3, 7.0, 3 - 0.2j])
    g = quadratic.stieltjes(z)
    np.testing.assert_allclose(g, 1 / (-z + 1.5 / (1 + g)), atol=1e-12)
    low, high = (1 - np.sqrt(1.5)) ** 2, (1 + np.sqrt(1.5)) ** 2
    np.testing.assert_allclose(quadratic.edges, [[low, high]], rtol=1e-9)
    x = np.linspace(low, high, 50)
    np.testing.assert_allclose(
        quadratic.density(x)[1:-1], (np.sqrt((high - x) * (x - low)) / (2 * np.pi * x))[1:-1], rtol=1e-10
    )
    assert not quadratic.soft.any()
    assert len(quadratic.outliers.location) == 0
    assert quadratic.mass == pytest.approx(1, abs=1e-8)


def test_the_density_vanishes_off_the_support(quadratic):
    np.testing.assert_allclose(quadratic.density([-1.0, 0.0, 1e-3, 6.0, 1e3]), 0, atol=1e-12)
    assert quadratic.density(np.zeros((2, 0))).shape == (2, 0)


def test_normalisations(quadratic):
    model = ll.models.RandomFeatures(A.Hermite(2), TARGET, 1.5, 1.0, 0.3)
    samples, kernel = (ll.spectrum(model, normalisation=name) for name in ("samples", "kernel"))
    x, z = np.array([0.3, 1.0, 2.5]), np.array([0.4 + 0.2j, -1.0])
    np.testing.assert_allclose(samples.density(x / 1.5), 1.5 * quadratic.density(x), rtol=1e-10)
    np.testing.assert_allclose(samples.stieltjes(z / 1.5), 1.5 * quadratic.stieltjes(z), rtol=1e-10)
    np.testing.assert_allclose(samples.edges, quadratic.edges / 1.5)
    np.testing.assert_allclose(kernel.density(x), quadratic.density(x) / 1.5, rtol=1e-10)
    np.testing.assert_allclose(kernel.stieltjes(z), quadratic.stieltjes(z) / 1.5 - (1 / 3) / z, rtol=1e-10)
    np.testing.assert_allclose(kernel.atoms.mass, [1 / 3])
    assert len(quadratic.atoms.location) == 0


@pytest.mark.parametrize("strength", [1.2, pytest.param([1.8, -0.6], marks=pytest.mark.slow)])
def test_at_minus_the_penalty_it_is_the_response_of_ridge_regression(strength):
    model = spiked(strength=strength)
    response = ll.solve(model).order_parameters["response"]
    assert ll.spectrum(model).stieltjes(-0.1).real == pytest.approx(np.sum(response), abs=1e-10)


def test_far_out_it_is_minus_one_over_z():
    law = ll.spectrum(spiked())
    z = np.array([1e4j, -1e4, 1e5 + 1e5j])
    np.testing.assert_allclose(-z * law.stieltjes(z), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({}, 1e-6),
        pytest.param({"samples_per_dim": 0.5, "strength": 2.0}, 1e-4, marks=pytest.mark.slow),
        pytest.param({"activation": A.ReLU(), "samples_per_dim": 1.0}, 1e-4, marks=pytest.mark.slow),
        pytest.param({"strength": [1.8, -0.6], "bulk_variance": [1.0, 2.0]}, 1e-6, marks=pytest.mark.slow),
    ],
)
def test_mass_and_mean(changes, tolerance):
    """Bulk and atom have mass one; the first moment is n/p times the features' variance given the latent."""
    model = spiked(**changes)
    law = ll.spectrum(model)
    assert law.mass == pytest.approx(1, abs=tolerance)
    q = (np.arange(4000) + 0.5) / 4000
    far = 1e4
    # -z^2 (g + 1/z) tends to the first moment, along z = i far.
    moment = (far**2 * (law.stieltjes(1j * far) + 1 / (1j * far))).real
    assert np.mean(law.quantile(q)) == pytest.approx(moment, rel=2e-3)


@pytest.mark.slow
def test_groups_share_the_density():
    law = ll.spectrum(spiked(strength=[1.8, -0.6], fraction=[0.3, 0.7]))
    x = np.array([0.1, 0.5, 1.0])
    parts = law.group_density(x)
    assert parts.shape == (3, 2)
    np.testing.assert_allclose(parts.sum(axis=-1), law.density(x))
    split = ll.spectrum(spiked(strength=[1.2, 1.2], fraction=[0.3, 0.7]))
    np.testing.assert_allclose(
        split.group_density(x)[:, 0], 0.3 * ll.spectrum(spiked()).density(x), rtol=1e-9
    )


@pytest.mark.slow
def test_soft_ends_are_reported():
    """Few samples: those with a frozen feature vector reach zero; an unbounded variance has no last edge."""
    frozen = ll.spectrum(spiked(samples_per_dim=0.5, strength=2.0))
    assert frozen.soft.tolist() == [[True, False]]
    assert frozen.edges[0, 0] == 0
    np.testing.assert_allclose(frozen.atoms.mass, [0.5])
    unbounded = ll.spectrum(spiked(activation=A.Hermite(2)))
    assert unbounded.soft.tolist() == [[False, True]]
    assert unbounded.edges[0, 1] == np.inf
    assert np.isfinite(unbounded.visible_edges).all()


def test_linear_features_beyond_the_inputs_are_an_atom():
    law = ll.spectrum(spiked(activation=A.Linear(), samples_per_dim=3.0, width_per_dim=2.0))
    np.testing.assert_allclose(law.atoms.mass, [0.5])
    z = 1e-6j
    assert (-z * law.stieltjes(z)).real == pytest.approx(0.5, abs=1e-5)
    assert law.mass == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_degenerate_means_make_no_outliers():
    """Opposite strengths of an odd activation: one macroscopic direction, none of order one."""
    model = spiked(strength=[1.2, -1.2])
    assert len(ll.spectrum(model).outliers.location) == 0
    finite = ll.spectrum(model, dim=400).outliers
    assert len(finite.location) == 1
    np.testing.assert_allclose(finite.overlap[0, :2], 0.5, atol=2e-3)
    assert finite.directions == ("group 0", "group 1", "spike 0 in group 0", "spike 0 in group 1")


@pytest.mark.slow
def test_outliers_at_one_place_have_orthogonal_eigenvectors():
    """Two groups along two spikes, alike but for the direction: each group is an eigenvector's, once."""
    outliers = ll.spectrum(spiked(strength=np.eye(2), alignment=[0.3, 0.4]), dim=300).outliers
    assert outliers.location[0] == pytest.approx(outliers.location[1], rel=1e-12)
    assert len(outliers.location) == 2
    shares = outliers.overlap.sum(axis=0)
    assert shares[0] == pytest.approx(shares[1], abs=1e-6)
    assert np.all(shares < 1)
    assert shares[:2] == pytest.approx(0.991, abs=1e-3)
    # Along the group's own spike, and not along the other one.
    np.testing.assert_allclose(shares[[2, 5]], shares[2], atol=1e-6)
    np.testing.assert_allclose(shares[[3, 4]], shares[3], atol=1e-6)


@pytest.mark.slow
def test_transformations(float64):
    model = spiked()
    law = ll.spectrum(model)
    x = jnp.array([0.2, 0.7, 1.5, 4.0])
    plain = law.density(np.asarray(x))
    np.testing.assert_allclose(jax.jit(law.density)(x), plain, atol=1e-10)
    np.testing.assert_allclose(jax.vmap(law.density)(x), plain, atol=1e-10)
    z = jnp.array([0.3 + 0.2j, -1.0])
    np.testing.assert_allclose(jax.jit(law.stieltjes)(z), law.stieltjes(np.asarray(z)), atol=1e-10)
    inside = jax.jit(lambda t: t * law.density(0.7) * law.stieltjes(-1.0).real * law.edges[0, 1])(2.0)
    assert float(inside) == pytest.approx(2 * law.density(0.7) * law.stieltjes(-1.0).real * law.edges[0, 1])


@pytest.mark.parametrize(
    "field",
    ["strength", *(pytest.param(n, marks=pytest.mark.slow) for n in ("samples_per_dim", "bulk_variance"))],
)
def test_gradients_equal_finite_differences(float64, field):
    def values(t):
        law = ll.spectrum(dataclasses.replace(spiked(bulk_variance=1.1), **{field: t}))
        return jnp.stack([law.density(0.7), law.stieltjes(-0.2).real])

    at, step = 1.3, 1e-5
    central = (values(at + step) - values(at - step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.jacrev(values))(at), central, rtol=1e-6)


def test_mistakes(quadratic):
    with pytest.raises(ll.errors.InvalidInput, match="off the support where it is real"):
        quadratic.stieltjes(1.0)
    with pytest.raises(ll.errors.InvalidInput, match='normalisation must be "features" or'):
        ll.spectrum(spiked(), normalisation="rows")
    with pytest.raises(ll.errors.InvalidInput, match="dim must be a positive integer"):
        ll.spectrum(spiked(), dim=0)
    with pytest.raises(ll.errors.InvalidInput, match="a model with a spectral law"):
        ll.spectrum(TARGET)
    with pytest.raises(ll.errors.InvalidInput, match="outside transformations"), jax.enable_x64(True):
        jax.jit(lambda u: ll.spectrum(dataclasses.replace(spiked(), strength=u)).edges)(1.0)


def test_float32_inside_transformations_is_refused(quadratic):
    for verb in (quadratic.density, quadratic.stieltjes):
        with pytest.raises(ll.errors.PrecisionError, match="use_float64"):
            jax.jit(verb)(jnp.asarray(0.5))
