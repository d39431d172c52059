"""What the spectra of weights say: planted ranks, their overlaps and alignment, verdicts, refusals."""

import subprocess
import sys

import numpy as np
import pytest

import limitlaw as ll
from limitlaw.spectra.tails import FEW_OUTLIERS, NO_HEAVIER, POWER_LAW

FAST = {"bootstraps": 20, "null_draws": 10}


def unit(generator, dim):
    vector = generator.standard_normal(dim)
    return vector / np.linalg.norm(vector)


def two_layers(seed, strength=2.0, shared=True):
    """Layers 200 -> 300 -> 150 whose planted directions meet in the middle."""
    generator = np.random.default_rng(seed)
    inputs, middle, outputs = (unit(generator, dim) for dim in (200, 300, 150))
    other = middle if shared else unit(generator, 300)
    first = generator.standard_normal((300, 200)) + strength * np.sqrt(300) * np.outer(middle, inputs)
    second = generator.standard_normal((150, 300)) + strength * np.sqrt(300) * np.outer(outputs, other)
    return {"first": 0.1 * first, "second": 0.1 * second}, inputs, middle


def test_planted_directions_are_found_and_meet():
    """Overlaps by the formula, the layers' product of overlaps between them: four standard errors plus 3/p."""
    rows = []
    for seed in range(10):
        weights, inputs, middle = two_layers(seed)
        found = ll.diagnose(weights, **FAST)
        first, second = found.layers
        assert [layer.bulk.outliers for layer in found.layers] == [1, 1]
        assert {layer.tail.verdict for layer in found.layers} == {FEW_OUTLIERS}
        left, right = (first.outliers.outputs[0] @ middle) ** 2, (first.outliers.inputs[0] @ inputs) ** 2
        aligned = found.alignments[0]
        assert (aligned.lower, aligned.upper, aligned.overlaps.shape) == ("first", "second", (1, 1))
        assert aligned.chance < 1e-20
        expected = first.outliers.planted.larger_overlap * second.outliers.planted.larger_overlap
        planted = first.outliers.planted
        rows.append([
            left - planted.larger_overlap[0], right - planted.smaller_overlap[0],
            aligned.overlaps[0, 0] - expected[0], first.bulk.law.variance**0.5 - 0.1,
        ])  # fmt: skip
    rows = np.array(rows)
    assert np.all(np.abs(rows.mean(0)) < 4 * rows.std(0, ddof=1) / np.sqrt(10) + 3 / 200)


def test_strangers_are_aligned_by_chance_only():
    chances = [
        ll.diagnose(two_layers(seed, shared=False)[0], **FAST).alignments[0].chance for seed in range(8)
    ]
    assert min(chances) > 1e-3
    assert max(chances) <= 1


def test_singular_vectors_are_those_of_the_weights():
    generator = np.random.default_rng(1)
    for shape in ((60, 40), (40, 60)):
        sides = [np.linalg.qr(generator.standard_normal((side, 3)))[0] for side in shape]
        values = generator.standard_normal(shape) + sides[0] * [30, 50, 90] @ sides[1].T
        left, sizes, right = np.linalg.svd(values)
        found = ll.diagnose({"w": values}, **FAST)["w"]
        np.testing.assert_allclose(found.outliers.singular_values, sizes[:3])
        np.testing.assert_allclose(found.outliers.eigenvalues, sizes[:3] ** 2 / 60)
        np.testing.assert_allclose(np.abs(np.sum(found.outliers.outputs.T * left[:, :3], axis=0)), 1)
        np.testing.assert_allclose(np.abs(np.sum(found.outliers.inputs * right[:3], axis=1)), 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_untrained_layers_of_any_initialisation(dtype):
    generator = np.random.default_rng(2)
    weights = {
        "gaussian": generator.standard_normal((120, 80)),
        "uniform": generator.uniform(-0.1, 0.1, (80, 120)),
        "signs": generator.choice([-1.0, 1.0], (100, 100)),
        "kernel": generator.standard_normal((48, 16, 3, 3)),
    }
    found = ll.diagnose({name: array.astype(dtype) for name, array in weights.items()}, **FAST)
    assert {layer.tail.verdict for layer in found.layers} == {NO_HEAVIER}
    for layer in found.layers:
        assert layer.bulk.law.variance == pytest.approx(np.mean(weights[layer.name] ** 2), rel=0.06)
        assert "as the null" in layer.bulk_verdict or float(layer.bulk_verdict.split()[0]) < 1.7


def test_a_tail_and_its_way_through_the_tables():
    generator = np.random.default_rng(3)
    sides = [np.linalg.qr(generator.standard_normal((side, 60)))[0] for side in (300, 200)]
    strengths = 2.5 * ((np.arange(60) + 0.5) / 60) ** (-1 / 3)
    heavy = generator.standard_normal((300, 200)) + (sides[0] * np.sqrt(300) * strengths) @ sides[1].T
    found = ll.diagnose(
        {"quiet": generator.standard_normal((200, 90)), "heavy": heavy, "b": np.ones(3)}, **FAST
    )
    assert [layer.tail.verdict for layer in found.layers] == [NO_HEAVIER, POWER_LAW]
    tables = found.tables()
    header, rows = tables["tail"]
    shown = dict(zip(header, rows[1], strict=True))
    tail = found["heavy"].tail
    assert float(shown["alpha"]) == pytest.approx(tail.law.exponent, abs=0.01)
    assert (shown["n_tail"], shown["verdict"]) == (str(tail.law.points), POWER_LAW)
    assert float(shown["D"]) == pytest.approx(tail.law.distance, abs=1e-3)
    assert sum(row[0] == "heavy" for row in tables["outliers (at most 5 a layer)"][1]) == 5
    assert found.skipped == {"b": "a vector"}
    with pytest.raises(ll.errors.UnknownName, match="unknown layer 'heavi'; the closest: heavy"):
        found["heavi"]


def test_a_layer_does_not_hang_on_the_others():
    weights = two_layers(4)[0]
    alone = ll.diagnose({"second": weights["second"]}, **FAST)["second"]
    both = ll.diagnose(weights, **FAST)["second"]
    assert alone.tail == both.tail
    assert ll.diagnose(weights, seed=1, **FAST)["second"].tail.null != both.tail.null


def test_units_and_transposes_change_nothing_else():
    weights = two_layers(5)[0]
    one = ll.diagnose(weights, **FAST)
    other = ll.diagnose({name: 1e-9 * array.T for name, array in weights.items()}, **FAST)
    assert (one.layout, other.layout) == ("out-in", "in-out")
    assert one.alignments[0].overlaps == pytest.approx(other.alignments[0].overlaps)
    for name in weights:
        assert other[name].bulk.edge == pytest.approx(1e-18 * one[name].bulk.edge)
        assert other[name].tail.verdict == one[name].tail.verdict


def test_a_file_says_what_its_arrays_say(tmp_path):
    weights = two_layers(6)[0]
    np.savez(tmp_path / "m.npz", **weights)
    assert ll.diagnose(tmp_path / "m.npz", **FAST).tables() == ll.diagnose(weights, **FAST).tables()


def test_layers_without_a_bulk_are_left_out_in_words():
    generator = np.random.default_rng(7)
    low = generator.standard_normal((60, 4)) @ generator.standard_normal((4, 60))
    wild = np.diag(np.geomspace(1e-4, 1, 60))
    weights = {
        "low": low,
        "wild": wild,
        "ones": np.ones((60, 60)),
        "orthogonal": np.linalg.qr(generator.standard_normal((60, 60)))[0],
        "head": np.eye(10, 60),
        "w": two_layers(0)[0],
    }
    skipped = ll.diagnose(weights, **FAST).skipped
    assert "a low rank" in skipped["low"]
    assert "less than half are beyond the bulk's edge" in skipped["wild"]
    assert "those of an orthogonal matrix" in skipped["orthogonal"]
    assert skipped["ones"] == "constant: all entries are 1"
    assert "too small: 10 x 60" in skipped["head"]


@pytest.mark.parametrize(
    ("weights", "options", "sentence"),
    [
        (np.ones((50, 50)), {}, "arrays by name, or a path, got 'ndarray'"),
        ({"w": np.ones((50, 50))}, {}, "a matrix that has a spectrum, got w: constant: all entries are 1"),
        ({"w": np.eye(20)}, {}, "a matrix that has a spectrum, got w: too small"),
        ({"w": np.full((50, 50), np.nan)}, {}, "finite, got 2500 values that are not, in w"),
        ({"b": np.ones(5)}, {}, "an array of two axes or more"),
        ({"w": np.eye(50)}, {"false_alarm": 0.0}, "false_alarm must be between 0 and 1"),
        ({"w": np.eye(50)}, {"bootstraps": 0}, "bootstraps must be an integer of 1 or more"),
        ({"w": np.eye(50)}, {"null_draws": 1}, "null_draws must be an integer of 2 or more"),
        ({"w": np.eye(50)}, {"seed": -1}, "seed must be an integer of 0 or more"),
    ],
)
def test_no_model(weights, options, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        ll.diagnose(weights, **options)


def test_no_jax_and_no_pictures_are_imported():
    program = (
        "import sys, numpy as np, limitlaw as ll;"
        "ll.diagnose({'w': np.random.default_rng(0).standard_normal((60, 40))}, bootstraps=2, null_draws=2);"
        "assert not {'jax', 'equinox', 'matplotlib', 'xarray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
