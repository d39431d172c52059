"""Shapes and types of annotations hold while every model is solved and drawn.

In processes of their own: other tests may give plain numbers to the engines (see conftest).
"""

import subprocess
import sys

import pytest

HOOK = """
from jaxtyping import install_import_hook
rooms = ("core", "numerics", "spectra", "vocabulary", "theory", "simulation", "weights")
install_import_hook([f"limitlaw.{room}" for room in rooms], "beartype.beartype")
import dataclasses, limitlaw as ll
"""
MODELS = {
    "giant step": "model, dim = ll.models.GiantStep.example(), 20",
    "frozen features": "model, dim = ll.models.FrozenFeatures.example(), None",
    "groups of gaussian rows": """
model, dim = ll.models.SpikedRandomFeatures(
    (ll.activations.ReLU(), ll.activations.Tanh()), ll.targets.SingleIndex(ll.activations.Sin(), 0.1),
    1.0, 0.8, 0.1, strength=[1.0, -0.5], alignment=0.7, rows="gaussian"), 20
""",
    "gaussian mixture": "model, dim = ll.models.GaussianMixture([[1, 0], [0, 1]], 0.5, 2.0, 0.1, intercept=True), 20",
    "latent gaussian": "model, dim = ll.models.LatentGaussian.example(), 40",
    "logistic": """
model, dim = dataclasses.replace(
    ll.models.RandomFeatures.example(), target=ll.targets.SignLabels(0.1), loss=ll.losses.Logistic()), 20
""",
}


def run(program):
    return subprocess.run([sys.executable, "-c", HOOK + program], capture_output=True, text=True)


SLOW = ("gaussian mixture", "giant step", "groups of gaussian rows", "latent gaussian", "logistic")
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODELS]


@pytest.mark.parametrize("name", CASES)
def test_annotations_hold(name):
    verbs = "ll.solve(model); ll.simulate(model, dim=dim, replicas=2)"
    spectrum = "; ll.spectrum(model).density([0.5, 1.0])" if name == "giant step" else ""
    done = run(f"{MODELS[name]}\n{verbs}{spectrum}")
    assert done.returncode == 0, done.stderr[-3000:]


def test_annotations_hold_for_weights():
    done = run(
        "import numpy as np; g = np.random.default_rng(0)\n"
        "spike = np.outer(np.ones(60), np.ones(40)) / 4\n"
        "weights = {'a': g.standard_normal((60, 40)) + spike, 'b': g.standard_normal((50, 60)) + spike[:50, :1]}\n"
        "found = ll.diagnose(weights | {'c': g.standard_normal((40, 9, 3, 3))}, bootstraps=3)\n"
        "found.tables(); ll.spectral_distance(found['a'].eigenvalues, found['a'].bulk.law)\n"
        "ll.spectral_distance(np.arange(4.0), np.arange(4.0)); ll.fit_tail(found['a'].eigenvalues, (60, 40))"
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_wrong_shape_is_seen():
    done = run(
        "import jax.numpy as jnp\nfrom limitlaw.theory.latent import latent_rule\n"
        "latent_rule(jnp.ones((2, 2)), jnp.ones(()), (), 3)"
    )
    assert "TypeCheckError" in done.stderr
