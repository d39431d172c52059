"""Limiting spectra against drawn matrices."""

import dataclasses

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.core.status import Status
from limitlaw.vocabulary.covariances import Covariance

A = ll.activations
TARGET = ll.targets.SingleIndex(A.Sin())
ROWS = Covariance([0.4, 2.2], [2 / 3, 1 / 3])


def spiked(activation, samples, width, strength, **changes):
    return ll.models.SpikedRandomFeatures(
        activation, TARGET, samples, width, 0.1, strength=strength, alignment=0.5, **changes
    )


def drawn(model, dim, replicas, seed=0):
    return ll.simulate(model, dim=dim, replicas=replicas, seed=seed, test_samples=10, spectrum=True)


def stieltjes(eigenvalues, z):
    values = np.mean(1 / (eigenvalues[:, :, None] - z), axis=1)
    return values.mean(axis=0), np.abs(values.std(axis=0, ddof=1)) / np.sqrt(len(values))


def assert_same_transform(model, dim, replicas, allowed=5e-3):
    """To `allowed` and the share of eigenvalues that may have left the bulk, 4 standard errors on top."""
    z = np.array([0.3 + 0.3j, 1 + 0.3j, -0.1])
    measurements, law = drawn(model, dim, replicas), ll.spectrum(model)
    measured, error = stieltjes(measurements["eigenvalues"], z)
    theory = law.stieltjes(z)
    share = model.groups / measurements["eigenvalues"].shape[1]
    assert np.all(np.abs(measured - theory) < (allowed + share) * np.abs(theory) + 4 * error)


def test_measurements_carry_eigenvalues_and_are_otherwise_the_same():
    model = spiked(A.Tanh(), 1.5, 1.0, 1.2)
    plain = ll.simulate(model, dim=60, replicas=2, test_samples=10)
    with_spectrum = drawn(model, 60, 2)
    for name in plain.observables | plain.order_parameters:
        np.testing.assert_array_equal(plain[name], with_spectrum[name])
    assert with_spectrum["eigenvalues"].shape == (2, 60)
    assert with_spectrum["eigenvector_overlaps"].shape == (2, 60, 2)
    np.testing.assert_allclose(with_spectrum["eigenvector_overlaps"].sum(axis=1), 1, atol=1e-10)


def test_fewer_samples_than_features_give_zeros():
    measurements = drawn(spiked(A.Tanh(), 0.5, 1.0, 1.2), 60, 1)
    values, overlaps = measurements["eigenvalues"][0], measurements["eigenvector_overlaps"][0]
    assert np.all(values[:30] == 0)
    assert np.all(values[30:] > 0)
    assert np.isnan(overlaps[:30]).all()
    assert np.isfinite(overlaps[30:]).all()


def test_a_quick_experiment():
    assert_same_transform(spiked(A.Tanh(), 1.2, 0.8, 1.5), 250, 4, allowed=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        spiked(A.Tanh(), 1.5, 0.8, 1.5),
        spiked(A.Tanh(), 1.2, 0.9, [1.8, 0.6], bulk_variance=[1.0, 1.5]),
        spiked(A.ReLU(), 0.7, 0.9, [1.0, -0.5], rows="gaussian"),
        spiked(A.Erf(), 0.9, 0.6, 0.8, rows="orthogonal"),
        spiked(A.Tanh(), 0.8, 1.2, 1.0, covariance=ROWS),
    ],
)
def test_stieltjes_transforms_of_large_matrices(model):
    assert_same_transform(model, 1000, 3)


@pytest.mark.slow
def test_macroscopic_outliers_of_two_groups():
    """The O(1) shift of the smaller one is 12 % at d = 500: the leading order is off by that much."""
    model = spiked(A.Tanh(), 1.5, 1.0, [3.0, 1.0])
    law, measurements = ll.spectrum(model, dim=500), drawn(model, 500, 96, seed=2)
    values = measurements["eigenvalues"][:, -2:]
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    gap = np.abs(values.mean(axis=0) - law.outliers.location)
    # They fluctuate by sqrt(n): with fewer replicas one percent would not be seen.
    assert np.all(error < 0.005 * law.outliers.location)
    assert np.all(gap < 0.01 * law.outliers.location)
    overlaps = measurements["eigenvector_overlaps"][:, -2:]
    np.testing.assert_allclose(overlaps.mean(axis=0), law.outliers.overlap, atol=0.01)
    kappa, weight = np.polynomial.hermite_e.hermegauss(80)
    means = np.array([[np.tanh(u * k + kappa) @ weight for k in kappa] for u in (3.0, 1.0)]) / weight.sum()
    leading = 750 * np.linalg.eigvalsh(0.5 * (means * weight) @ means.T / weight.sum())
    assert law.outliers.location[0] / leading[0] - 1 == pytest.approx(0.117, abs=0.01)


@pytest.mark.slow
def test_an_outlier_of_order_one():
    """sigma = cos, weak bulk, many samples: kappa^2 c1^2 exceeds c1^2 beyond the threshold."""
    model = spiked(A.Cos(), 40.0, 4.0, 0.5, bulk_variance=0.1)
    outliers = ll.spectrum(model).outliers
    assert outliers.location == pytest.approx([1.92861], abs=1e-4)
    assert outliers.overlap[0] == pytest.approx([0.0, 0.58373], abs=1e-4)
    measurements = drawn(model, 200, 12, seed=3)
    place, overlap = measurements["eigenvalues"][:, -2], measurements["eigenvector_overlaps"][:, -2, 1]
    for measured, theory in ((place, 1.92861), (overlap, 0.58373)):
        error = measured.std(ddof=1) / np.sqrt(len(measured))
        assert abs(measured.mean() - theory) < 3 * error + 2 / 200 * theory


@pytest.mark.slow
def test_given_weights_have_their_own_spectrum():
    """One anisotropic matrix: its law is its own, not the isotropic one's."""
    network = ll.models.GiantStep(A.Tanh(), TARGET, 3.0, 0.5, 2.0, 1.0, 0.01, bulk="isotropic")
    with double_precision():
        instance = network.draw(network.sizes(400), jax.random.key(0))
    model = ll.models.FrozenFeatures(
        instance.weights, instance.teacher, A.Tanh(), TARGET, 2.0, 0.01, spike=instance.spikes
    )
    z = np.array([0.2 + 0.2j, -0.1])
    measurements = drawn(model, None, 6)
    measured, error = stieltjes(measurements["eigenvalues"], z)
    own, isotropic = ll.spectrum(model), ll.spectrum(network)
    assert np.all(np.abs(measured / own.stieltjes(z) - 1) < 0.01 + 4 * error / np.abs(measured))
    assert np.all(np.abs(measured - own.stieltjes(z)) < np.abs(measured - isotropic.stieltjes(z)))
    top = measurements["eigenvalues"][:, -1]
    assert (
        abs(top.mean() / own.outliers.location[-1] - 1) < 4 * top.std(ddof=1) / np.sqrt(6) / top.mean() + 0.01
    )


def test_every_features_model_has_a_law():
    for kind in (ll.models.GiantStep, ll.models.RandomFeatures, ll.models.FrozenFeatures):
        law = ll.spectrum(kind.example())
        assert np.all(law.density(np.array([0.2, 0.5])) > 0)
        assert np.all(law.status([0.2, 0.5]) == 0)
    with pytest.raises(ll.errors.InvalidInput, match="dim must be None or 80"):
        ll.spectrum(ll.models.FrozenFeatures.example(), dim=81)


def test_a_density_that_is_not_resolved_is_nan_and_its_status_says_why():
    law = ll.spectrum(dataclasses.replace(ll.models.SpikedRandomFeatures.example(), samples_per_dim=0.5))
    places = np.array([1e-250, 0.5])
    assert law.status(places).tolist() == [Status.STEP_LIMIT, Status.CONVERGED]
    assert all("further from" in status.sentence for status in (Status.STEP_LIMIT, Status.UNRESOLVED))
    assert np.isnan(law.density(places)).tolist() == [True, False]
