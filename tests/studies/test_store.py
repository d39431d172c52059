"""Stores: atomic, resumable, jealous; a killed process loses nothing that was finished."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import limitlaw as ll
from limitlaw.core.fingerprint import fingerprint
from limitlaw.studies import cells

A, T = ll.activations, ll.targets
MODEL = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.Sin()), 1.0, 1.0, 0.1, strength=1.0, alignment=0.5
)
STUDY_OVER = {"penalty": [0.1, 1.0, 10.0]}
STUDY = ll.Study(MODEL, over=STUDY_OVER)


def count_computed(monkeypatch):
    done = []
    real = cells.run_cell
    monkeypatch.setattr(cells, "run_cell", lambda *a, **k: (done.append(a[3]), real(*a, **k))[1])
    return done


def test_resume_computes_only_what_is_missing(tmp_path, monkeypatch):
    whole = STUDY.simulate(dim=30, replicas=3)
    store = tmp_path / "run"
    STUDY.simulate(dim=30, replicas=2, store=store)
    (store / "cell-000001-000000.npz").unlink()
    (store / "cell-000002-000001.npz").write_bytes(b"half a file")
    done = count_computed(monkeypatch)
    resumed = STUDY.simulate(dim=30, replicas=3, store=store)
    assert sorted(done) == [0, 1, 2, 2, 2]  # one removed, one damaged, one more replica of three points
    xr.testing.assert_identical(resumed, whole)
    done.clear()
    xr.testing.assert_identical(STUDY.simulate(dim=30, replicas=3, store=store), whole)
    assert not done


def test_order_and_executor_do_not_matter(tmp_path):
    whole = STUDY.simulate(dim=30, replicas=2)
    with ThreadPoolExecutor(2) as executor:
        xr.testing.assert_identical(
            STUDY.simulate(dim=30, replicas=2, executor=executor, store=tmp_path / "x"), whole
        )


def test_partial_stores_can_be_read(tmp_path):
    store = tmp_path / "run"
    STUDY.simulate(dim=30, replicas=2, store=store)
    (store / "cell-000001-000001.npz").unlink()
    loaded = ll.load(store)
    assert loaded.attrs["complete"] == 0
    assert np.isnan(loaded["test_error"].values).sum() == 1
    assert loaded["penalty"].values.tolist() == [0.1, 1.0, 10.0]


@pytest.mark.parametrize(
    ("study", "arguments", "sentence"),
    [
        (
            ll.Study(MODEL, over={"penalty": [0.1, 1.0, 9.0]}),
            {},
            "its axis penalty has the point 10.0, not 9.0;",
        ),
        (ll.Study(MODEL, over={"penalty": [0.1, 1.0]}), {}, "its axis penalty has 3 points, not 2;"),
        (
            ll.Study(MODEL, over={"strength": [0.1, 1.0]}),
            {},
            "its strength is 1, not .*penalty is varied, not 0.1;",
        ),
        (
            ll.Study(dataclasses.replace(MODEL, target=T.SingleIndex(A.Tanh())), over=STUDY_OVER),
            {},
            "its target is sin, not tanh;",
        ),
        (
            ll.Study(ll.models.RandomFeatures.example(), over=STUDY_OVER),
            {},
            "its model is SpikedRandomFeatures, not RandomFeatures;",
        ),
        (STUDY, {"dim": 40}, "its dim is 30, not 40"),
        (STUDY, {"seed": 1}, "its seed is 0, not 1"),
        (STUDY, {"test_samples": 10}, "its test_samples is None, not 10"),
    ],
)
def test_a_foreign_store_is_refused_and_untouched(tmp_path, study, arguments, sentence):
    STUDY.simulate(dim=30, store=tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(ll.errors.ForeignStore, match=f"belongs to another study: {sentence}"):
        study.simulate(**({"dim": 30, "store": tmp_path / "run"} | arguments))
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_functions_that_read_the_same_are_told_apart(tmp_path):
    square, cube = (dataclasses.replace(MODEL, target=lambda z, k=k: z**k) for k in (2, 3))
    ll.Study(square, over=STUDY_OVER).simulate(dim=30, store=tmp_path / "run")
    with pytest.raises(ll.errors.ForeignStore, match="its fields read the same, and yet a function"):
        ll.Study(cube, over=STUDY_OVER).simulate(dim=30, store=tmp_path / "run")


def test_other_peoples_folders_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("\\begin")
    with pytest.raises(ll.errors.ForeignStore, match="holds other files"):
        STUDY.simulate(dim=30, store=tmp_path)
    with pytest.raises(ll.errors.StoreError, match="is no store"):
        ll.load(tmp_path)
    with pytest.raises(ll.errors.StoreError, match="cannot read"):
        ll.load(tmp_path / "nothing.nc")


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    store = tmp_path / "run"
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 3:  # the manifest and two cells
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        ll.errors.StoreError, match=r"cannot write .*cell-000002-000000.npz: No space left on device"
    ):
        STUDY.simulate(dim=30, store=store)
    monkeypatch.undo()
    assert sorted(path.name for path in store.iterdir()) == [
        "cell-000000-000000.npz",
        "cell-000001-000000.npz",
        "manifest.json",
    ]
    done = count_computed(monkeypatch)
    xr.testing.assert_identical(STUDY.simulate(dim=30, store=store), STUDY.simulate(dim=30))
    assert len(done) == 1 + 3


def test_an_unwritable_place_is_said_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    done = count_computed(monkeypatch)
    with pytest.raises(ll.errors.StoreError, match="cannot write to"):
        STUDY.simulate(dim=30, store=tmp_path / "file" / "run")
    assert not done


SCRIPT = """
    import sys
    import limitlaw as ll
    A, T = ll.activations, ll.targets
    model = ll.models.SpikedRandomFeatures(A.Tanh(), T.SingleIndex(lambda z: z**3), 1.0, 1.0, 0.1, strength=1.0, alignment=0.5)
    study = ll.Study(model, over={"penalty": [0.1, 1.0, 10.0], "samples_per_dim": [0.5, 2.0]})
    if __name__ == "__main__":
        print(study.simulate(dim=60, replicas=30, store=sys.argv[1])["test_error"].values.tobytes().hex())
"""


def test_kill_and_resume_is_bit_identical(tmp_path):
    """SIGKILL in the middle of a simulate, for real; the lambda has no name to be recognised by."""
    script = tmp_path / "study.py"
    script.write_text(textwrap.dedent(SCRIPT))
    killed, store = [sys.executable, str(script), str(tmp_path / "killed")], tmp_path / "killed"
    process = subprocess.Popen(killed, stdout=subprocess.DEVNULL)
    deadline = time.time() + 120
    while len(list(store.glob("cell-*"))) < 20 and time.time() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in store.glob("cell-*")}
    assert 20 <= len(finished) < 180
    resumed = subprocess.run(killed, capture_output=True, text=True, check=True).stdout
    for name, (time_written, content) in finished.items():
        assert ((store / name).stat().st_mtime_ns, (store / name).read_bytes()) == (time_written, content)
    whole = [sys.executable, str(script), str(tmp_path / "whole")]
    assert resumed == subprocess.run(whole, capture_output=True, text=True, check=True).stdout
    assert len(list(store.glob("cell-*"))) == 180


def test_fingerprint_sees_values_not_names():
    same = [lambda z: jnp.sin(z), lambda x: jnp.sin(x), jnp.sin]
    assert len({fingerprint(T.SingleIndex(fn)) for fn in same}) == 1
    different = [
        T.SingleIndex(jnp.sin), T.SingleIndex(jnp.sin, 0.1), T.SingleIndex(A.Sin()), T.SingleIndex(jnp.cos),
        T.SingleIndex(A.Activation(jnp.sin, kinks=(0.0,))), T.SignLabels(), T.SignLabels(0.1),
    ]  # fmt: skip
    assert len({fingerprint(target) for target in different}) == len(different)


def test_files_round_trip(tmp_path):
    theory = STUDY.solve()
    loaded = ll.load(ll.save(theory, tmp_path / "theory.nc"))
    xr.testing.assert_equal(loaded, theory)
    assert loaded.attrs["standing"] == "replica"
