"""Studies: grids, axes, comparison, thinning, agreement with the single verbs."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll

A, T = ll.activations, ll.targets
NETWORK = ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 20.0, 1.0, 1.0, 0.1, bulk="isotropic")
STUDY = ll.Study(NETWORK, over={"samples_per_dim": np.linspace(0.5, 2.5, 5), "penalty": [0.05, 0.5]})


def test_a_batch_is_the_loop():
    theory = STUDY.solve()
    assert theory["test_error"].dims == ("samples_per_dim", "penalty")
    for i, samples in enumerate(theory.samples_per_dim.values):
        for j, penalty in enumerate(theory.penalty.values):
            alone = ll.solve(
                ll.models.GiantStep(
                    A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 20.0, samples, 1.0, penalty, bulk="isotropic"
                )
            )
            assert float(theory["test_error"][i, j]) == pytest.approx(float(alone["test_error"]), abs=1e-12)
            overlap = float(theory["spike_overlap"][i, j, 0, 0])
            assert overlap == pytest.approx(float(alone.order_parameters["spike_overlap"][0, 0]), abs=1e-10)


def test_datasets_say_what_they_are():
    theory = STUDY.solve()
    assert theory.attrs["model"] == "GiantStep"
    assert "2402.04980" in theory.attrs["reference"]
    assert theory.attrs["standing"] == "heuristic"
    assert theory.attrs["field_step_size"] == "1"
    assert "label noise included" in theory["test_error"].attrs["description"]
    assert theory["samples_per_dim"].attrs["long_name"].startswith("n/d")


@pytest.mark.slow
def test_objects_vectors_and_endpoints_as_axes():
    study = ll.Study(NETWORK, over={
        "target": [T.SingleIndex(jnp.sin), T.SingleIndex(A.Tanh()), T.SignLabels(0.1), T.SignLabels(0.1)],
        "step_samples_per_dim": [0.0, 2.0, np.inf],
    })  # fmt: skip
    theory = study.solve()
    assert list(theory.target.values) == ["sin", "tanh", "sign, noise 0.1 #1", "sign, noise 0.1 #2"]
    assert np.all(np.isfinite(theory["test_error"]))
    np.testing.assert_allclose(theory["test_error"][2], theory["test_error"][3])
    letters = ll.Study(NETWORK, over={"readout": [(1.0,), [2.0], np.array([-1.0])]}).solve()
    assert list(letters.readout.values) == ["(1)", "(2)", "(-1)"]
    named = ll.Study(NETWORK, over={"penalty": {"small": 0.01, "large": 1.0}}).solve()
    assert list(named.penalty.values) == ["small", "large"]


@pytest.mark.slow
def test_a_divergent_point_does_not_harm_its_neighbours():
    study = ll.Study(NETWORK, over={"samples_per_dim": [0.5, 1.0, 2.0], "penalty": [0.0]})
    theory = study.solve()
    assert np.isinf(theory["test_error"].values.ravel()).tolist() == [False, True, False]
    assert theory["status"].values.ravel().tolist() == [0, 4, 0]


def test_quantities_keep_only_what_is_asked():
    assert set(STUDY.solve(quantities=["train_error"]).data_vars) == {
        "train_error",
        "status",
        "residual",
        "steps",
    }


def test_thin_keeps_both_ends():
    assert STUDY.thin(samples_per_dim=3).coordinates["samples_per_dim"] == (0.5, 1.5, 2.5)
    assert STUDY.thin(samples_per_dim=1).coordinates["samples_per_dim"] == (0.5,)


def test_a_cell_is_the_verbs_replica():
    measured = STUDY.thin(samples_per_dim=2).simulate(dim=30, replicas=2, seed=7)
    alone = ll.simulate(STUDY.thin(samples_per_dim=2).models[3], dim=30, replicas=2, seed=7)
    np.testing.assert_array_equal(measured["test_error"].values[1, 1], alone["test_error"])


def test_compare():
    theory, measured = STUDY.solve(), STUDY.thin(samples_per_dim=2).simulate(dim=60, replicas=5)
    table = ll.compare(theory, measured)
    names = ["test_error", "train_error", "test_loss", "train_loss", "train_objective"]
    assert list(table.quantity.values) == names
    point = table.sel(quantity="test_error", samples_per_dim=2.5, penalty=0.5)
    values = measured["test_error"].sel(samples_per_dim=2.5, penalty=0.5).values
    assert float(point.experiment) == pytest.approx(values.mean())
    assert float(point.standard_error) == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert float(point.z) == pytest.approx(float(point.gap / point.standard_error))
    overlaps = ll.compare(theory, measured, quantities=["spike_overlap", "norm"])
    assert list(overlaps.quantity.values) == ["spike_overlap[0,0]", "norm[0]"]
    single = ll.compare(ll.solve(NETWORK), ll.simulate(NETWORK, dim=40, replicas=3))
    assert single["z"].dims == ("quantity",)
    other = ll.Study(NETWORK, over={"samples_per_dim": [0.7], "penalty": [0.5]}).simulate(dim=30)
    with pytest.raises(ll.errors.InvalidInput, match="at the theory's points"):
        ll.compare(theory, other)


@pytest.mark.parametrize(
    ("over", "kind", "sentence"),
    [
        ({"samples_per_dimm": [1.0]}, ll.errors.UnknownName, "closest: samples_per_dim"),
        ({"samples_per_dim": [1.0, -1.0]}, ll.errors.InvalidInput, "samples_per_dim must be positive"),
        ({"samples_per_dim": []}, ll.errors.InvalidInput, "at least one point"),
        ({"samples_per_dim": [1.0, 1.0]}, ll.errors.InvalidInput, "different points"),
        ({"penalty": 0.1}, ll.errors.InvalidInput, "Study.penalty must be an axis: .*, got 0.1"),
        ({"penalty": np.asarray(0.1)}, ll.errors.InvalidInput, "Study.penalty must be an axis"),
        ({"target": "sin"}, ll.errors.InvalidInput, "Study.target must be an axis: .*, got 'sin'"),
        ({"target": {}}, ll.errors.InvalidInput, "at least one point"),
        ({"penalty": np.array([1.0, 1.0 + 1.0j])}, ll.errors.InvalidInput, "penalty must be a number"),
        ([("penalty", [0.1, 1.0])], ll.errors.InvalidInput, "Study.over must be a mapping .*, got 'list'"),
        ({3: [0.1, 1.0]}, ll.errors.UnknownName, "unknown field of GiantStep '3'"),
    ],
)
def test_the_whole_grid_is_checked_first(over, kind, sentence):
    with pytest.raises(kind, match=sentence):
        ll.Study(NETWORK, over=over)


@pytest.mark.parametrize(
    "arguments",
    [{"dim": 0}, {"dim": 2.5}, {"dim": None}, {"dim": 20, "replicas": 0}, {"dim": 20, "seed": -1}],
)
def test_bad_counts(arguments):
    with pytest.raises(ll.errors.InvalidInput):
        STUDY.simulate(**arguments)


@pytest.mark.parametrize("dim", [0, -3, 2.5, True, "30"])
def test_a_bad_dimension_is_refused_by_every_way_to_solve(dim):
    for solve in (STUDY.solve, lambda dim: ll.solve(NETWORK, dim=dim)):
        with pytest.raises(
            ll.errors.InvalidInput, match=r"solve\.dim must be a positive integer or None, got"
        ):
            solve(dim=dim)


@pytest.mark.slow
def test_letters_take_equal_shares_unless_told():
    study = ll.Study(NETWORK, over={"readout": [(1.0,), (1.0, -0.6)]})
    told = dataclasses.replace(NETWORK, readout=(1.0, -0.6), readout_fraction=(0.5, 0.5))
    theory = study.solve()
    assert float(theory["test_error"][1]) == pytest.approx(float(ll.solve(told)["test_error"]), abs=1e-12)
    assert np.all(np.isfinite(study.simulate(dim=20)["test_error"]))


def test_optimise_finds_the_best_penalty():
    best = ll.optimise(NETWORK, over=("penalty",))
    assert best.status == "converged"
    grid = ll.Study(NETWORK, over={"penalty": np.geomspace(0.01, 10, 200)}).solve()["test_error"]
    assert best.value <= float(grid.min()) + 1e-12
    assert float(best.model.penalty) == pytest.approx(float(grid.penalty[np.argmin(grid.values)]), rel=0.05)
    assert best.path[:, -1].min() == best.value


@pytest.mark.slow
def test_optimise_over_a_function_with_a_budget():
    """Split 6 d samples between step and readout."""

    def split(vector):
        share = 1 / (1 + jnp.exp(-vector[0]))
        return ll.models.GiantStep(
            A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 6 * share, 6 * (1 - share), 1.0, jnp.exp(vector[1])
        )

    best = ll.optimise(over=split, start=[0.0, -2.0])
    total = float(best.model.step_samples_per_dim + best.model.samples_per_dim)
    assert total == pytest.approx(6.0)
    assert (
        best.value
        < ll.solve(ll.models.GiantStep(A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 3.0, 3.0, 1.0, np.exp(-2.0)))[
            "test_error"
        ]
    )


TWO_SPIKES = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.Sin(), 0.1), 1.3, 1.2, 0.1, strength=[[1.2, 0.6]], alignment=[0.3, 0.7]
)


@pytest.mark.slow
def test_optimise_keeps_alignments_in_the_ball():
    """The best teacher lies along the row's spike: its alignment goes to the strength's direction."""
    best = ll.optimise(TWO_SPIKES, over=("alignment",))
    assert 1 - 1e-6 < np.linalg.norm(best.model.alignment) <= 1 + 1e-12
    assert best.value < ll.solve(TWO_SPIKES)["test_error"]
    assert best.path[0, -1] == pytest.approx(float(ll.solve(TWO_SPIKES)["test_error"]), rel=1e-9)
    with pytest.raises(ll.errors.InvalidInput, match="alignment must be of norm below 1 where"):
        ll.optimise(dataclasses.replace(TWO_SPIKES, alignment=[0.6, 0.8]), over=("alignment",))


@pytest.mark.slow
def test_optimise_refines_a_quadrature_as_solve_does():
    """Strong spikes need the finest rule: without it the search had no finite start."""
    strong = dataclasses.replace(TWO_SPIKES, strength=[[3.0, 1.0]])
    best = ll.optimise(strong, over=("alignment",), steps=1)
    assert best.path[0, -1] == pytest.approx(float(ll.solve(strong)["test_error"]), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("start", [None, (0.2, 0.3, 0.5)])
def test_optimise_keeps_shares_on_the_simplex(start):
    letters = dataclasses.replace(NETWORK, readout=(1.0, -0.3, 2.0), readout_fraction=start)
    best = ll.optimise(letters, over=("readout_fraction", "penalty"), steps=20)
    assert np.all(best.model.readout_fraction > 0)
    assert np.sum(best.model.readout_fraction) == pytest.approx(1.0, abs=1e-12)
    assert best.value < ll.solve(letters)["test_error"]
    groups = dataclasses.replace(
        TWO_SPIKES,
        strength=[1.2, -0.5],
        alignment=0.7,
        bulk_variance=[1.0, 1.5],
        fraction=start and (0.4, 0.6),
    )
    found = ll.optimise(groups, over=("fraction",), steps=5)
    assert np.sum(found.model.fraction) == pytest.approx(1.0, abs=1e-12)


def test_optimise_says_why_there_is_no_start():
    with pytest.raises(ll.errors.NotConverged, match="no finite test_error at the start"):
        ll.optimise(dataclasses.replace(NETWORK, penalty=0.0), over=("step_size",))


@pytest.mark.slow
def test_optimise_says_when_a_range_ends(monkeypatch):
    """More samples are always better at a good penalty: the search stops at the end of its range."""
    from limitlaw import _optimise

    monkeypatch.setattr(_optimise, "REACH", 0.5)
    best = ll.optimise(NETWORK, over=("samples_per_dim",))
    assert best.status == "variable 0 reached the end of its range"
    assert float(best.model.samples_per_dim) == pytest.approx(np.exp(0.5))
    with pytest.raises(ll.errors.UnknownName, match="closest: penalty"):
        ll.optimise(NETWORK, over=("penalti",))


def test_optimise_takes_one_name():
    one, several = (ll.optimise(NETWORK, over=over, steps=2) for over in ("penalty", ["penalty"]))
    assert one.value == several.value
    assert one.path.shape[1] == 2


@pytest.mark.slow
def test_optimise_searches_the_strengths_of_a_penalty():
    model = dataclasses.replace(TWO_SPIKES, strength=1.0, alignment=0.7)
    net = dataclasses.replace(model, penalty=ll.penalties.ElasticNet(0.0, 0.02))
    best = ll.optimise(net, over="penalty", steps=8)
    # Only the positive strength moves: the best ridge.
    ridge = ll.optimise(dataclasses.replace(model, penalty=0.02), over="penalty")
    assert best.path.shape[1] == 2
    assert best.model.penalty.absolute == 0
    assert best.value == pytest.approx(ridge.value, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"over": ()}, r"optimise\.over must be one name of a field or more, or a function, got \(\)"),
        ({"over": 3}, r"optimise\.over must be one name"),
        ({"over": ("penalty", "penalty")}, r"optimise\.over must be different names"),
        ({"over": "penalty", "steps": 0}, r"optimise\.steps must be an integer of 1 or more, got 0"),
        ({"over": "penalty", "steps": True}, r"optimise\.steps must be an integer"),
        ({"over": lambda v: NETWORK, "start": "a"}, r"optimise\.start must be real numbers"),
    ],
)
def test_optimise_says_what_it_cannot_search(arguments, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ll.optimise(NETWORK, **arguments)
