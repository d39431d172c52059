"""A broken promise of the benchmarks ends their process with an error."""

import importlib.util
import math
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def promises():
    spec = importlib.util.spec_from_file_location("promises", FOLDER / "promises.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Promises()


def test_kept_promises_leave_no_error(capsys):
    kept = promises()
    kept.hold("a ratio", 1.25, 1.3)
    kept.hold("points not solved", 0, 0)
    kept.hold("seconds of something", 100.0)
    kept.settle()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["a", "ratio", "1.25", "1.3", "ok"]
    assert rows[2] == ["seconds", "of", "something", "100"]


@pytest.mark.parametrize("measured", [1.31, math.inf, math.nan])
def test_a_broken_promise_is_an_error(measured, capsys):
    found = promises()
    found.hold("a ratio", measured, 1.3)
    found.hold("another", 1.0, 1.3)
    with pytest.raises(SystemExit, match="a ratio") as left:
        found.settle()
    assert left.value.code not in (0, None)
    assert "BROKEN" in capsys.readouterr().out


def test_every_benchmark_settles():
    scripts = [path for path in FOLDER.glob("*.py") if path.name != "promises.py"]
    assert len(scripts) >= 6
    for path in scripts:
        assert "promises.settle()" in path.read_text(), path.name
