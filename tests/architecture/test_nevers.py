"""The nevers of the architecture that import-linter cannot say, checked on the syntax tree of every module.

A new module is put on a floor in the import contracts of pyproject.toml, from which this reads them.
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

SIDE = {"testing"}


def floors() -> dict[str, set[str]]:
    """The floors, by name, from the layers of the import contract: a floor goes on until the module that opens the next."""
    told = tomllib.loads((SRC.parents[1] / "pyproject.toml").read_text())
    layers = told["tool"]["importlinter"]["contracts"][0]["layers"]
    opens = {
        "project": "wiring", "clock": "adapters", "ingest": "services", "ports": "ports", "gates": "laws",
        "errors": "words",
    }  # fmt: skip
    found: dict[str, set[str]] = {"faces": {"__init__"}}
    floor = "faces"
    for layer in layers:
        rooms = {name.strip() for name in re.split("[:|]", layer)}
        floor = next((opens[room] for room in rooms if room in opens), floor)
        found.setdefault(floor, set()).update(rooms)
    return found


FLOORS = floors()
ADAPTERS, SERVICES, FACES = FLOORS["adapters"], FLOORS["services"], FLOORS["faces"]
FLOOR = {
    **{room: height for height, name in enumerate(("words", "laws", "ports")) for room in FLOORS[name]},
    **dict.fromkeys(SERVICES | ADAPTERS, 3),
    **dict.fromkeys(FLOORS["wiring"], 4),
    **dict.fromkeys(FACES, 5),
    **dict.fromkeys(SIDE, 4),
}

# What words and laws may import besides each other: values in, decisions out.
PURE = {
    "__future__", "abc", "bisect", "collections", "contextlib", "datetime", "decimal", "difflib", "enum", "fnmatch",
    "base64", "csv", "functools", "posixpath", "hashlib", "heapq", "itertools", "json", "math", "operator", "pickletools", "re",
    "shlex", "statistics", "string", "struct", "array", "sys", "textwrap", "types", "typing", "unicodedata", "zlib",
    "dataclasses",
    "msgspec", "blake3", "pyfastcdc",
}  # fmt: skip
# A vendor's package -> the only modules that may import it. (blake3, msgspec and zstandard are the format itself.)
ONLY_IN = {
    "sqlite3": {"known", "catalogue", "agreed"},
    "click": {"cli"},
    "yaml": {"config", "overriding", "forges"},  # forges: what gh and glab keep of tokens
    "tomllib": {"config", "overriding"},
    "subprocess": {
        "vcs",
        "executors",
        "stores",
        "landing",
    },  # of the stores, ssh alone; landing proves versions
    "opendal": {"stores"},
    "fsspec": {"filesystem"},
    "torch": {"torchdata"},
    "fcntl": {"stores", "worktree", "landing"},
    "pyfastcdc": {"chunking"},
    "obstore": {"stores"},
    "boto3": {"stores"},
    "cryptography": {"signing"},
    "zstandard": {
        "nodes",
        "packs",
        "packing",
        "ingest",
        "snapshots",
        "livelog",
        "carrying",
        "probing",
        "tables",
    },
    "duckdb": {"tables"},
    "huggingface_hub": {"targets"},
    "socket": {"machine", "worktree", "stores"},
}


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return parts[0]


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


def rooms_imported(path: Path) -> list[tuple[ast.stmt, str]]:
    rooms = []
    for node, name in imports(path):
        parts = name.split(".")
        if parts[0] == "rote":
            rooms.append((node, parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"))
    return rooms


def test_every_module_is_on_a_floor() -> None:
    assert {room(path) for path in modules()} - set(FLOOR) == set()


def test_no_floor_is_named_for_a_room_that_is_not_there() -> None:
    assert set(FLOOR) - {room(path) for path in modules()} == set()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))
class TestEachModule:
    def test_imports_only_from_floors_below(self, path: Path) -> None:
        here = room(path)
        for node, other in rooms_imported(path):
            if other == here or (other == "_version"):
                continue
            where = f"{path}:{node.lineno}: {here} imports {other}"
            if here in SIDE:
                assert FLOOR[other] <= 3, where
            elif FLOOR[here] == FLOOR[other]:
                assert here not in ADAPTERS, f"{where}: an adapter never imports a sibling"
                assert not (here in SERVICES and other in ADAPTERS), f"{where}: services speak only to ports"
            else:
                assert FLOOR[other] < FLOOR[here], where
                assert not (here in ADAPTERS and other in SERVICES), (
                    f"{where}: adapters never import services"
                )

    def test_words_and_laws_are_pure(self, path: Path) -> None:
        if FLOOR[room(path)] > 1:
            return
        for node, name in imports(path):
            top = name.split(".")[0]
            assert top in PURE or top == "rote", f"{path}:{node.lineno}: {name} is not for words and laws"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "print", "input", "eval", "exec"}, f"{path}:{node.lineno}"

    def test_a_vendor_appears_only_in_its_room(self, path: Path) -> None:
        for node, name in imports(path):
            allowed = ONLY_IN.get(name.split(".")[0])
            if allowed is not None:
                assert room(path) in allowed | SIDE, (
                    f"{path}:{node.lineno}: {name} belongs to {sorted(allowed)}"
                )

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
        if room(path) in FACES:
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
            assert room(path) in {"worktree", "stores", "landing", "testing"}, path


FORKS = {
    ("multiprocessing", "reaching.py"),
    # Looks at names and stats, writes to shared memory and ends: it has no store to speak to.
    ("os.fork(", "worktree/second.py"),
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
    second = (SRC / "worktree" / "second.py").read_text()
    assert not re.search(r"^\s*(from rote|import rote)", second, re.MULTILINE)


LIGHT = "import sys; import rote.client; print(*sorted(sys.modules))"


def test_the_client_stays_light() -> None:
    import subprocess

    out = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"sqlite3", "click", "yaml", "asyncio", "rich", "numpy", "importlib.metadata", "subprocess"}
    assert heavy & set(out) == set()
    ours = {m.split(".")[1] for m in out if m.startswith("rote.")}
    assert (
        ours & {"runner", "executors", "catalogue", "cli", "config", "project", "planning", "recording"}
        == set()
    )


def test_import_rote_is_light() -> None:
    import subprocess

    code = "import sys, rote; print(*sorted(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"sqlite3", "click", "yaml", "asyncio", "rich", "subprocess", "zstandard"} & set(out) == set()
