"""Kernel matrices: free sums against closed forms, drawn matrices on four laws of entries, clusters, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.core.reference import Standing
from limitlaw.spectra.clusters import gathered
from limitlaw.spectra.free_spectrum import FreeSpectrum
from limitlaw.spectra.free_sum import FreeSum

A, Kernel = ll.activations, ll.models.InnerProductKernel


def free(scales, ratios, semicircle=0.0):
    law = FreeSum(np.array(scales, float), np.array(ratios, float), np.array(float(semicircle)))
    return FreeSpectrum(law, lambda: gathered([]), Standing.HEURISTIC)


def hermite(**parts):
    """Coefficients by degree: hermite(h2=0.8)."""
    pairs = [(int(name[1:]), scale) for name, scale in parts.items()]
    return A.Activation(lambda t: sum(scale * A.Hermite(degree)(t) for degree, scale in pairs))


@pytest.mark.parametrize(("mu", "phi"), [(0.8, 0.5), (0.8, 4.0), (-0.5, 2.5)])
def test_one_part_is_marchenko_pastur(mu, phi):
    """Edges mu (sqrt(phi) -+ 2), and an atom of 1 - 1/phi at -mu/sqrt(phi) beyond phi = 1."""
    law = free([mu], [1 / phi])
    np.testing.assert_allclose(law.edges[0], np.sort([mu * (phi**0.5 - 2), mu * (phi**0.5 + 2)]), atol=1e-12)
    assert law.mass == pytest.approx(1, abs=1e-8)
    if phi > 1:
        assert (law.atoms.location[0], law.atoms.mass[0]) == pytest.approx((-mu / phi**0.5, 1 - 1 / phi))


@given(mu=st.floats(0.1, 1.5), phi=st.floats(0.05, 20), semicircle=st.floats(1e-3, 2), place=st.floats(-3, 3))
def test_cubic_mirror_and_moments(mu, phi, semicircle, place):
    """m solves its cubic in the upper half plane; mu to -mu is a mirror; moments are those of the density."""
    law, mirror = free([mu], [1 / phi], semicircle), free([-mu], [1 / phi], semicircle)
    z, b = complex(place, 0.3), mu * phi**0.5
    m = complex(law.stieltjes(z))
    cubic = b * semicircle * m**3 + (semicircle + mu**2 + b * z) * m**2 + (z + b) * m + 1
    assert abs(cubic) < 1e-9 * (1 + abs(b)) * (1 + abs(m)) ** 3
    assert m.imag > 0
    np.testing.assert_allclose(mirror.edges, -law.edges[::-1, ::-1], atol=1e-9)
    np.testing.assert_allclose(law.density(np.add(law.edges, [-1e-3, 1e-3])), 0.0, atol=1e-6)
    variance = mu**2 + semicircle
    expected = [1, 0, variance, mu**3 * phi**0.5, 2 * variance**2 + mu**4 * phi]
    np.testing.assert_allclose(law.moments(4), expected, rtol=1e-10, atol=1e-12)


def test_two_bands():
    """phi > 1 and a small semicircle: the lower band carries 1 - 1/phi."""
    law = free([0.8], [0.25], 0.01)
    assert law.edges.shape == (2, 2)
    assert law.cdf(law.edges[0, 1]) == pytest.approx(0.75, abs=1e-6)
    assert law.mass == pytest.approx(1, abs=1e-6)


def test_semicircle():
    law = free([], [], 0.49)
    np.testing.assert_allclose(law.edges, [[-1.4, 1.4]], rtol=1e-12)
    x = np.linspace(-1.3, 1.3, 7)
    np.testing.assert_allclose(law.density(x), np.sqrt(1.96 - x**2) / (2 * np.pi * 0.49), rtol=1e-10)
    with pytest.raises(ll.errors.InvalidInput, match="off the support"):
        law.stieltjes(0.5)


CASES = {
    "linear": (hermite(h1=0.8, h2=0.5, h3=0.33), 300, 600, "sphere", 0.012, 0.012),
    "quadratic": (hermite(h2=0.8, h3=0.6), 50, 1000, "sphere", 0.01, 0.05),
    "cubic": (hermite(h3=0.8, h4=0.6), 20, 1500, "sphere", 0.01, 0.2),
    "between degrees": (hermite(h1=0.5, h2=0.7, h3=0.5), 100, 1000, "sphere", 0.01, None),
    "signs": (hermite(h2=0.8, h3=0.6), 50, 1000, "rademacher", 0.012, 0.03),
    "bounded, uniform entries": (A.Activation(lambda t: jnp.sqrt(2.0) * jnp.cos(3 * t)), 60, 1000, "uniform", 0.01, 0.01),
}  # fmt: skip


QUICK = {"between degrees"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_law_is_the_drawn_spectrum(name):
    """Largest distance of distribution functions: the finite law within 0.01, the limit far at small d."""
    function, dim, samples, data, near, far = CASES[name]
    model = Kernel(function, dim, samples, data)
    values = np.sort(ll.simulate(model, spectrum=True, seed=1)["eigenvalues"][0])
    grid = np.linspace(values[0] - 0.1, values[-1] + 0.1, 300)
    drawn = np.searchsorted(values, grid, side="right") / samples
    assert np.max(np.abs(ll.spectrum(model).cdf(grid) - drawn)) < near
    limit = np.max(np.abs(ll.spectrum(dataclasses.replace(model, law="limit")).cdf(grid) - drawn))
    assert far is None or limit < far
    if name in ("cubic", "between degrees"):
        assert limit > 2 * near


def test_functions_by_degree_are_exact_in_their_dimension():
    """c_k of d, the same in the limit; a function of Hermite polynomials has others at d = 20."""
    by_degree = Kernel(A.ByDegree((0.0, 0.0, 0.8, 0.6)), 20, 200)
    plain = Kernel(hermite(h2=0.8, h3=0.6), 20, 200)
    with double_precision():
        law, other = by_degree.resolvent(None), plain.resolvent(None)
        limit = dataclasses.replace(by_degree, law="limit").resolvent(None)
    kept = law.scales[np.abs(law.scales) > 1e-12]
    np.testing.assert_allclose(kept, [0.8, 0.6], rtol=1e-10)
    assert float(law.semicircle) == 0
    np.testing.assert_allclose([limit.scales[0], limit.semicircle], [0.8, 0.36], rtol=1e-10)
    assert abs(float(other.scales[2]) - 0.8) > 0.02
    with double_precision():
        np.testing.assert_allclose(A.ByDegree((0, 0, 0.8, 0.6))(0.7), plain.function(0.7), rtol=1e-12)


def test_the_limit_of_a_given_degree():
    """n = 5 B_2 at d = 20 is nearer to degree three; its limit at degree two is asked for by name."""
    model = Kernel(A.ByDegree((0.0, 0.0, 0.8, 0.6)), 20, 1045, law="limit")
    assert float(model.resolvent(None).scales[0]) == pytest.approx(0.6)
    named = dataclasses.replace(model, degree=2).resolvent(None)
    assert float(named.scales[0]) == pytest.approx(0.8)
    assert float(named.ratios[0]) == pytest.approx(0.2)
    for degree, law in ((0, "limit"), (9, "limit"), (2, "finite")):
        with pytest.raises(ll.errors.InvalidInput, match=r"degree must be None, or from 1 to 8 with law"):
            dataclasses.replace(model, degree=degree, law=law)


def test_moments_are_exact():
    for data in ("sphere", "rademacher"):
        model = Kernel(hermite(h0=0.1, h1=0.3, h2=0.8, h3=0.4), 12, 40, data)
        theory, measured = ll.solve(model), ll.simulate(model, replicas=400, seed=2)
        for name, value in theory.observables.items():
            assert abs(measured.mean(name) - value) < 4 * measured.standard_error(name), (data, name)


def test_clusters_of_low_degrees():
    """Mean and deviation of d eigenvalues of degree one, and the single one of the mean."""
    model = Kernel(hermite(h0=0.5, h1=-1.0, h2=0.4), 100, 1500)
    found = ll.spectrum(model).outliers
    assert found.degree.tolist() == [0, 1]
    values = np.sort(ll.simulate(model, spectrum=True, seed=3)["eigenvalues"][0])
    assert values[-1] == pytest.approx(found.location[0], abs=0.15)
    assert found.size.tolist() == pytest.approx([1, 100])
    assert values[:100].mean() == pytest.approx(found.location[1], abs=0.05)
    assert values[:100].std() == pytest.approx(found.deviation[1], rel=0.08)


def test_fluctuating_norms_have_two_eigenvalues():
    """Gaussian entries: one of each sign at mu_2 sqrt(n/d) up to order one; none on the sphere."""
    function = hermite(h2=0.8, h3=0.6)
    found = ll.spectrum(Kernel(function, 50, 1000, "gaussian")).outliers
    assert found.degree.tolist() == [2, 2]
    np.testing.assert_allclose(np.abs(found.location), 0.8 * np.sqrt(20), rtol=0.05)
    values = ll.simulate(Kernel(function, 50, 1000, "gaussian"), spectrum=True)["eigenvalues"][0]
    assert values[0] < -3.0
    assert values[-1] > 3.3
    assert len(ll.spectrum(Kernel(function, 50, 1000)).outliers.location) == 0


def test_works_inside_transformations(float64):
    model = Kernel(hermite(h1=0.8, h2=0.5), 60, 90)
    law = ll.spectrum(model)
    x = jnp.array([-0.5, 0.4])
    np.testing.assert_allclose(jax.jit(law.density)(x), law.density(np.asarray(x)), rtol=1e-9)
    slope = jax.grad(lambda y: law.density(y))(0.4)
    assert float(slope) == pytest.approx(
        float(law.density(0.4 + 1e-5) - law.density(0.4 - 1e-5)) / 2e-5, rel=1e-4
    )
    with double_precision():
        assert np.isfinite(law.mass)


def test_picture_of_both():
    model = Kernel.example()
    axes = ll.plots.spectrum(ll.spectrum(model), ll.simulate(model, spectrum=True))
    assert axes.get_xlabel() == "eigenvalue of A"
    assert axes.get_xlim()[0] < 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": "cube"}, 'data must be one of "sphere", "gaussian", "rademacher", "uniform"'),
        ({"law": "both"}, 'law must be one of "finite", "limit"'),
        ({"samples": 1.0}, "samples must be 2 or more"),
        ({"dim": 2}, "dim must be an integer of 3 or more"),
        ({"function": lambda t: 1 / t}, "a function with a finite second moment"),
    ],
)
def test_mistakes_are_sentences(changes, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(Kernel.example(), **changes)
    with pytest.raises(ll.errors.InvalidInput, match="moments are not known otherwise"):
        ll.solve(dataclasses.replace(Kernel.example(), data="gaussian"))


NARROW = [
    lambda: ll.spectrum(Kernel(A.Sin(), 8, 3000)),
    lambda: ll.spectrum(Kernel(jnp.exp, 8, 3000)),
    lambda: ll.spectrum(Kernel(A.ReLU(), 5, 10**6)),
    lambda: free([0.8], [0.25], 1e-6),
    lambda: free([0.8], [0.05], 1e-5),
    lambda: free([0.8], [1.0]),
    lambda: ll.spectrum(Kernel(A.ReLU(), 10**6, 10**12)),
]


@pytest.mark.parametrize("law", NARROW)
def test_narrow_bands_and_hard_edges_keep_their_mass(law):
    one = law()
    assert one.mass == pytest.approx(1, abs=1e-4)
    shares = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(one.cdf(one.quantile(shares)), shares, atol=1e-3)


def test_signs_have_few_dimensions_in_their_last_degrees():
    """The parity of all entries is one eigenvalue; moments count it too."""
    model = Kernel(A.Sign(), 51, 700, "rademacher")
    found = ll.spectrum(model).outliers
    place = found.location[found.degree == 51]
    assert ll.simulate(model, spectrum=True)["eigenvalues"][0].min() == pytest.approx(
        float(place[0]), abs=0.15
    )
    small = Kernel(A.Sign(), 21, 100, "rademacher")
    theory, measured = ll.solve(small), ll.simulate(small, replicas=200, seed=4)
    for name, value in theory.observables.items():
        assert abs(measured.mean(name) - value) <= 4 * measured.standard_error(name) + 1e-12, name


def test_poles_at_one_place_are_one_cluster():
    model = Kernel(A.Sign(), 5, 200, "rademacher")
    found = ll.spectrum(model).outliers
    values = np.sort(ll.simulate(model, spectrum=True, seed=1)["eigenvalues"][0])
    assert found.size[0] == pytest.approx(6)
    assert values[-6:].mean() == pytest.approx(found.location[0], abs=0.15)
    assert values[-7] < values[-6] - 1


def test_a_mean_hides_the_eigenvalues_of_norms():
    """With c_0 sqrt(n) far above the coupling one of the two is in the bulk, the other moves the mean's own."""
    model = Kernel(A.Activation(jnp.abs, kinks=(0.0,)), 50, 700, "gaussian")
    found = ll.spectrum(model).outliers
    assert found.degree.tolist() == [0]
    values = ll.simulate(model, spectrum=True, replicas=4)["eigenvalues"]
    assert values.max(axis=1).mean() == pytest.approx(found.location[0], abs=0.35)


def test_a_limit_without_its_degree_is_the_semicircle_of_the_rest():
    law = ll.spectrum(Kernel(A.ByDegree((0.0, 0.0, 0.8)), 20, 1045, law="limit"))
    assert (law.atoms.location[0], law.atoms.mass[0]) == (0.0, 1.0)
    assert law.edges.shape == (0, 2)
