"""Networks trained by gradients: prompts, blocks, descent that resumes, and what must come out."""

import dataclasses
import signal
import subprocess
import sys
import textwrap
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.studies import watch
from limitlaw.training.descent import UNWATCHED, descend
from limitlaw.training.in_context import _begin, draw_prompts, squared_error
from limitlaw.vocabulary.networks import Block, dense, scores

N = ll.networks
SMALL = ll.models.TrainedAttention(N.Softmax(1, 1), 2.0, 1.0, 2.0, 0.1, updates=40)


def test_prompts_hide_the_answer(float64):
    tasks = jax.random.normal(jax.random.key(0), (500, 4))
    prompts = draw_prompts(jax.random.key(1), tasks, 3, jnp.asarray(0.25))
    assert prompts.rows.shape == (500, 4, 5)
    assert jnp.all(prompts.rows[:, -1, -1] == 0)
    assert jnp.all(prompts.rows[:, :-1, -1] != 0)
    signal_ = jnp.sum(prompts.rows[:, -1, :-1] * tasks, axis=1)
    np.testing.assert_allclose(prompts.signal, signal_, atol=1e-5)
    noise = prompts.label - prompts.signal
    assert float(jnp.mean(noise**2)) == pytest.approx(0.25, abs=4 * 0.25 * np.sqrt(2 / 500))


def test_linear_attention_is_the_house_model():
    """With the query's row scored by its token, and labels as values, it is x' Gamma h of `LinearAttention`."""
    dim, length = 3, 6
    network = N.Linear().start(jax.random.key(0), dim)
    unit = jnp.zeros((dim + 1, dim)).at[jnp.arange(dim), jnp.arange(dim)].set(1.0)
    last = jnp.zeros((dim + 1, dim)).at[dim, 0].set(1.0)
    parts = {"query": unit, "key": unit, "value": last}
    made = dataclasses.replace(
        network,
        scores=dataclasses.replace(
            network.scores,
            **{
                name: dataclasses.replace(getattr(network.scores, name), kernel=kernel)
                for name, kernel in parts.items()
            },
        ),
        readout=dataclasses.replace(network.readout, kernel=jnp.eye(dim)[:, :1]),
    )
    prompts = draw_prompts(jax.random.key(2), jnp.ones((1, dim)), length, jnp.asarray(0.1))
    rows = np.asarray(prompts.rows[0], dtype=float)
    expected = rows[-1, :-1] @ (rows[:-1, :-1].T @ rows[:-1, -1]) / np.sqrt(dim)
    assert float(made(prompts.rows[0])) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_blocks_are_causal_and_normed(layers):
    rows = jax.random.normal(jax.random.key(1), (5, 4), jnp.float32)
    block = N.Softmax(1, layers).start(jax.random.key(0), 4).blocks[0]
    assert isinstance(block, Block)
    out = block(rows)
    np.testing.assert_allclose(out.mean(1), 0.0, atol=1e-5)
    np.testing.assert_allclose(out.var(1), 1.0, atol=1e-3)
    changed = block(rows.at[3:].add(1.0))
    np.testing.assert_allclose(changed[:3], out[:3], atol=1e-6)
    assert float(jnp.max(jnp.abs(changed[4] - out[4]))) > 1e-3


def test_start_is_lecun_normal():
    kernel = dense(jax.random.key(0), 400, 300).kernel
    assert float(kernel.std()) == pytest.approx(400**-0.5, rel=0.01)
    assert scores(jax.random.key(0), 4, 3, bias=False).query.bias is None


def test_descent_is_the_same_however_it_is_cut(float64):
    def update(state, data, key):
        return state + data * jax.random.normal(key)

    saved = []
    keep = UNWATCHED._replace(save=saved.append)
    start, data, key = jnp.zeros(3), jnp.arange(3.0), jax.random.key(0)
    whole = descend(update, start, data, 1700, key, keep)
    assert [int(one["updates"]) for one in saved] == [500, 1000, 1500, 1700]
    reports = []
    resumed = descend(
        update,
        start,
        data,
        1700,
        key,
        UNWATCHED._replace(load=lambda: saved[1], report=lambda *r: reports.append(r)),
    )
    np.testing.assert_array_equal(resumed, whole)
    assert reports == [(1000, 1700), (1500, 1700), (1700, 1700)]
    expected = data * sum(jax.random.normal(jax.random.fold_in(key, n)) for n in range(1700))
    np.testing.assert_allclose(whole, expected, rtol=1e-10)


def test_a_checkpoint_that_does_not_fit_is_left_alone(float64):
    def update(state, data, key):
        return state + 1

    for found in (
        {"updates": np.asarray(4), "leaf-0": np.zeros(2)},
        {"updates": np.asarray(99), "leaf-0": np.zeros(3)},
        {"leaf-0": np.zeros(3)},
    ):
        after = descend(
            update, jnp.zeros(3), None, 10, jax.random.key(0), UNWATCHED._replace(load=lambda f=found: f)
        )
        np.testing.assert_array_equal(after, 10.0)


@pytest.mark.slow
def test_one_update_is_adamw():
    """The first step of AdamW moves every weight by the learning rate, against its slope, and decays it."""
    model = dataclasses.replace(SMALL, updates=1, batch_fraction=1.0, learning_rate=0.01, weight_decay=0.3)
    with double_precision():
        sizes, key = model.sizes(4), jax.random.key(5)
        tasks = model.draw(sizes, key)
        trained = model.learner().fit(tasks, sizes, key)
        prompts, (start, _) = _begin(model.learner(), tasks, sizes, key)
        slopes = jax.tree.leaves(jax.grad(squared_error)(start, prompts))
    for before, after, slope in zip(
        jax.tree.leaves(start), jax.tree.leaves(trained.network), slopes, strict=True
    ):
        steady = np.abs(slope) > 1e-4
        expected = before - 0.01 * (np.sign(slope) + 0.3 * before)
        np.testing.assert_allclose(after[steady], expected[steady], atol=1e-5)


@pytest.mark.slow
def test_replicas_are_alone_what_they_are_together(tmp_path):
    measured = ll.simulate(SMALL, dim=4, replicas=2, test_samples=50)
    stored = ll.Study(SMALL, {}).simulate(dim=4, replicas=2, test_samples=50, store=tmp_path / "run")
    for name, values in measured.observables.items():
        np.testing.assert_array_equal(stored[name].values.ravel(), values)
    assert not list((tmp_path / "run").glob("training-*"))


def test_updates_may_be_varied():
    study = ll.Study(SMALL, {"updates": [3, 40]}).simulate(dim=4, replicas=1, test_samples=50)
    for updates in (3, 40):
        alone = ll.simulate(dataclasses.replace(SMALL, updates=updates), dim=4, test_samples=50)
        assert float(study["icl_error"].sel(updates=updates).item()) == alone["icl_error"][0]


SCRIPT = """
    import sys, limitlaw as ll, numpy as np
    from limitlaw.studies import watch
    watch.SECONDS = 0.0
    model = ll.models.TrainedAttention(ll.networks.Linear(), 2.0, 1.0, np.inf, 0.1, updates=12000)
    found = ll.Study(model, {}).simulate(dim=4, store=sys.argv[1], test_samples=50)
    print({name: float(found[name].item()).hex() for name in ("icl_error", "idg_error", "train_error")})
"""


@pytest.mark.slow
def test_a_killed_training_resumes_bit_for_bit(tmp_path):
    """SIGKILL in the middle of one cell, for real."""
    script = tmp_path / "training.py"
    script.write_text(textwrap.dedent(SCRIPT))
    killed = [sys.executable, str(script), str(tmp_path / "killed")]
    process = subprocess.Popen(killed, stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "training-000000-000000.npz"
    deadline = time.time() + 120
    while time.time() < deadline and not (watch.read_arrays(checkpoint) or {"updates": 0})["updates"] >= 1500:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    arrays = watch.read_arrays(checkpoint)
    assert arrays is not None
    assert 1500 <= arrays["updates"] < 12000
    resumed = subprocess.run(killed, capture_output=True, text=True, check=True).stdout
    assert not checkpoint.exists()
    whole = [sys.executable, str(script), str(tmp_path / "whole")]
    assert resumed == subprocess.run(whole, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_divergence_is_a_result():
    model = dataclasses.replace(SMALL, network=N.Linear(), learning_rate=1e8, updates=200)
    measured = ll.simulate(model, dim=4, test_samples=20)
    assert measured["icl_error"][0] > 1e6
    assert not np.isnan(measured["icl_error"][0])


@pytest.mark.slow
def test_errors_lie_between_noise_and_nothing_learned():
    """Many sequences: the error is above the noise and below that of predicting zero."""
    model = ll.models.TrainedAttention(N.Linear(), 30.0, 1.0, np.inf, 0.01, updates=20_000)
    measured = ll.simulate(model, dim=8, replicas=2)
    assert np.all(measured["icl_error"] < 1.01)
    assert np.all(measured["icl_error"] > 0.01)
    bound = ll.solve(ll.models.ContextRidge(1.0, 0.01))["icl_error"]
    assert measured.mean("icl_error") > bound


@pytest.mark.slow
def test_the_error_peaks_near_the_interpolation_threshold():
    errors = []
    for sequences in (0.4, 1.2, 5.0):
        model = ll.models.TrainedAttention(N.Linear(), sequences, 1.0, np.inf, 0.01, updates=60_000)
        errors.append(ll.simulate(model, dim=8, replicas=3).mean("icl_error"))
    assert errors[1] > 1.3 * max(errors[0], errors[2]), errors


@pytest.mark.slow
def test_few_tasks_are_memorised():
    base = ll.models.TrainedAttention(N.Softmax(2, 1), 10.0, 1.0, 0.25, 0.01, updates=10_000)
    few = ll.simulate(base, dim=8, replicas=2)
    many = ll.simulate(dataclasses.replace(base, tasks_per_dim=8.0), dim=8, replicas=2)
    assert few.mean("task_gap") > 0.5 > many.mean("task_gap")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "softmax"}, "network must be a network"),
        ({"batch_fraction": 1.5}, "batch_fraction must be at most 1"),
        ({"updates": 0}, "updates must be a positive integer"),
        ({"updates": 1.5}, "updates must be a positive integer"),
        ({"tasks_per_dim": 0.0}, "tasks_per_dim must be positive, or inf"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
    ],
)
def test_mistakes_are_sentences(changes, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(SMALL, **changes)


def test_no_theory_is_a_sentence():
    for call in (lambda: ll.solve(SMALL), lambda: ll.Study(SMALL, {}).solve()):
        with pytest.raises(ll.errors.InvalidInput, match="a model with a limit"):
            call()
    with pytest.raises(ll.errors.InvalidInput, match="blocks must be an integer of 1 or more"):
        N.Softmax(0)
