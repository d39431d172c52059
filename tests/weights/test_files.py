"""Files of weights: what is written comes back, and damage is one sentence."""

import contextlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limitlaw.core.errors import InvalidInput, LimitlawError, StoreError
from limitlaw.weights.files import read_weights

GENERATOR = np.random.default_rng(0)
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U8": "|u1", "BOOL": "|b1"}


def safetensors(tensors, **header):
    """A file's bytes by the format's own description; tensors are (type, shape, bytes)."""
    entries, buffer = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, shape, content) in tensors.items():
        entries[name] = {
            "dtype": kind,
            "shape": shape,
            "data_offsets": [len(buffer), len(buffer) + len(content)],
        }
        buffer += content
    text = json.dumps(entries | header).encode()
    return len(text).to_bytes(8, "little") + text + buffer


GOOD = safetensors({"w": ("F32", [3, 2], np.arange(6, dtype="<f4").tobytes())})


@pytest.mark.parametrize("kind", TYPES)
def test_safetensors_round_trip(tmp_path, kind):
    array = (3 * GENERATOR.standard_normal((5, 7))).astype(TYPES[kind])
    odd = ("U8", [3], b"abc")  # what follows starts at an odd byte
    (tmp_path / "m.safetensors").write_bytes(
        safetensors({"odd": odd, "w": (kind, [5, 7], array.tobytes()), "none": ("F32", [0, 4], b"")})
    )
    found = read_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(found["w"], array)
    assert found["w"].dtype == np.dtype(TYPES[kind])
    assert found["none"].shape == (0, 4)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.0e38, 1e-40, 0.0, np.inf], "<f4")
    bits = (values.view("<u4") >> 16).astype("<u2")
    (tmp_path / "m.safetensors").write_bytes(safetensors({"w": ("BF16", [6], bits.tobytes())}))
    found = read_weights(tmp_path / "m.safetensors")["w"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values, rtol=2**-7, atol=1e-40)
    np.testing.assert_array_equal(found.view("<u4") & 0xFFFF, 0)


def test_layer_2_comes_before_layer_10(tmp_path):
    tensors = {f"layer.{i}.w": ("U8", [1], b"x") for i in (10, 2, 1)} | {"eight": ("F8_E4M3", [1], b"x")}
    (tmp_path / "m.safetensors").write_bytes(safetensors(tensors))
    found = read_weights(tmp_path / "m.safetensors")
    assert list(found) == ["eight", "layer.1.w", "layer.2.w", "layer.10.w"]
    assert found["eight"] == "F8_E4M3"


@pytest.mark.filterwarnings("default")
def test_the_package_safetensors_agrees(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {"b": GENERATOR.standard_normal((4, 3)), "a": np.arange(5, dtype=np.float16), "i": np.arange(3)}
    numpy.save_file(arrays, tmp_path / "m.safetensors", metadata={"a": "b"})
    found = read_weights(tmp_path / "m.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_round_trip_keeps_the_order(tmp_path, compressed):
    arrays = {"z": GENERATOR.standard_normal((4, 3)), "a": np.arange(3.0, dtype=np.float32)}
    (np.savez_compressed if compressed else np.savez)(tmp_path / "m.npz", **arrays)
    found = read_weights(str(tmp_path / "m.npz"))
    assert list(found) == ["z", "a"]
    np.testing.assert_array_equal(found["z"], arrays["z"])
    np.save(tmp_path / "layer.npy", arrays["z"])
    np.testing.assert_array_equal(read_weights(tmp_path / "layer.npy")["layer"], arrays["z"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "its header is cut off"),
        (b"1234", "its header is cut off"),
        (GOOD[:20], "its header is cut off"),
        (GOOD[:-1], "w is cut off"),
        ((2**60).to_bytes(8, "little") + b"{}", "its header is cut off"),
        ((4).to_bytes(8, "little") + b"{]{]", "its header is no JSON"),
        ((3).to_bytes(8, "little") + b"\xff\xfe\x00", "its header is no JSON"),
        ((2).to_bytes(8, "little") + b"[]", "its header names no tensors"),
        (safetensors({}, w=3), "does not say where w is"),
        (safetensors({}, w={"dtype": "F32", "shape": [2]}), "does not say where w is"),
        (safetensors({}, w={"dtype": "F32", "shape": 2, "data_offsets": [0, 0]}), "does not say where w is"),
        (safetensors({}, w={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}), "w is cut off"),
        (safetensors({}, w={"dtype": "F32", "shape": [-2], "data_offsets": [0, 0]}), "w is cut off"),
        (safetensors({"w": ("F32", [3, 3], bytes(24))}), r"w has 24 bytes, not those of F32 \[3, 3\]"),
    ],
)
def test_damaged_safetensors(tmp_path, content, sentence):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(StoreError, match=sentence):
        read_weights(tmp_path / "m.safetensors")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_byte_may_be_wrong(tmp_path_factory, place, byte):
    """Damage is read as something else or refused; nothing but a sentence of ours ever comes out."""
    path = tmp_path_factory.mktemp("damaged") / "m.safetensors"
    path.write_bytes(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :])
    with contextlib.suppress(LimitlawError):
        assert all(isinstance(value, (np.ndarray, str)) for value in read_weights(path).values())


def damaged_npz(path):
    np.savez(path, w=np.ones((50, 50)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped_npz(path):
    np.savez_compressed(path, w=GENERATOR.standard_normal((50, 50)))
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"no archive at all"),
        damaged_npz,
        flipped_npz,
        lambda path: np.savez(path, w=np.array([{"a": 1}], dtype=object)),
    ],
)
def test_damaged_archives(tmp_path, write):
    write(tmp_path / "m.npz")
    with pytest.raises(StoreError, match="it is no NumPy file, is damaged, or holds pickled objects"):
        read_weights(tmp_path / "m.npz")


def test_files_that_are_not_there(tmp_path):
    for name in ("m.npz", "m.npy", "m.safetensors"):
        with pytest.raises(StoreError, match=f"cannot read .*{name}: No such file"):
            read_weights(tmp_path / name)
        (tmp_path / name).mkdir()
        with pytest.raises(StoreError, match=f"cannot read .*{name}"):
            read_weights(tmp_path / name)
    (tmp_path / "e.npz").write_bytes(b"")
    with pytest.raises(StoreError, match="it is empty"):
        read_weights(tmp_path / "e.npz")
    with pytest.raises(InvalidInput, match=r"a file ending in \.npz, \.npy, \.safetensors, \.pt"):
        read_weights(tmp_path / "m.h5")


def test_pytorch_is_asked_for_weights_only(tmp_path, monkeypatch):
    asked = {}

    def load(path, **options):
        asked.update(options)
        if path.name == "bad.pt":
            raise RuntimeError("corrupt")
        return {"model": {"w": np.ones((3, 2))}}

    for name in ("good.pt", "bad.pt"):
        (tmp_path / name).write_bytes(b"zip")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(load=load))
    assert read_weights(tmp_path / "good.pt")["model"]["w"].shape == (3, 2)
    assert asked == {"map_location": "cpu", "weights_only": True}
    with pytest.raises(StoreError, match=r"damaged, or holds more than weights"):
        read_weights(tmp_path / "bad.pt")
    with pytest.raises(StoreError, match="No such file"):
        read_weights(tmp_path / "none.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(StoreError, match="PyTorch is not installed"):
        read_weights(tmp_path / "good.pt")


@pytest.mark.filterwarnings("default")
def test_pytorch_state_dicts(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(4, 3).to(torch.bfloat16)
    torch.save(layer.state_dict(), tmp_path / "m.pt")
    assert tuple(read_weights(tmp_path / "m.pt")["weight"].shape) == (3, 4)
