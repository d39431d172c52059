"""`limitlaw predict FILE` in its own process: a page, a picture, and one sentence for each mistake."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import limitlaw as ll
from limitlaw._predict_curve import reach_of
from limitlaw._trust import Verdict
from limitlaw.cli.main import main
from limitlaw.cli.report_page import left_out, require_prediction
from limitlaw.core.status import Status


def limitlaw(*arguments, cwd):
    program = (
        "import sys; from limitlaw.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('JAX', 'jax' in sys.modules)"
    )
    command = [sys.executable, "-c", program, "predict", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def run(*arguments):
    """A command that must succeed."""
    with pytest.raises(SystemExit) as stopped:
        main(["predict", *map(str, arguments)])
    assert stopped.value.code == 0


def clusters(points=90, columns=4):
    draw = np.random.default_rng(0)
    codes = np.arange(points) % 2
    return draw.standard_normal((points, columns)) + 1.5 * codes[:, None], codes


def write_table(path, X, y, target="label"):
    header = ",".join([*(f"x{k}" for k in range(X.shape[1])), target])
    lines = [
        ",".join([*(f"{value:.6f}" for value in row), str(label)]) for row, label in zip(X, y, strict=True)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")


def test_a_page_and_a_picture(tmp_path, capsys):
    X, codes = clusters()
    write_table(tmp_path / "d.csv", X, np.array(["no", "yes"])[codes])
    options = ["--target", "label", "--samples", "10:120:4", "--subsets", "8", "--seed", "1"]
    run(tmp_path / "d.csv", *options, "-o", tmp_path / "c.png")
    page = capsys.readouterr().out
    for words in ("90 points, 4 columns, rank 4; 2 classes: no, yes", "wrong classes", "verdict:", "checked at n",
                  "these points determine the curve up to any n", "fewer than 15 directions",
                  "wrong by class at n = ", "degrees of freedom", "leave-one-out over cross-validation"):  # fmt: skip
        assert words in page
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_kernel_is_refused_beyond_what_points_resolve(tmp_path, capsys):
    X, _ = clusters()
    np.savez(tmp_path / "d.npz", X=X, y=X[:, 0] + 0.1 * np.sin(9 * X[:, 1]))
    arguments = ["predict", str(tmp_path / "d.npz"), "--kernel", "laplace", "--no-check", "--samples"]
    run(*arguments[1:], "40,95,100000")
    found = capsys.readouterr()
    assert "NO PREDICTION" in found.out
    assert "1 points beyond what the data determine" in found.err
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "100000,200000"])
    assert stopped.value.code == 2
    assert "within what 90 points determine" in capsys.readouterr().err


X, Y = clusters()
HOLE = np.where(np.arange(90)[:, None] == 3, np.nan, X)
FLAT = np.hstack([X, np.ones((90, 1))])


@pytest.mark.parametrize(
    ("arrays", "arguments", "code", "sentence"),
    [
        ({"X": HOLE, "y": Y}, [], 2, "X must be finite, got 4 entries with inf or nan, as in row 3"),
        ({"X": FLAT, "y": Y}, [], 2, "--drop-constant leaves the others out"),
        ({"X": X, "y": X[:, 0]}, ["--loss", "logistic"], 2, "of two classes for the logistic loss"),
        ({"X": X[:30], "y": Y[:30]}, [], 2, "50 points or more, got 30 rows"),
        ({"X": np.vstack([X, X]), "y": np.tile(Y, 2)}, [], 2, "50% of the rows repeat an earlier one"),
        ({"X": X, "y": Y[:50]}, [], 2, "one label for each of 90 rows, got 50 labels"),
        ({"X": X[0], "y": Y}, [], 2, "a matrix of numbers, one row a point"),
        ({"X": X, "y": Y}, ["--target", "lable"], 2, "unknown array 'lable'"),
        ({"X": X, "y": Y}, ["--samples", "1:10:4"], 2, "samples must be whole numbers of 3 or more"),
        ({"X": X, "y": Y}, ["--samples", "nan"], 2, "samples must be whole numbers of 3 or more"),
        ({"X": X, "y": Y}, ["--samples", "10,inf"], 2, "samples must be whole numbers of 3 or more"),
        ({"X": X, "y": Y}, ["--samples", "10:20:²"], 2, "samples must be start:stop:count"),
        ({"X": X, "y": Y}, ["--seed", "9" * 30], 2, "seed must be an integer of 0 or more"),
        ({"X": X, "y": Y}, ["--labels", "names"], 2, "labels must be one of auto, real, classes"),
        ({"X": X, "y": Y.astype(str)}, ["--labels", "real"], 2, "y must be numbers where labels are real"),
        ({"X": X, "y": Y}, ["--kernel", "rbf(1e12)"], 2, "features that vary over these points"),
        ({"X": X, "y": Y}, ["--samples", "10:x:4"], 2, "samples must be start:stop:count"),
        ({"X": X, "y": Y}, ["--penalty", "-1"], 2, "penalty must be zero or more"),
        ({"X": X, "y": Y}, ["--kernel", "rbff"], 2, "kernel must be one of rbf, laplace, polynomial"),
        ({"X": X, "K": X @ X.T, "y": Y}, [], 2, "with features X or a Gram matrix K, one of them"),
        ({"X": X, "y": Y}, ["-o", "c.xyz"], 2, "predict.output must be a file ending in .png"),
        (None, [], 1, "cannot read d.npz: no such file"),
        (b"PK nothing", [], 1, "cannot read d.npz: it is no NumPy archive"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(tmp_path, monkeypatch, capsys, arrays, arguments, code, sentence):
    monkeypatch.chdir(tmp_path)
    if isinstance(arrays, bytes):
        (tmp_path / "d.npz").write_bytes(arrays)
    elif arrays is not None:
        np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "d.npz", *arguments])
    said = capsys.readouterr().err
    assert stopped.value.code == code
    assert sentence in said
    assert said.count("\n") == 1


def test_nothing_heavy_is_imported_before_data_are_valid(tmp_path):
    np.savez(tmp_path / "d.npz", X=HOLE, y=Y)
    done = limitlaw("d.npz", cwd=tmp_path)
    assert done.returncode == 2
    assert "JAX False" in done.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "unknown column 'y'; the closest: a, b"),
        ("a,y\n1,2\n3\n", "2 entries in each line, got 1 in line 3"),
        ("a,y\nred,2\n3,4\n", "column a must be numbers"),
        ("a,y\n1,\n3,4\n", "a label in every line"),
        ("y\n1\n2\n", "features beside the target"),
        ("a,b,a,y\n1,2,3,4\n", "columns have different names, got 'a' 2 times"),
        (
            "a,y\n" + "1,0\n2,1\n" * 40 + "3,NA\n",
            "all numbers or all names (leave points without a label out), got 'NA'",
        ),
        ("a,y\n" + "1,--1\n2,²\n" * 40, "98% of the rows repeat"),
    ],
)
def test_tables(tmp_path, capsys, text, sentence):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "d.csv")])
    assert sentence in capsys.readouterr().err


def test_penalty_below_roundoff(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", X=X, y=Y)
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(tmp_path / "d.npz"), "--kernel", "rbf", "--penalty", "1e-15"])
    assert stopped.value.code == 2
    assert "or more for these data" in capsys.readouterr().err


def test_dropping_constant_columns(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", X=FLAT, y=Y)
    run(tmp_path / "d.npz", "--drop-constant", "--standardise", "--no-check", "--samples", "20")
    assert "4 columns" in capsys.readouterr().out


def test_a_curve_that_was_not_solved_is_not_called_undetermined():
    curve = SimpleNamespace(
        samples=np.array([20.0, 40.0]),
        verdicts=(Verdict.NO_PREDICTION,) * 2,
        statuses=(Status.STEP_LIMIT, Status.BEYOND_DATA),
    )
    report: Any = SimpleNamespace(curve=curve, largest_samples=90.0, data=SimpleNamespace(points=80))
    with pytest.raises(ll.errors.NotConverged, match="no prediction at any n: the fixed point"):
        require_prediction(report)
    assert [line[:28] for line in left_out(report)] == [
        "1 points were not solved: th",
        "1 points beyond what the dat",
    ]
    curve.statuses = (Status.BEYOND_DATA,) * 2
    with pytest.raises(ll.errors.InvalidInput, match="within what 80 points determine"):
        require_prediction(report)


def test_report_is_a_python_object():
    """Laplace features of clusters: pooled leverages are a fifth off at N, and nothing checks them there."""
    example = ll.models.FromData.example()
    model = ll.models.FromData(example.X[:90], example.y[:90], ll.kernels.Laplace(), penalty=0.5)
    # The last points before the reach hang on single groups of points.
    edge = int(reach_of(model)) - 1
    report = ll.predict(model, [30, 90, 95, edge, 1000], subsets=8)
    curve = report.curve
    assert report.largest_samples == pytest.approx(edge + 1.5, abs=0.51)
    assert curve.method == ("leverage", "pooled", "pooled", "pooled", "pooled")
    assert np.isfinite(curve.test_error).tolist() == [True] * 3 + [False] * 2
    assert any(note.startswith(f"from n = {edge} on a few of the points") for note in report.notes)
    assert np.all(np.isnan(curve.classification_error))
    assert np.all((curve.population_error[:3] > 0.02) & (curve.population_error[:3] < 0.6))
    assert {one.samples for one in report.checks} == {11, 22, 45}
    assert [str(one) for one in curve.verdicts][1:] == ["NOT TRUSTED"] * 2 + ["NO PREDICTION"] * 2
    assert curve.statuses[3:] == (Status.BEYOND_DATA,) * 2
    off = 100 * (curve.test_error[1] / curve.left_out_error[1] - 1)
    assert any(f"{off:+.0f} % off exact leave-one-out" in note for note in report.notes)
    assert report.validation == pytest.approx(curve.left_out_error[1] / curve.test_error[1], rel=1e-6)
    assert off < -10
    # Beyond N the least error is at the edge of what is determined, or there is no prediction.
    assert np.all(np.isnan(curve.best_penalty[2:]))
    assert np.all(np.diff(curve.degrees[:3]) > 0)
    assert 0 < curve.largest_leverage[0] < 1


def test_an_error_of_labels_has_no_population_error_yet():
    model = ll.models.FromData(X, Y, loss=ll.losses.Logistic(), penalty=1.0, method="gaussian_teacher")
    report = ll.predict(model, [40], check=False)
    assert np.isfinite(report.curve.test_error[0])
    assert np.isnan(report.curve.population_error[0])
    assert any("for the square loss only" in note for note in report.notes)


def test_refusals_in_python():
    model = ll.models.FromData.example()
    with pytest.raises(ll.errors.InvalidInput, match="points that come in groups"):
        ll.predict(ll.models.FromData(X, Y, groups=np.arange(90) // 2))
    with pytest.raises(ll.errors.InvalidInput, match=r"predict.samples must be whole numbers"):
        ll.predict(model, [2.5])
    with pytest.raises(ll.errors.InvalidInput, match="a FromData model, or a pair"):
        ll.predict("data.csv")
