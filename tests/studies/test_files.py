"""Files are whole or not there: full disks, folders and devices in the way, files that are not ours."""

import errno
import os
import stat
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import limitlaw as ll
from limitlaw.studies.files import write_atomically

DATA = xr.Dataset({"test_error": ("penalty", np.arange(3.0))}, {"penalty": [0.1, 1.0, 10.0]})


class FullDisk:
    """A file whose disk is full after some bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        if len(content) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(content)


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = ll.save(DATA, tmp_path / "theory.nc")
    before = path.read_bytes()
    monkeypatch.setattr(Path, "open", lambda self, mode: FullDisk(open(self, mode), room=100))  # noqa: SIM115
    with pytest.raises(ll.errors.StoreError, match=r"cannot write .*theory.nc: No space left on device"):
        ll.save(DATA, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["theory.nc"]


def test_hdf5_never_sees_the_disk(tmp_path, monkeypatch):
    """It crashes the whole process where a disk fills up under it."""
    opened = []
    real = h5py.File.__init__

    def spy(self, name, *arguments, **options):
        opened.append(name)
        real(self, name, *arguments, **options)

    monkeypatch.setattr(h5py.File, "__init__", spy)
    ll.save(DATA, tmp_path / "theory.nc")
    assert opened
    assert not any(isinstance(name, (str, bytes, os.PathLike)) for name in opened)
    monkeypatch.undo()
    xr.testing.assert_equal(ll.load(tmp_path / "theory.nc"), DATA)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a pipe"])
def test_what_is_no_regular_file_is_left_alone(tmp_path, kind):
    path = tmp_path / "theory.nc"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
        path = tmp_path / "pipe" if kind == "pipe" else path
    before = path.lstat()
    with pytest.raises(ll.errors.StoreError, match="it is there and is no regular file"):
        ll.save(DATA, path)
    with pytest.raises(ll.errors.StoreError, match="it is there and is no regular file"):
        write_atomically(path, lambda file: file.write(b"ours"))
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


def test_a_link_to_a_file_keeps_pointing_at_it(tmp_path):
    (tmp_path / "data").mkdir()
    real, link = tmp_path / "data" / "real.nc", tmp_path / "theory.nc"
    real.write_bytes(b"old")
    link.symlink_to(real)
    ll.save(DATA, link)
    assert link.is_symlink()
    xr.testing.assert_equal(ll.load(real), DATA)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_files_have_the_mode_that_new_files_have(tmp_path, mask, mode):
    """Colleagues read results: a temporary file's own mode would shut them out."""
    model = ll.models.RandomFeatures.example()
    before = os.umask(mask)
    try:
        ll.save(DATA, tmp_path / "theory.nc")
        ll.Study(model, over={"penalty": [0.1]}).simulate(dim=10, store=tmp_path / "run")
    finally:
        os.umask(before)
    files = [tmp_path / "theory.nc", *(tmp_path / "run").iterdir()]
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {mode}


def test_what_cannot_be_read_is_said_in_our_words(tmp_path):
    (tmp_path / "thesis.nc").write_text("\\begin{document}")
    for name, reason in (("nothing.nc", "No such file or directory"), ("thesis.nc", "it is no netCDF file")):
        with pytest.raises(ll.errors.StoreError, match=f"cannot read .*{name}: {reason}") as caught:
            ll.load(tmp_path / name)
        assert "synchronously" not in str(caught.value)
