"""A continuous law of the first readout: convergence in its letters, networks that draw from it, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.cli.fields import build_model
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.rows import spherical_rows
from limitlaw.theory.one_step import step_scalars, stepped_rows

A, T, R = ll.activations, ll.targets, ll.readouts
SINE = ll.models.GiantStep(
    A.Sin(), T.SingleIndex(A.Tanh()), 1.0, 20.0, 2.0, 1.0, 0.05, readout=R.Normal(4), bulk="isotropic"
)
"""A sine student: its mean functions are sines of all strengths, damped."""
UNIFORM = dataclasses.replace(SINE, readout=R.Uniform(1, 0.5, 1.5))
TANH = dataclasses.replace(SINE, activation=A.Tanh(), target=T.SingleIndex(A.Sin()))


SMALL = dataclasses.replace(SINE, readout=R.Uniform(2, 0.5, 1.5))


def lettered(model, letters):
    return dataclasses.replace(model, readout=dataclasses.replace(model.readout, letters=letters))


def told(model):
    """The same model with the rule of its law as a vocabulary."""
    law = model.readout
    return dataclasses.replace(model, readout=law.values, readout_fraction=law.fractions)


@pytest.mark.slow
def test_rule_is_its_vocabulary():
    """Theory, spectrum and bounds go through the equivalent spiked features."""
    spiked = told(SMALL).spiked()
    for one, other in zip(*map(jax.tree.leaves, (SMALL.spiked(), spiked)), strict=True):
        np.testing.assert_array_equal(one, other)
    error = float(ll.solve(SMALL)["test_error"])
    assert error == pytest.approx(float(ll.solve(spiked)["test_error"]), abs=1e-12)
    assert complex(ll.spectrum(SMALL).stieltjes(-0.5)) == complex(ll.spectrum(told(SMALL)).stieltjes(-0.5))
    assert ll.bounds(SMALL).upper == ll.bounds(told(SMALL)).upper


@pytest.mark.parametrize(
    ("model", "counts", "gaps"),
    [
        (UNIFORM, (1, 2), (0.12,)),
        pytest.param(UNIFORM, (1, 2, 3), (0.12, 3e-3), marks=pytest.mark.slow),
        pytest.param(SINE, (2, 4, 8, 12), (0.4, 4e-3, 2e-4), marks=pytest.mark.slow),
    ],
    ids=["uniform", "uniform, one letter more", "normal"],
)
def test_error_converges_in_the_letters(model, counts, gaps):
    """Relative gaps between successive rules, with the finite-width term."""
    errors = np.array([ll.solve(lettered(model, count), dim=300)["test_error"] for count in counts])
    assert np.all(np.abs(errors[:-1] / errors[1:] - 1) < gaps), errors


def mapped_error(model, dim, replicas):
    """Test errors of spiked features whose strengths and variances follow letters drawn from the law.

    They are the isotropic mapping of the step itself, so that they tell the rule over the law from the mapping.
    """
    sizes, scalars = model.sizes(dim), step_scalars(model.activation, model.target)
    zero, axes = jnp.zeros(1), jnp.eye(dim)

    @jax.jit
    def replica(key):
        letters = model.readout.draw(named(key, "letters"), sizes.features)
        rows = stepped_rows(scalars, model.step_size, model.step_samples_per_dim, letters)
        bulk = spherical_rows(named(key, "rows"), sizes.features, dim) * jnp.sqrt(rows.bulk_variance)[:, None]
        teacher = rows.alignment * axes[0] + jnp.sqrt(1 - rows.alignment**2) * axes[1]
        weights = bulk + rows.strength[:, None] * axes[0]
        instance = FeatureInstance(
            weights, teacher, axes[:, :1], zero[:, None], zero, zero, (model.activation,), model.target,
            sizes.groups,
        )  # fmt: skip
        estimate = model.learner().fit(instance, sizes, named(key, "training"))
        return model.measure(instance, estimate, sizes, named(key, "measurement"))[0]["test_error"]

    errors = np.array([float(replica(jax.random.key(seed))) for seed in range(replicas)])
    return np.mean(errors), np.std(errors, ddof=1) / np.sqrt(replicas)


@pytest.mark.slow
@pytest.mark.parametrize("law", [R.Normal(8), R.Uniform(4, 0.5, 1.5)], ids=["normal", "uniform"])
@pytest.mark.parametrize("model", [SINE, TANH], ids=["sine student", "tanh student"])
def test_letters_drawn_from_the_law(model, law):
    """Mapped features and true networks at a large batch, each against its limit with the finite-width term.

    Many letters have nearly the same mean functions, so that the limit itself is far below at any size drawn
    here. The finite-width term is only the leading part of the rest: 10/d of the value is allowed for it.
    Mapped features have taken no step on their own output.
    """
    model, dim = dataclasses.replace(model, readout=law), 300
    networks = ll.simulate(model, dim=dim, replicas=24, seed=1)
    measured = {"networks": (networks.mean("test_error"), networks.standard_error("test_error"))}
    with double_precision():
        measured["mapped features"] = mapped_error(model, dim, 24)
    theories = {"networks": model, "mapped features": told(model).spiked()}
    for name, (mean, error) in measured.items():
        theory = float(ll.solve(theories[name], dim=dim)["test_error"])
        assert abs(mean - theory) < 4 * error + 10 / dim * theory, (name, theory, mean, error)


@pytest.mark.slow
def test_networks_measure_what_no_letter_owns():
    measured = ll.simulate(SMALL, dim=30, replicas=2)
    assert set(measured.observables) == {
        "test_error",
        "train_error",
        "test_loss",
        "train_loss",
        "train_objective",
    }
    assert set(measured.order_parameters) == {"alignment"}
    drawn = ll.simulate(SMALL, dim=30, replicas=2, spectrum=True)
    assert drawn["eigenvalues"].shape == (2, 30)
    assert drawn["eigenvector_overlaps"].shape == (2, 30, 0)
    with pytest.raises(ll.errors.UnknownName, match="norm"):
        ll.compare(ll.solve(SMALL), measured, quantities=["norm"])


def test_studies_know_laws_apart(tmp_path):
    laws = [R.Normal(2), R.Normal(2, 0.5), R.Normal(4), R.Uniform(2)]
    models = [dataclasses.replace(SINE, readout=law) for law in laws]
    assert len({fingerprint(model) for model in models}) == len(laws)
    study = ll.Study(SINE, over={"readout": laws[:2]})
    assert list(study.coordinates["readout"]) == ["normal(2,1)", "normal(2,0.5)"]
    first = study.simulate(dim=20, replicas=2, store=tmp_path / "cells")
    again = study.simulate(dim=20, replicas=2, store=tmp_path / "cells")
    np.testing.assert_array_equal(first["test_error"], again["test_error"])
    with pytest.raises(ll.errors.LimitlawError):
        ll.Study(SINE, over={"readout": laws[2:]}).simulate(dim=20, replicas=2, store=tmp_path / "cells")


def test_command_line():
    law = build_model("giant-step", ["readout=normal(8,0.5)"]).readout
    assert (type(law), law.letters, float(law.deviation)) == (R.Normal, 8, 0.5)
    law = build_model("giant-step", ["readout=uniform(6,0.5,1.5)"]).readout
    assert (law.letters, float(law.low), float(law.high)) == (6, 0.5, 1.5)
    assert build_model("giant-step", ["readout=normal"]).readout.letters == R.Normal().letters
    np.testing.assert_array_equal(build_model("giant-step", ["readout=(1,-0.6)"]).readout, [1.0, -0.6])
    for text, sentence in {
        "normal(2.5)": "Normal.letters must be an integer from 1 to 32, got 2.5",
        "normal(inf)": "Normal.letters must be an integer",
        "uniform(6,1)": "readout.uniform must be followed by numbers",
        "norml(8)": "unknown readout 'norml'; the closest: normal",
    }.items():
        with pytest.raises(ll.errors.LimitlawError, match=sentence):
            build_model("giant-step", [f"readout={text}"])


def test_a_law_has_its_own_shares():
    with pytest.raises(ll.errors.InvalidInput, match="readout_fraction must be None when `readout` is a law"):
        dataclasses.replace(SINE, readout_fraction=(0.5, 0.5))
