"""Where a project's DVC files are. Data is not looked into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import msgspec

FOLDER: Final = ".dvc"
PIPELINE: Final = "dvc.yaml"
SUFFIX: Final = ".dvc"

_NEVER: Final = frozenset(
    [
        ".git",
        ".hg",
        ".dvc",
        ".rote",
        "__pycache__",
        "node_modules",
        ".venv",
        ".tox",
        ".mypy_cache",
        ".ruff_cache",
    ]
)
_FOREIGN: Final = frozenset([".dvc", ".rote", "pyvenv.cfg"])
"""A folder below the root that holds one of these is another project, or a virtual environment."""


class Files(msgspec.Struct, frozen=True):
    """The pipeline files and the pins, as paths from the project's root, the root's first."""

    pipelines: tuple[str, ...]
    pins: tuple[str, ...]


def is_project(root: str) -> bool:
    """Whether DVC is at home in this folder."""
    return os.path.isdir(os.path.join(root, FOLDER)) or os.path.isfile(os.path.join(root, PIPELINE))


def files(root: str) -> Files:
    """Every dvc.yaml and every `.dvc` file."""
    pipelines: list[str] = []
    pins: list[str] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        names, folders = _listed(os.path.join(root, prefix))
        if prefix and not _FOREIGN.isdisjoint([*names, *folders]):
            continue
        if PIPELINE in names:
            pipelines.append(prefix + PIPELINE)
        own = [name for name in names if name.endswith(SUFFIX) and name != SUFFIX]
        pins += [prefix + name for name in own]
        skipped = _NEVER | {name.removesuffix(SUFFIX) for name in own} | _ignored(root, prefix, names)
        pending += [f"{prefix}{name}/" for name in sorted(folders, reverse=True) if name not in skipped]
    return Files(tuple(sorted(pipelines, key=_order)), tuple(sorted(pins, key=_order)))


def _order(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _listed(folder: str) -> tuple[list[str], list[str]]:
    names: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
    except (PermissionError, FileNotFoundError):
        return [], []  # what may not be read has no files of ours
    return names, folders


def _ignored(root: str, prefix: str, names: list[str]) -> set[str]:
    """The names that DVC itself put into `.gitignore`: data and outs."""
    if ".gitignore" not in names:
        return set()
    return {line[1:] for line in _lines(os.path.join(root, prefix, ".gitignore")) if line.startswith("/")}


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                yield line.strip().rstrip("/")
    except OSError:
        return
