"""The command line in its own process: what it prints, what it refuses, what it imports."""

import os
import subprocess
import sys

import pytest

from limitlaw.cli.main import main

HEAVY = ("jax", "xarray", "matplotlib", "scipy")


def limitlaw(*arguments, cwd=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "limitlaw", *arguments], capture_output=True, text=True, cwd=cwd, env=env
    )


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A command in this process, in a folder of its own: its code, what it prints, what it complains of."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        return stopped.value.code or 0, *capsys.readouterr()

    return command


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--help"], 0, ""),
        (["solve", "--help"], 0, ""),
        (["figures"], 0, ""),
        (["slove"], 2, "solve"),
        (["solve", "giant-stp"], 2, "unknown model 'giant-stp'; the closest: giant-step"),
        (["solve", "giant-step", "--over", "penalty=1:2"], 2, "--over.penalty must be start:stop:count"),
        (["solve", "giant-step", "--over", "penalty"], 2, "must be name=value"),
        (
            ["solve", "giant-step", "--set", "samples_per_dim=2", "--over", "samples-per-dim=1:3:5"],
            2,
            "--over.samples_per_dim must be a field that --set leaves free: a field is set or varied, "
            "got --set samples_per_dim=2 as well",
        ),
        (["figure", "one-step-sample"], 2, "the closest: one-step-samples"),
        (["figure", "one-step-samples", "--scale", "huge"], 2, "unknown scale 'huge'"),
        (["check", "nothing"], 2, "unknown model 'nothing'"),
    ],
)
def test_help_and_mistakes_import_nothing_heavy(arguments, code, sentence):
    program = (
        "import sys; from limitlaw.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code or 0\n"
        "else: code = 0\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "HEAVY []" in done.stdout
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["solve", "giant-step", "--set", "stepsize=3"],
            2,
            "unknown field of GiantStep 'stepsize'; the closest: step_size",
        ),
        (["solve", "giant-step", "--over", "penaltie=1,2"], 2, "the closest: penalty"),
        (
            ["solve", "giant-step", "--set", "penalty=-1"],
            2,
            "GiantStep.penalty must be zero or more, and finite, got -1",
        ),
        (
            ["solve", "giant-step", "--set", "activation=tan"],
            2,
            "unknown activation 'tan'; the closest: tanh",
        ),
        (["solve", "giant-step", "--set", "step_size=small"], 2, "GiantStep.step_size must be a number"),
        (["simulate", "giant-step", "--set", "penalty=1"], 2, "simulate.dim must be a positive integer"),
        (["solve", "giant-step", "-o", "/proc/nowhere/x.nc"], 1, "cannot write to /proc/nowhere"),
        (["plot", "nothing.nc"], 1, "cannot read nothing.nc: No such file or directory"),
        (["plot", "nothing.nc", "-o", "c.xyz"], 2, "plot.output must be a file ending in .png, .pdf"),
        (["plot", "nothing.nc", "-o", "/proc/nowhere/c.png"], 1, "cannot write to /proc/nowhere"),
        (["solve", "giant-step", "--dim", "-3"], 2, "solve.dim must be a positive integer or None, got -3"),
        (["solve", "giant-step", "--set", "activation=erf(x)"], 2, "activation.erf must be a number"),
    ],
)
def test_mistakes_are_one_sentence(arguments, code, sentence, run):
    found, _, complaint = run(*arguments)
    assert found == code
    assert sentence in complaint
    assert complaint.count("\n") == 1


def test_solve_simulate_plot(tmp_path, run):
    """The whole way, objects and ranges included."""
    study = ["--set", "step_size=1", "target=sin+0.1", "--over", "samples_per_dim=0.5:2:4"]
    code, said, _ = run("solve", "giant-step", *study, "-o", "theory.nc")
    assert (code, said.strip()) == (0, "theory.nc")
    thin = [*study[:-1], "samples_per_dim=0.5,2"]
    code, said, complaint = run(
        "simulate", "giant-step", *thin, "--dim", "40", "--replicas", "3", "-o", "run"
    )
    assert code == 0, complaint
    assert "±" in said
    code, _, complaint = run("plot", "theory.nc", "run", "-o", "curve.png")
    assert code == 0, complaint
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    code, _, complaint = run("simulate", "giant-step", *study, "--dim", "40", "-o", "run")
    assert code == 1
    assert "belongs to another study: its axis samples_per_dim has 2 points, not 4" in complaint
    run("solve", "giant-step", "--over", "penalty=0.1,1", "-o", "other.nc")
    code, _, complaint = run("plot", "other.nc", "run", "-o", "none.png")
    assert (code, complaint.count("\n")) == (2, 1)
    assert "must be over the theory's axes (penalty), got one over (samples_per_dim)" in complaint
    assert not (tmp_path / "none.png").exists()


def test_solve_prints_a_table():
    done = limitlaw("solve", "random-features", "--set", "activation=hermite3", "--over", "penalty=0.1,1")
    assert done.returncode == 0, done.stderr
    assert "test_error" in done.stdout
    lines = done.stdout.strip().splitlines()
    assert (len(lines), lines[-1]) == (4, "standing: proved")


@pytest.mark.slow
def test_one_point_is_a_column_and_a_lost_cache_is_no_matter(tmp_path):
    (tmp_path / "file").write_text("")
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file")}
    done = limitlaw("simulate", "giant-step", "--dim", "20", "--replicas", "2", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    names = [line.split()[0] for line in done.stdout.strip().splitlines()]
    assert names[:2] == ["quantity", "test_error"]
    assert "row_norm_overlap" in names


def test_models_and_cite(run):
    _, listed, _ = run("models")
    assert "giant-step" in listed
    assert "2402.04980" in listed
    assert "@article{cui2024asymptotics" in run("cite", "giant-step")[1]
    _, both, _ = run("cite", "gaussian-mixture")
    assert "arXiv:2106.03791" in both
    assert "arXiv:2402.08676" in both
