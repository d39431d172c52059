"""Kernels of random networks: the published quartic, limits, moments, drawn matrices, refusals."""

import dataclasses

import jax
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.checks import check_model
from limitlaw.core.errors import InvalidInput
from limitlaw.core.keys import replica_key
from limitlaw.core.precision import double_precision
from limitlaw.simulation.network_kernels import tangent_kernel
from limitlaw.simulation.spectrum import eigenvalues_and_overlaps
from limitlaw.vocabulary.normalised import Normalised

A, Conjugate, Tangent = ll.activations, ll.models.ConjugateKernel, ll.models.NeuralTangentKernel
Z = np.array([1 + 0.3j, 0.3 + 0.2j, 4 + 0.5j])


@pytest.mark.parametrize(
    ("activation", "linear", "slope"),
    [
        (A.Tanh(), 0.964609, 1.177807),
        (A.Softplus(), 0.959563, 1.080528),
        (A.Erf(1.0), 0.955815, 1.225700),
        (A.Sin(), 0.922452, 1.313035),
        (A.Activation(lambda x: jax.numpy.sin(3 * x)), 0.047131, 9.000000),
        (A.Linear(), 1.0, 1.0),
    ],
    ids=["tanh", "softplus", "erf", "sin", "sin 3x", "linear"],
)
def test_constants_of_normalised_activations(activation, linear, slope):
    with double_precision():
        found = Normalised.of(activation)
        assert float(found.linear) == pytest.approx(linear, abs=1e-6)
        assert float(found.slope) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(("samples", "width"), [(2.0, 1.5), (0.5, 2.0), (3.0, 1.0)])
def test_one_layer_solves_the_quartic(samples, width):
    """arXiv 2005.11879 and Pennington and Worah: a polynomial of degree four in m."""
    m = ll.spectrum(Conjugate(A.Tanh(), samples, width)).stieltjes(Z)
    b2, g0, g1 = 0.9646086893737256**2, samples, samples / width
    p = 1 - g1 - g1 * Z * m
    gap = g0 * b2 * m**2 * p * (Z - (1 - b2) * p) + m * (Z - p + g0 * b2 * p) + 1
    assert np.max(np.abs(gap)) < 1e-10


def nested(z, weights, depth, linear, loads, g0):
    """The paper's recursion as it is written, each level solved inside the next."""

    def trace(level, arguments, weight):
        if level == 0:
            place = -arguments[0] / arguments[1]
            low, high = (1 - np.sqrt(g0)) ** 2, (1 + np.sqrt(g0)) ** 2
            root = np.sqrt(place - low + 0j) * np.sqrt(place - high + 0j)
            base = (-(place + g0 - 1) + root) / (2 * g0 * place)
            rest = weight[0] - weight[1] * arguments[0] / arguments[1]
            return weight[1] / arguments[1] + rest / arguments[1] * base
        own = np.array([1 - linear, *[0] * (level - 1), linear])

        def inner(s):
            return np.array([arguments[0] + (1 - linear) / s, *arguments[1:-2], arguments[-2] + linear / s])

        s = 1 / arguments[-1] + 1j * loads[level - 1]
        for _ in range(400):
            s = (s + 1 / arguments[-1] + loads[level - 1] * trace(level - 1, inner(s), own)) / 2
        share = weight[-1] / arguments[-1]
        return share + trace(level - 1, inner(s), weight[:-1] - share * arguments[:-1])

    first = np.array([1.0, *[0] * (depth + 1)], complex)
    return trace(depth, np.array([weights[0] - z, *weights[1:]], complex), first)


@pytest.mark.slow
def test_two_layers_are_the_nested_recursion():
    z, linear, slope = 1 + 0.5j, 0.9646086893737256**2, 1.177807232304175
    kept, slopes = np.array([linear**2, linear]), np.array([slope**2, slope])
    weights = [np.sum(slopes - kept), *kept, 1.0]
    expected = nested(z, weights, 2, linear, (2 / 1.5, 2.0), 2.0)
    found = ll.spectrum(Tangent(A.Tanh(), 2.0, [1.5, 1.0])).stieltjes(z)
    assert found == pytest.approx(expected, abs=1e-9)
    expected = nested(z, [0.0, 0.0 + 1e-12, 0.0 + 1e-12, 1.0], 2, linear, (2 / 1.5, 2.0), 2.0)
    found = ll.spectrum(Conjugate(A.Tanh(), 2.0, [1.5, 1.0])).stieltjes(z)
    assert found == pytest.approx(expected, abs=1e-7)


def marchenko_pastur(z, ratio):
    root = np.sqrt(z - (1 - np.sqrt(ratio)) ** 2) * np.sqrt(z - (1 + np.sqrt(ratio)) ** 2)
    return (-(z + ratio - 1) + root) / (2 * ratio * z)


def test_limits():
    """Without a linear part a layer forgets its inputs; very wide layers are their population."""
    even = A.Activation(lambda x: x**2)
    found = ll.spectrum(Conjugate(even, 2.0, [1.5, 4.0])).stieltjes(Z)
    assert found == pytest.approx(marchenko_pastur(Z, 0.5), abs=1e-9)
    wide = ll.spectrum(Conjugate(A.Tanh(), 2.0, 1e7)).stieltjes(Z)
    b2 = 0.9646086893737256**2
    assert wide == pytest.approx(marchenko_pastur((Z - 1 + b2) / b2, 2.0) / b2, abs=1e-5)
    far = 1e5 * (1 + 1j)
    for model in (Conjugate.example(), Tangent.example()):
        assert -far * ll.spectrum(model).stieltjes(far) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_given_inputs_are_used_as_they_are():
    """The eigenvalues of a Marchenko-Pastur law, as many as there are: the isotropic limit."""
    base = ll.spectrum(Conjugate(A.Linear(), 2.0, 1e9))
    values = base.quantile((np.arange(1500) + 0.5) / 1500)
    for model in (Conjugate.example(), Tangent.example()):
        given = dataclasses.replace(model, input_eigenvalues=values / values.mean())
        whole = ll.spectrum(model).stieltjes(Z)
        assert ll.spectrum(given).stieltjes(Z) == pytest.approx(whole, rel=5e-3)
        for name, value in ll.solve(model).observables.items():
            assert ll.solve(given)[name] == pytest.approx(float(value), rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("model", [Conjugate.example(), Tangent.example(), Tangent(A.Sin(), 0.7, 1.3)])
def test_moments_and_mass_are_those_of_the_law(model):
    law, solution = ll.spectrum(model), ll.solve(model)
    assert law.mass == pytest.approx(1.0, abs=1e-5)
    u = (np.arange(200_000) + 0.5) / 200_000
    values = law.quantile(u)
    assert np.mean(values) == pytest.approx(float(solution["mean_eigenvalue"]), rel=1e-3)
    assert np.mean(values**2) == pytest.approx(float(solution["second_moment"]), rel=1e-3)


def test_atoms_are_missing_neurons():
    assert ll.spectrum(Conjugate(A.Tanh(), 2.0, 1.5)).atoms.mass == pytest.approx([0.25])
    assert len(ll.spectrum(Tangent(A.Tanh(), 2.0, 1.5)).atoms.mass) == 0
    linear = ll.spectrum(Tangent(A.Linear(), 4.0, 1.0)).atoms.mass
    assert linear == pytest.approx([0.75])
    linear = ll.spectrum(Conjugate(A.Linear(), 2.0, [1.5, 4.0])).atoms.mass
    assert linear == pytest.approx([0.5])


def drawn(model, dim, count=1, seed=0):
    with double_precision():
        sizes = model.sizes(dim)
        matrices = (model.matrix(sizes, replica_key(seed, "kernels", i)) for i in range(count))
        return np.stack([eigenvalues_and_overlaps(matrix)["eigenvalues"] for matrix in matrices])


@pytest.mark.parametrize("depth", [1, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (2, 3))])
@pytest.mark.parametrize("kind", [Conjugate, Tangent])
def test_drawn_matrices_have_the_transform(kind, depth):
    """Within 1 % at points of imaginary part 0.2 and more; the finite-size term where it is known."""
    options = {"readout": "signs"} if kind is Tangent else {}
    model = kind(A.Tanh(), 2.0, [1.5, 1.0, 1.8][:depth], **options)
    dim, draws = (400, 3) if depth > 1 else (250, 4)
    values = drawn(model, dim, draws)
    law = ll.spectrum(model, dim=dim if depth == 1 and kind is Tangent else None)
    z = Z + 0.3j * (np.real(Z) < 2) * (depth > 1)
    measured = np.mean(1 / (values[..., None] - z), axis=1)
    error = np.std(measured, axis=0, ddof=1) / np.sqrt(draws)
    gap = np.abs(measured.mean(axis=0) - law.stieltjes(z))
    assert np.all(gap < 4 * error + (0.01 + 2 / dim) * np.abs(law.stieltjes(z)))


def test_the_finite_size_term_is_needed_where_slopes_are_steep():
    """sin(3 x): E phi'^2 is 9, and the entry by entry product fluctuates."""
    model = Tangent(A.Activation(lambda x: jax.numpy.sin(3 * x)), 2.0, 1.5, readout="signs")
    values, z = drawn(model, 200, 3), 9.6 + 0.2j
    measured = np.mean(1 / (values - z), axis=1)
    error = np.std(measured) / np.sqrt(len(measured))
    with_term, without = (ll.spectrum(model, dim=dim).stieltjes(z) for dim in (200, None))
    assert abs(measured.mean() - with_term) < 4 * error + 0.02 * abs(with_term)
    assert abs(measured.mean() - without) > 0.05


def test_the_closed_kernel_is_the_jacobians():
    model = Tangent(A.Tanh(), 1.5, [1.2, 0.8])
    with double_precision():
        network = model.draw(model.sizes(10), replica_key(0, "jacobian", 0))
        phi = model.normalised()

        def outputs(weights, readout):
            last = network.inputs
            for layer, one in zip(weights, phi, strict=True):
                last = one(layer @ last) / np.sqrt(len(layer))
            return readout @ last

        parts = jax.tree.leaves(jax.jacobian(outputs, argnums=(0, 1))(network.weights, network.readout))
        rows = np.concatenate([np.asarray(part).reshape(len(part), -1) for part in parts], axis=1)
        closed = np.asarray(tangent_kernel(network, phi))
    assert closed == pytest.approx(rows @ rows.T, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Conjugate, Tangent])
def test_checks_of_the_house(kind):
    check_model(kind.example(), throw=True)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Conjugate(A.Tanh(), 0.0, 1.0), "samples_per_dim must be positive"),
        (lambda: Conjugate(A.Tanh(), 1.0, [1.0, -1.0]), "widths_per_dim must be positive"),
        (lambda: Conjugate(A.Tanh(), 1.0, [[1.0]]), "widths_per_dim must be a number, or one for each"),
        (lambda: Conjugate((A.Tanh(),) * 3, 1.0, [1.0, 2.0]), "activation must be one, or a tuple of 2"),
        (lambda: Conjugate(lambda x: 0 * x + 1, 1.0, 1.0), "of finite and positive variance"),
        (lambda: Conjugate(A.Tanh(), 1.0, 1.0, [0.5, 0.7]), "of mean one"),
        (lambda: Tangent(A.Tanh(), 1.0, 1.0, readout="half"), 'readout must be "gaussian" or "signs"'),
        (lambda: ll.simulate(Conjugate(A.Tanh(), 1.0, 0.01), dim=10), "it rounds to zero"),
        (lambda: ll.solve(Conjugate.example(), dim=100), "no finite-size term is known"),
        (lambda: ll.spectrum(Tangent.example(), dim=100), "known for one hidden layer"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        make()


def test_jumps_have_no_tangent_kernel():
    with pytest.raises(ll.errors.InvalidInput, match=r"NeuralTangentKernel.activation must be without jumps"):
        ll.models.NeuralTangentKernel(ll.activations.Sign(), 2.0, 1.5)
    with pytest.raises(ll.errors.InvalidInput, match=r"SteppedWeights.activation must be without jumps"):
        ll.models.SteppedWeights(ll.activations.Sign(), ll.activations.Tanh(), 2.0, 1.5, 1.0)
    assert ll.models.ConjugateKernel(ll.activations.Sign(), 2.0, 1.5).depth == 1
    assert ll.models.NeuralTangentKernel(ll.activations.ReLU(), 2.0, 1.5).depth == 1
