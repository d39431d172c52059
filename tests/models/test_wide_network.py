"""Trained networks: gradients, steps, batches, probes, divergence, a user's arrays, and the three regimes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.core.gram_matrices import centred
from limitlaw.core.precision import double_precision
from limitlaw.simulation.network_kernels import outputs
from limitlaw.simulation.network_probes import Parameters, target_alignment, top_vector
from limitlaw.training.descent import UNWATCHED
from limitlaw.training.probes import logarithmic_steps
from limitlaw.training.wide_network import NetworkUpdate
from limitlaw.vocabulary.normalised import Normalised

A, RULES = ll.activations, ll.optimisers
SMALL = ll.models.WideNetwork(
    A.Tanh(), ll.targets.SingleIndex(A.Tanh(), 0.1), 2.0, 1.5, learning_rate=0.3, steps=4
)
DEEP = dataclasses.replace(SMALL, widths_per_dim=np.array([1.5, 1.0]))


def drawn(model, dim=12, **fields):
    """An instance, its sizes and the update, all in double precision."""
    model = dataclasses.replace(model, **fields)
    sizes, instance = model.sizes(dim, 50), model.instance(dim)
    learner = model.learner()
    scale = learner.output_scale(sizes)
    update = NetworkUpdate(
        learner.activations, model.optimiser, jnp.asarray(0.7), sizes.batch, model.train_readout, scale
    )
    return model, sizes, instance, update


@pytest.mark.parametrize("model", [SMALL, DEEP, dataclasses.replace(SMALL, parametrisation="mean-field")])
def test_gradients_are_finite_differences(float64, model):
    _, _, instance, update = drawn(model)
    loss = jax.jit(lambda one: update.loss(one, instance.data.train))
    slopes = jax.grad(loss)(instance.parameters)
    leaves, structure = jax.tree.flatten(instance.parameters)
    keys = jax.random.split(jax.random.key(3), len(leaves))
    ways = [jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]

    def moved(step):
        return jax.tree.unflatten(structure, [a + step * b for a, b in zip(leaves, ways, strict=True)])

    along = sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(slopes), ways, strict=True))
    numeric = (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5
    assert float(along) == pytest.approx(float(numeric), rel=1e-7)


def test_a_step_of_descent_is_the_one_on_paper(float64):
    """grad_v = Phi' r/sqrt(h), grad_W = ((r v') * phi'(P))' X/sqrt(h d), r = (f - y)/n."""
    _, _, instance, update = drawn(SMALL)
    (after, _, done) = update(update.start(instance.parameters), (instance.data, jax.random.key(0)), None)
    weights, readout = instance.parameters.weights[0], instance.parameters.readout
    train, phi = instance.data.train, Normalised.of(A.Tanh())
    fields, width = weights @ train.inputs, len(weights)
    residual = (readout @ phi(fields) / np.sqrt(width) - train.labels) / len(train.labels)
    slope = (readout[:, None] * phi.derivative(fields) * residual) @ train.inputs.T / np.sqrt(width)
    np.testing.assert_allclose(after.weights[0], weights - 0.7 * slope, atol=1e-12)
    np.testing.assert_allclose(
        after.readout, readout - 0.7 * phi(fields) @ residual / np.sqrt(width), atol=1e-12
    )
    assert int(done) == 1


def test_momentum_keeps_a_share_of_the_last_step(float64):
    _, _, instance, update = drawn(SMALL, optimiser=RULES.GradientDescent(0.6))
    data, state = (instance.data, jax.random.key(0)), update.start(instance.parameters)
    first = update(state, data, None)
    second = update(first, data, None)
    slope = jax.grad(update.loss)(first[0], instance.data.train).readout
    expected = 0.6 * (first[0].readout - instance.parameters.readout) - 0.7 * slope
    np.testing.assert_allclose(second[0].readout - first[0].readout, expected, atol=1e-12)


@pytest.mark.parametrize("optimiser", [RULES.GradientDescent(0.5), RULES.Adam(floor=0.0)])
def test_a_fixed_readout_stays(float64, optimiser):
    _, _, instance, update = drawn(SMALL, optimiser=optimiser, train_readout=False)
    after = update(update.start(instance.parameters), (instance.data, jax.random.key(0)), None)[0]
    np.testing.assert_array_equal(after.readout, instance.parameters.readout)
    assert float(jnp.min(jnp.abs(after.weights[0] - instance.parameters.weights[0]))) > 0


def test_an_epoch_visits_every_sample_once(float64):
    _, sizes, instance, update = drawn(SMALL, batch_fraction=0.25)
    assert sizes.batch == 6
    batches = [update._batch(instance.data.train, jax.random.key(1), jnp.asarray(k)) for k in range(8)]
    for epoch in (batches[:4], batches[4:]):
        seen = np.sort(np.concatenate([np.asarray(one.labels) for one in epoch]))
        np.testing.assert_array_equal(seen, np.sort(instance.data.train.labels))
    assert not np.array_equal(batches[0].labels, batches[4].labels)
    place = int(np.flatnonzero(np.asarray(instance.data.train.labels == batches[5].labels[2]))[0])
    np.testing.assert_array_equal(batches[5].inputs[:, 2], instance.data.train.inputs[:, place])


@pytest.mark.parametrize("train_readout", [True, False])
def test_the_limit_of_stability_is_that_of_the_hessian(train_readout):
    """At zero residual the Hessian of the loss is J' J/n, J the Jacobian of all outputs."""
    model = dataclasses.replace(SMALL, train_readout=train_readout, steps=1)
    with double_precision():
        _, _, instance, _ = drawn(model)
        phi, inputs = model.learner().activations, instance.data.train.inputs

        def answers(weights, readout):
            return outputs(Parameters((weights,), readout).network(inputs), phi)

        parts = jax.jacobian(answers, argnums=(0, 1) if train_readout else (0,))(
            instance.parameters.weights[0], instance.parameters.readout
        )
        flat = np.concatenate([np.asarray(part).reshape(len(inputs.T), -1) for part in parts], axis=1)
    top = np.linalg.eigvalsh(flat @ flat.T)[-1] / len(inputs.T)
    found = ll.simulate(model, dim=12, test_samples=50)["stability_limit"][0]
    assert found == pytest.approx(2 / top, rel=1e-10)


def test_momentum_moves_the_limit_of_stability():
    """On a quadratic of curvature c, heavy ball converges below 2 (1 + m)/c and not above."""
    rule, curvature = RULES.GradientDescent(0.6), 3.0
    for rate, converges in ((0.98, True), (1.02, False)):
        step, place, last = float(rule.rate(jnp.asarray(rate), jnp.asarray(curvature))), 1.0, 0.0
        for _ in range(400):
            last = 0.6 * last - step * curvature * place
            place += last
        assert (abs(place) < 1) == converges


def test_top_vector_is_that_of_a_full_decomposition(float64):
    root = np.random.default_rng(0).standard_normal((30, 40))
    matrix = jnp.asarray(root @ root.T)
    values, vectors = np.linalg.eigh(matrix)
    found = np.asarray(top_vector(matrix, values[-1]))
    assert abs(found @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-12)


def test_probes_see_what_a_shorter_run_ends_with():
    model = dataclasses.replace(SMALL, probes=(0, 2, 4), batch_fraction=0.5)
    with double_precision():
        sizes, instance, key = model.sizes(12, 50), model.instance(12), jax.random.key(7)
        learner = model.learner()
        long = learner.fit(instance, sizes, key)
        short = dataclasses.replace(learner, probes=(0, 2)).fit(instance, sizes, key)
        assert set(long.records) == set(short.records)
        for name, path in long.records.items():
            np.testing.assert_array_equal(path[:2], short.records[name], err_msg=name)
        assert float(long.records["weight_change"][0]) == 0
        change = np.linalg.norm(long.parameters.weights[0] - instance.parameters.weights[0]) / np.sqrt(12)
    assert float(long.records["weight_change"][2]) == pytest.approx(change, rel=1e-5)


def test_a_resumed_run_is_the_uninterrupted_one():
    model = dataclasses.replace(SMALL, steps=700, batch_fraction=0.5)
    saved = []
    with double_precision():
        sizes, instance, key = model.sizes(6, 20), model.instance(6), jax.random.key(7)
        whole = model.learner().fit(instance, sizes, key, UNWATCHED._replace(save=saved.append))
        resumed = model.learner().fit(instance, sizes, key, UNWATCHED._replace(load=lambda: saved[4]))
    assert 0 < int(saved[4]["updates"]) < int(saved[-1]["updates"]) == 700
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("model", [SMALL, DEEP])
def test_eigenvalues_move_less_than_their_matrix(model):
    """Hoffman and Wielandt: the root mean square move is at most |K - K_0|/sqrt(n), at every probe."""
    model = dataclasses.replace(model, optimiser=RULES.Adam(), learning_rate=0.1)
    found = ll.simulate(model, dim=20, test_samples=50)
    for kernel in ("conjugate", "tangent"):
        values = found[f"{kernel}_eigenvalues"][0]
        move = np.sqrt(np.mean((values - values[0]) ** 2, axis=1))
        bound = found[f"{kernel}_change_path"][0] / np.sqrt(values.shape[1])
        assert np.all(move[1:] <= bound[1:])
        assert np.all(move[1:] > 0.05 * bound[1:])
    assert found["probes"][0].tolist() == list(logarithmic_steps(4, 12)) == [0, 1, 2, 3, 4]
    layers = [name for name in found.order_parameters if name.startswith("weight_2")]
    assert bool(layers) == (len(model.widths_per_dim) == 2)


def test_divergence_is_a_result():
    model = dataclasses.replace(SMALL, learning_rate=1e4, steps=30)
    found = ll.simulate(model, dim=12, test_samples=50)
    assert found["diverged"][0] == 1
    assert found["train_error"][0] == found["test_error"][0] == np.inf
    assert np.isnan(found["weight_distance"][0])
    assert found["diverged_path"][0, 0] == 0
    assert np.isfinite(found["weight_eigenvalues"][0, 0]).all()


def test_growth_without_bound_is_divergence_though_finite():
    model = dataclasses.replace(SMALL, learning_rate=4.0, steps=8)
    found = ll.simulate(model, dim=12, test_samples=50)
    path, errors = found["diverged_path"][0], found["train_error_path"][0]
    np.testing.assert_array_equal(path, 1.0 * ~(errors <= 1e3 * errors[0]))
    assert found["diverged"][0] == 1


def test_studies_name_probes_and_eigenvalues(tmp_path):
    study = ll.Study(SMALL, {"learning_rate": [0.1, 0.2]})
    found = study.simulate(dim=12, replicas=2, test_samples=50, store=tmp_path / "run")
    assert found["test_error_path"].dims == ("learning_rate", "replica", "probe")
    assert found["probes"].dims == ("learning_rate", "replica", "probe")
    assert found["weight_eigenvalues"].dims == ("learning_rate", "replica", "probe", "weight_eigenvalue")
    assert found["tangent_eigenvalues"].shape == (2, 2, 5, 24)
    alone = ll.simulate(dataclasses.replace(SMALL, learning_rate=0.2), dim=12, replicas=2, test_samples=50)
    np.testing.assert_array_equal(found["conjugate_eigenvalues"][1], alone["conjugate_eigenvalues"])
    again = ll.load(tmp_path / "run")
    np.testing.assert_array_equal(again["weight_distance_path"], found["weight_distance_path"])


@pytest.mark.slow
def test_mean_field_outputs_start_small():
    model = dataclasses.replace(SMALL, parametrisation="mean-field", steps=1)
    plain = ll.simulate(dataclasses.replace(SMALL, steps=1), dim=60, replicas=4, test_samples=4000)
    small = ll.simulate(model, dim=60, replicas=4, test_samples=4000)
    square = float(ll.targets.SingleIndex(A.Tanh(), 0.1).moments(0.0, 1.0).second)
    # E f^2 = |v|^2/h, over h once more.
    for found, own in ((plain, 1.0), (small, 1 / 90)):
        errors = found["test_error_path"][:, 0]
        assert np.mean(errors) == pytest.approx(square + own, abs=0.35 * own + 0.03)


@pytest.mark.slow
def test_one_large_step_makes_the_outlier_of_the_theory():
    """`SteppedWeights` at the step that this replica took, with the length of its readout."""
    model = dataclasses.replace(SMALL, learning_rate=3.0, steps=1, train_readout=False)
    dim, replicas = 150, 6
    found = ll.simulate(model, dim=dim, replicas=replicas, test_samples=50)
    edge = 1 + np.sqrt(1.5)
    measured = np.sqrt(found["weight_growth"]) * edge
    lengths = [
        float(np.mean(np.asarray(model.instance(dim, replica=r).parameters.readout) ** 2))
        for r in range(replicas)
    ]
    steps = 3.0 * found["stability_limit"] / dim * np.array(lengths)
    theory = [
        ll.solve(ll.models.SteppedWeights(A.Tanh(), model.target, 2.0, 1.5, step, parametrisation="tangent"))[
            "singular_value"
        ]
        for step in steps
    ]
    assert np.all(np.array(theory) > 1.05 * edge)
    gap = measured - np.array(theory)
    error = np.std(gap, ddof=1) / np.sqrt(replicas)
    assert abs(np.mean(gap)) < 4 * error + np.mean(theory) * 3 / dim


def images(count=60, dim=7):
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((count, dim)) * np.linspace(1, 4, dim) + 3
    return inputs, np.sign(inputs[:, 0] - 3)


def test_own_arrays_are_split_anew_for_each_replica():
    inputs, labels = images()
    model = ll.models.WideNetwork.of_data(inputs, labels, 2.0, test_share=0.25, steps=40)
    assert model.own_dim == 7
    sizes = model.sizes(None)
    assert (sizes.network.samples, sizes.test_samples, sizes.network.widths) == (45, 15, (14,))
    parts = [jax.tree.map(np.asarray, model.instance(replica=replica).data) for replica in range(2)]
    for data in parts:
        rows = np.concatenate([data.train.inputs.T, data.test.inputs.T]) * np.sqrt(7)
        order = np.lexsort(rows.T)
        np.testing.assert_allclose(rows[order], model.inputs[np.lexsort(model.inputs.T)], atol=1e-12)
        direction = data.train.inputs @ (data.train.labels - np.mean(data.train.labels))
        assert np.abs(data.signal @ direction) == pytest.approx(np.linalg.norm(direction))
    assert not np.array_equal(parts[0].train.inputs, parts[1].train.inputs)
    found = ll.simulate(model, replicas=2)
    assert np.all(found["classification_error"] < 0.4)
    assert np.all(found["classification_error_path"][:, 0] != found["classification_error"])


@pytest.mark.parametrize("rare", [8, 20])
def test_rare_labels_are_on_both_sides(rare):
    inputs, _ = images(80)
    labels = np.where(np.arange(80) < rare, 1.0, -1.0)
    model = ll.models.WideNetwork.of_data(inputs, labels, 2.0, test_share=0.25)
    for replica in range(3):
        data = model.instance(replica=replica).data
        assert int(np.sum(np.asarray(data.test.labels) == 1)) == rare // 4
        assert len(data.test.labels) == 20


def test_real_labels_are_split_at_random():
    inputs, _ = images()
    model = ll.models.WideNetwork.of_data(inputs, np.arange(60.0), 2.0, test_share=0.5)
    means = [float(np.mean(np.asarray(model.instance(replica=r).data.test.labels))) for r in range(12)]
    assert abs(np.mean(means)) < 4 * np.std(means, ddof=1) / np.sqrt(12)
    assert np.std(means) > 0.05


def test_centred_alignment_is_that_of_centred_features(float64):
    generator = np.random.default_rng(1)
    features, labels = generator.standard_normal((9, 30)) + 2.0, generator.standard_normal(30) + 1.0
    middle = features - features.mean(axis=1, keepdims=True)
    expected = target_alignment(jnp.asarray(middle.T @ middle), jnp.asarray(labels - labels.mean()))
    found = target_alignment(centred(jnp.asarray(features.T @ features)), jnp.asarray(labels - labels.mean()))
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_other_labels_have_no_sign():
    inputs, _ = images()
    labels = 150 + 50 * inputs[:, 1]
    model = ll.models.WideNetwork.of_data(inputs, labels, 2.0, test_share=0.25, steps=40)
    np.testing.assert_allclose(model.labels * labels.std() + labels.mean(), labels, rtol=1e-12)
    assert np.isnan(ll.simulate(model)["classification_error"][0])
    assert "classification_error" not in ll.simulate(SMALL, dim=12, test_samples=50).observables


def test_trained_weights_are_those_of_the_replica():
    layers = DEEP.trained_weights(12, seed=2, replica=1)
    measured = ll.simulate(DEEP, dim=12, seed=2, replicas=2)
    assert {name: one.shape for name, one in layers.items()} == {
        "layer_1": (18, 12),
        "layer_2": (12, 18),
        "readout": (12,),
    }
    weights = layers["layer_1"].astype(float)
    expected = np.linalg.eigvalsh(weights.T @ weights / 18)
    np.testing.assert_allclose(measured["weight_eigenvalues"][1, -1], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"steps": 0}, "WideNetwork.steps must be a positive integer, got 0"),
        ({"probes": (0, 3)}, r"WideNetwork.probes must be increasing .* to 4, both among them, got \(0, 3\)"),
        ({"probes": (1, 4)}, "both among them"),
        ({"probes": (0, 4, 2)}, "both among them"),
        ({"batch_fraction": 1.5}, "batch_fraction must be at most 1, got 1.5"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"optimiser": RULES.Adam}, "optimiser must be an instance such as"),
        ({"parametrisation": "ntk"}, 'must be "mean-field" or "tangent", got \'ntk\''),
        ({"target": None}, "WideNetwork.target must be"),
        ({"train_readout": "no"}, "train_readout must be True or False, got 'no'"),
        ({"activation": A.Sign()}, "activation must be without jumps"),
        ({"activation": A.Hermite(0)}, "of finite and positive variance"),
        ({"inputs": np.ones((3, 2))}, "WideNetwork.labels must be given, as the other is"),
    ],
)
def test_refusals(fields, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        dataclasses.replace(SMALL, **fields)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x, y: (x, y[:-1]), "labels must be 60, one for each row, got 59"),
        (lambda x, y: (np.where(x > 9, np.nan, x), y), "inputs must be finite"),
        (lambda x, y: (x[0], y), "inputs must be a matrix"),
        (lambda x, y: (x + 1j, y), "inputs must be an array of real numbers"),
        (lambda x, y: (x, [str(one) for one in y]), "labels must be an array of real numbers"),
        (lambda x, y: (x, 0 * y), "labels must be not all equal"),
        (lambda x, y: (0 * x, y), "inputs must be not all equal"),
    ],
)
def test_arrays_that_do_not_fit(change, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ll.models.WideNetwork.of_data(*change(*images()), 2.0)


def test_probes_may_come_as_a_list():
    assert dataclasses.replace(SMALL, probes=[0, 2.0, np.int64(4)]).probes == (0, 2, 4)
    with pytest.raises(ll.errors.InvalidInput, match="target must be left out: the arrays say it"):
        ll.models.WideNetwork.of_data(*images(), 2.0, target=TEACHER)


def test_labels_of_another_order_are_refused():
    inputs, labels = images()
    own = ll.models.WideNetwork.of_data(inputs, labels, 2.0)
    with pytest.raises(ll.errors.InvalidInput, match=r"labels must be of mean square from 0\.1 to 10\.0"):
        dataclasses.replace(own, labels=100 * labels)


def test_sizes_that_round_to_zero():
    with pytest.raises(ll.errors.InvalidInput, match=r"large enough for widths_per_dim, got 1: it rounds"):
        ll.simulate(dataclasses.replace(SMALL, widths_per_dim=0.2), dim=1)
    with pytest.raises(ll.errors.InvalidInput, match="large enough for one of 4 samples"):
        ll.simulate(dataclasses.replace(SMALL, batch_fraction=0.01), dim=2)
    inputs, labels = images()
    own = ll.models.WideNetwork.of_data(inputs, labels, 2.0)
    with pytest.raises(ll.errors.InvalidInput, match="dim must be None or 7"):
        ll.simulate(own, dim=8)
    with pytest.raises(ll.errors.InvalidInput, match="some of the 60 samples of 7 inputs are left"):
        dataclasses.replace(own, samples_per_dim=60 / 7)


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        (
            RULES.GradientDescent,
            {"momentum": 1.0},
            "GradientDescent.momentum must be a number of zero or more",
        ),
        (RULES.Adam, {"first_decay": -0.1}, "Adam.first_decay must be"),
        (RULES.Adam, {"floor": -1.0}, "Adam.floor must be zero or more"),
    ],
)
def test_rules_refuse(kind, fields, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        kind(**fields)


TEACHER = ll.targets.SingleIndex(A.normalised(A.Softplus()), 0.09)
STUDENT = ll.models.WideNetwork(A.Tanh(), TEACHER, 2.0, 1.5)


@pytest.mark.slow
def test_bulk_spectra_are_invariant_at_a_small_rate():
    """Distances fall as 1/n while the changes keep their size (readout fixed, residual small)."""
    model = dataclasses.replace(STUDENT, learning_rate=0.42, steps=120, train_readout=False, probes=(0, 120))
    runs = [ll.simulate(model, dim=dim, replicas=8, test_samples=200) for dim in (50, 100, 200)]
    sizes = np.log([2 * run.dim for run in runs])
    for name in ("weight_distance", "conjugate_distance", "tangent_distance"):
        slope, error = slope_of(sizes, runs, name)
        assert slope == pytest.approx(-1.0, abs=4 * error + 0.02)
    for name in ("weight_change", "weight_change_norm", "conjugate_change", "tangent_change"):
        slope, error = slope_of(sizes, runs, name)
        assert slope == pytest.approx(0.0, abs=4 * error + 0.02)
    assert runs[-1].mean("train_error") < 2e-4


def slope_of(sizes, runs, name):
    """Of log means over log sizes, and its standard error."""
    centred_sizes = sizes - np.mean(sizes)
    weights = centred_sizes / np.sum(centred_sizes**2)
    errors = np.array([run.standard_error(name) / run.mean(name) for run in runs])
    return weights @ np.log([run.mean(name) for run in runs]), np.sqrt(np.sum((weights * errors) ** 2))


@pytest.mark.slow
def test_three_regimes():
    """Orderings and ranges over five networks each; the window of the outlier is narrow."""
    batches = {"batch_fraction": 0.1, "steps": 800}
    regimes = {
        "small": dataclasses.replace(STUDENT, learning_rate=0.3, steps=100),
        "large": dataclasses.replace(STUDENT, learning_rate=0.72, **batches),
        "adaptive": dataclasses.replace(STUDENT, optimiser=RULES.Adam(), learning_rate=0.1, **batches),
    }
    found = {name: ll.simulate(model, dim=200, replicas=5) for name, model in regimes.items()}
    moves = {name: one.mean("weight_distance") for name, one in found.items()}
    assert moves["small"] < 0.01
    assert 0.01 < moves["large"] < 0.06
    assert moves["adaptive"] > 0.15
    assert np.all(found["small"]["weight_outliers"] == 0)
    assert np.all(found["large"]["weight_outliers"] <= 1)
    assert found["large"].mean("weight_alignment") > 0.4
    assert np.all(found["adaptive"]["weight_outliers"] >= 5)
    shape = (300, 200)
    before, after = (ll.fit_tail(found["adaptive"]["weight_eigenvalues"][0, at], shape) for at in (0, -1))
    assert after.hill < before.hill - 1
    assert after.heavier
    for one in found.values():
        assert one.mean("r_squared") > 0.5
        assert np.all(one["diverged"] == 0)


@pytest.mark.slow
def test_the_house_checks_it():
    ll.check_model(ll.models.WideNetwork.example(), throw=True)
