"""A pickle that tells when it is loaded goes through everything that rote does with a file: it is never loaded, and a release
with it says so."""

from __future__ import annotations

import ast
import os
import pickle
from pathlib import Path

import pytest

import rote
import rote.client
from scenes import founded, lay

SRC = Path(__file__).parents[2] / "src" / "rote"
PIPELINE = """
stages:
  train:
    cmd: cp data/evil.pkl model.pkl; cp data/evil.pkl weights.bin; cp data/evil.pkl model.safetensors; echo '{"a":1}' > m.json
    deps: [data]
    outs: [model.pkl, weights.bin, model.safetensors]
    metrics: [m.json]
models:
  net:
    files: [model.pkl, weights.bin, model.safetensors]
"""


class Tells:
    """Makes a folder when it is loaded."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.where,)


def test_nothing_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "it was loaded"
    evil = pickle.dumps(Tells(str(told)))
    root = founded(tmp_path / "p", PIPELINE)
    names = [
        "evil.pkl",
        "evil.pt",
        "evil.npy",
        "evil.joblib",
        "evil.safetensors",
        "evil.onnx",
        "evil.json",
        "evil.yaml",
    ]
    lay(root, {f"data/{name}": evil for name in names} | {"data/big.bin": evil + bytes(100_000)})
    monkeypatch.chdir(root)
    project = rote.Project(".")
    project.add("data")
    assert project.run().ok
    released = project.models.release("net")
    assert {w.split(" is a pickle")[0] for w in released.warnings} == {
        "model.pkl",
        "weights.bin",
        "model.safetensors",
    }
    project.models.promote("net@1.0.0", "prod")
    project.models.fetch("net@1.0.0", str(tmp_path / "fetched"))
    (root / "data/evil.pt").unlink()
    project.checkout(force=True)
    assert b"".join(project.cat("data/evil.pkl")) == evil
    assert [bytes(sample.read()) if hasattr(sample, "read") else sample for sample in project.dataset("data")]
    model = rote.client.Model(str(root / ".rote/store"), "net", cache=tmp_path / "app")
    assert (model.path() / "model.pkl").read_bytes() == evil
    assert project.store.check(read_data=True).ok
    project.store.gc(delete=True, grace_hours=0)
    assert not told.exists()
    pickle.loads(evil)
    assert told.exists(), "the pickle would have told"


def test_no_module_can_load_one() -> None:
    """No import of what runs code when it loads, and no name of such a function."""
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), (path, node.lineno)
            elif isinstance(node, ast.Attribute) and node.attr in (
                "unsafe_load",
                "full_load",
                "UnsafeLoader",
                "FullLoader",
            ):
                raise AssertionError((path, node.lineno))
            assert not {"pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"} & set(
                names
            ), path
