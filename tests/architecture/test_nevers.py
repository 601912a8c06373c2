"""The nevers of the architecture that import-linter cannot say, checked on the syntax tree of every module.

The folders of `src/rote` are the floors, in the order in which the import contracts of pyproject.toml name them; on some,
folders below are rooms. What lies beside the floors are faces.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "rote"


def floors() -> list[str]:
    """The folders that are floors, from the lowest, and then the faces."""
    told = tomllib.loads((SRC.parents[1] / "pyproject.toml").read_text())
    layers = told["tool"]["importlinter"]["contracts"][0]["layers"]
    named = [name.strip() for layer in reversed(layers) for name in re.split("[:|]", layer)]
    first = named.index("wiring") + 1
    return [name for name in named[:first] if (SRC / name).is_dir()]


FLOORS = floors()
WORDS = {"errors", "_version"}
"""Words that everybody imports by a short name."""
SIDE = "testing"


# What words and laws may import besides each other: values in, decisions out.
PURE = {
    "__future__", "abc", "bisect", "collections", "contextlib", "datetime", "decimal", "difflib", "enum", "fnmatch",
    "base64", "csv", "functools", "posixpath", "hashlib", "heapq", "itertools", "json", "math", "operator", "pickletools", "re",
    "shlex", "statistics", "string", "struct", "array", "sys", "textwrap", "types", "typing", "unicodedata", "zlib",
    "dataclasses",
    "msgspec", "blake3", "pyfastcdc",
}  # fmt: skip
# A vendor's package -> the only rooms and modules that may import it, by the end of their name. (blake3, msgspec and
# zstandard are the format itself.)
ONLY_IN = {
    "sqlite3": {"store.known", "runs.catalogue", "store.agreed"},
    "click": {"rote.cli"},
    "yaml": {"wiring.config", "pipeline.overriding", "adapters.forges"},  # forges: what gh and glab keep of tokens
    "tomllib": {"wiring.config", "pipeline.overriding"},
    # Of the stores, ssh alone; landing proves versions.
    "subprocess": {"adapters.vcs", "adapters.executors", "adapters.stores", "adapters.landing"},
    "opendal": {"adapters.stores"},
    "fsspec": {"rote.filesystem"},
    "torch": {"rote.torchdata"},
    "fcntl": {"adapters.stores", "adapters.worktree", "adapters.landing"},
    "pyfastcdc": {"data.chunking"},
    "obstore": {"adapters.stores"},
    "boto3": {"adapters.stores"},
    "cryptography": {"adapters.signing"},
    "zstandard": {
        "data.nodes", "store.packs", "store.packing", "data.ingest", "data.snapshots", "runs.livelog", "upkeep.carrying",
        "store.probing", "adapters.tables",
    },
    "duckdb": {"adapters.tables"},
    "huggingface_hub": {"adapters.targets"},
    "socket": {"adapters.machine", "adapters.worktree", "adapters.stores"},
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def name(path: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(("rote", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__")


def floor(module: str) -> str:
    """The floor of a module by its name; `faces`, and the side rooms, are floors as well."""
    top = module.split(".")[1] if "." in module else ""
    if top in FLOORS or top == SIDE:
        return top
    return "words" if top in WORDS else "faces"


def within(module: str, rooms: set[str]) -> bool:
    return any(f".{room}." in f".{module}." for room in rooms)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> list[tuple[ast.stmt, str]]:
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def imported(path: Path) -> list[tuple[ast.stmt, str]]:
    """What a module imports of rote."""
    return [(node, what) for node, what in imports(path) if what.split(".")[0] == "rote"]


def test_the_floors_are_there() -> None:
    assert FLOORS == ["words", "laws", "ports", "services", "adapters", "wiring"]


def test_what_may_import_a_vendor_is_there() -> None:
    names = [name(path) for path in modules()]
    for rooms in ONLY_IN.values():
        for room in rooms:
            assert any(within(module, {room}) for module in names), room


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))
class TestEachModule:
    def test_services_and_adapters_never_meet(self, path: Path) -> None:
        """The import contracts hold the order of the floors; these two stand side by side."""
        here, other = floor(name(path)), {"services": "adapters", "adapters": "services"}
        for node, what in imported(path):
            assert floor(what) != other.get(here), f"{path}:{node.lineno}: {here} import {what}"

    def test_the_side_rooms_know_no_wiring(self, path: Path) -> None:
        for node, what in imported(path):
            allowed = floor(name(path)) != SIDE or floor(what) not in {"wiring", "faces"}
            assert allowed, f"{path}:{node.lineno}: {what}"

    def test_words_and_laws_are_pure(self, path: Path) -> None:
        if floor(name(path)) not in {"words", "laws"}:
            return
        for node, what in imports(path):
            top = what.split(".")[0]
            assert top in PURE or top == "rote", f"{path}:{node.lineno}: {what} is not for words and laws"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "print", "input", "eval", "exec"}, f"{path}:{node.lineno}"

    def test_a_vendor_appears_only_in_its_room(self, path: Path) -> None:
        for node, what in imports(path):
            allowed = ONLY_IN.get(what.split(".")[0])
            if allowed is not None:
                where = f"{path}:{node.lineno}"
                assert within(name(path), {*allowed, SIDE}), f"{where}: {what} belongs to {sorted(allowed)}"

    def test_in_function_imports_give_a_reason(self, path: Path) -> None:
        """A module of faces is loaded lazily by design; elsewhere each import inside a function says why."""
        lines = path.read_text().splitlines()
        for function in ast.walk(tree(path)):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                near = " ".join(lines[max(0, node.lineno - 4) : (node.end_lineno or node.lineno)])
                assert "#" in near, f"{path}:{node.lineno}: an in-function import without a reason"

    def test_no_broad_except_swallows(self, path: Path) -> None:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            names = (
                [n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)]
                if node.type
                else ["BaseException"]
            )
            if {"Exception", "BaseException"} & set(names):
                handled = any(isinstance(n, ast.Raise) for n in ast.walk(node))
                kept = node.name is not None and any(
                    isinstance(n, ast.Name) and n.id == node.name for b in node.body for n in ast.walk(b)
                )
                assert handled or kept, (
                    f"{path}:{node.lineno}: a broad except neither re-raises nor translates"
                )

    def test_library_code_never_prints(self, path: Path) -> None:
        if floor(name(path)) == "faces":
            return
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"

    def test_the_name_is_a_noun(self, path: Path) -> None:
        assert path.stem not in {"utils", "util", "common", "helpers", "helper", "misc"}

    def test_it_says_what_it_is(self, path: Path) -> None:
        if path.read_text().strip():
            assert ast.get_docstring(tree(path)), f"{path} has no docstring"


def test_only_the_work_tree_and_stores_delete_trees() -> None:
    """`rmtree` is a loaded gun: only these rooms hold one."""
    for path in modules():
        if re.search(r"\brmtree\b", path.read_text()):
            assert within(name(path), {"adapters.worktree", "adapters.stores", "adapters.landing", SIDE}), (
                path
            )


FORKS = {
    ("multiprocessing", "wiring/reaching.py"),
    # Looks at names and stats, writes to shared memory and ends: it has no store to speak to.
    ("os.fork(", "adapters/worktree/second.py"),
    # Leaves its parent before anything of a store is loaded.
    ("os.fork(", "detached.py"),
}


def test_nothing_forks() -> None:
    """A connection to a store does not survive a fork. Programs are started anew, without code between fork and exec."""
    found = {
        (word, path.relative_to(SRC).as_posix())
        for path in modules()
        for word in ("os.fork(", "forkpty", "multiprocessing", "ProcessPoolExecutor", "preexec_fn")
        if word in path.read_text()
    }
    assert found <= FORKS


def test_what_forks_knows_no_store() -> None:
    second = (SRC / "adapters" / "worktree" / "second.py").read_text()
    assert not re.search(r"^\s*(from rote|import rote)", second, re.MULTILINE)


LIGHT = "import sys; import rote.client; print(*sorted(sys.modules))"


def test_the_client_stays_light() -> None:
    import subprocess

    out = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"sqlite3", "click", "yaml", "asyncio", "rich", "numpy", "importlib.metadata", "subprocess"}
    assert heavy & set(out) == set()
    ours = {m for m in out if m.startswith("rote.")}
    engine = {
        "runs.runner",
        "adapters.executors",
        "runs.catalogue",
        "rote.cli",
        "wiring.config",
        "wiring.project",
        "runs.planning",
        "runs.recording",
    }
    assert not [module for module in ours if within(module, engine)]


def test_import_rote_is_light() -> None:
    import subprocess

    code = "import sys, rote; print(*sorted(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"sqlite3", "click", "yaml", "asyncio", "rich", "subprocess", "zstandard"} & set(out) == set()
