"""`limitlaw spectra FILE` in its own process."""

import subprocess
import sys

import numpy as np
import pytest


def limitlaw(*arguments, cwd):
    program = (
        "import sys; from limitlaw.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('JAX', 'jax' in sys.modules)"
    )
    command = [sys.executable, "-c", program, "spectra", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_tables_and_a_picture(tmp_path):
    generator = np.random.default_rng(0)
    spike = np.outer(np.ones(60), np.ones(40)) * 2 / np.sqrt(40)
    np.savez(tmp_path / "m.npz", fc=generator.standard_normal((60, 40)) + spike, bias=np.zeros(60))
    done = limitlaw("m.npz", "--bootstraps", "5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "JAX False" in done.stdout
    assert "a few outliers, not a tail" in done.stdout
    assert "left out: bias: a vector" in done.stdout
    done = limitlaw("m.npz", "--bootstraps", "5", "-o", "m.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "arguments", "code", "sentence"),
    [
        (None, [], 1, "cannot read m.npz: No such file or directory"),
        (
            b"PK nothing",
            [],
            1,
            "cannot read m.npz: it is no NumPy file, is damaged, or holds pickled objects",
        ),
        ({"b": np.ones(3)}, [], 2, "an array of two axes or more, got b (a vector)"),
        ({"w": np.ones((40, 40))}, [], 2, "got w: constant: all entries are 1"),
        ({"w": np.eye(9)}, [], 2, "got w: too small: 9 x 9"),
        ({"w": np.full((40, 40), np.nan)}, [], 2, "finite, got 1600 values that are not, in w"),
        ({"w": np.eye(40)}, ["--layout", "rows"], 2, '"out-in" or "in-out", got \'rows\''),
        ({"w": np.eye(40)}, ["-o", "m.xyz"], 2, "spectra.output must be a file ending in .png"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, content, arguments, code, sentence):
    if isinstance(content, bytes):
        (tmp_path / "m.npz").write_bytes(content)
    elif content is not None:
        np.savez(tmp_path / "m.npz", **content)
    done = limitlaw("m.npz", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
