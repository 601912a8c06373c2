"""Pickles are told by what they look like, and never loaded."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict

import pytest

from rote.laws.models.pickles import HEAD, why_pickle


def zipped(*names):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return held.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_by_their_first_bytes(protocol):
    head = pickle.dumps({"weights": [1.0]}, protocol=protocol)[:HEAD]
    assert f"protocol {protocol}" in (why_pickle("weights.bin", head) or "")


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize("value", [OrderedDict(), {"a": 1}, [1, 2], io.BytesIO, pickle.PicklingError])
def test_old_protocols(protocol, value):
    head = pickle.dumps(value, protocol=protocol)[:HEAD]
    assert "protocol 0 or 1" in (why_pickle("weights.bin", head) or "")


@pytest.mark.parametrize("name", ["model.pkl", "a/b/MODEL.PT", "x.joblib", "m.ckpt", "w.pth", "w.pickle"])
def test_by_their_names(name):
    assert "its name ends with" in (why_pickle(name, b"") or "")


def test_archives_and_arrays_with_a_pickle_inside():
    assert "PyTorch" in (why_pickle("model.bin", zipped("archive/data.pkl", "archive/version")[:HEAD]) or "")
    npy = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"
    assert "NumPy" in (why_pickle("a.npy", npy) or "")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("model.onnx", b"\x08\x08\x12\x07skl2onnx"),
        ("model.safetensors", b'\x40\x00\x00\x00\x00\x00\x00\x00{"a":{}}'),
        ("metrics.json", b'{"accuracy": 0.9}'),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"),
        ("a.npz", zipped("arr_0.npy")[:HEAD]),
        ("empty", b""),
        ("one", b"\x80"),
        ("image.png", b"\x89PNG\r\n\x1a\n"),
        ("readme.md", b"copy_reg is a module"),
        ("words.txt", b"cat\ndog\npig\n"),
        ("list.txt", b"[1, 2]"),
    ],
)
def test_what_is_none(name, head):
    assert why_pickle(name, head) is None
