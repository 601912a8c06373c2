"""Pointers and `.gitignore` files of a working tree."""

from __future__ import annotations

import os

from rote.adapters.worktree.places import OWN, Places, delete_quietly, trouble
from rote.errors import ConfigError
from rote.words import pointer
from rote.words.pointer import SUFFIX, Pointer

_NEVER = frozenset(
    ["__pycache__", "node_modules", ".venv", ".tox", ".git", ".hg", ".mypy_cache", ".ruff_cache"]
)
_FOREIGN = frozenset([".rote", "pyvenv.cfg"])
"""A folder that holds one of these is another project, or a virtual environment."""


def found(places: Places) -> list[tuple[str, Pointer]]:
    """Every pointer of the project, by data path. Data itself is not looked into."""
    pointers = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        names, folders = _listed(os.path.join(places.root, prefix))
        if prefix and not _FOREIGN.isdisjoint([*names, *folders]):
            continue
        data = {name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX) and name != SUFFIX}
        for name in data:
            said = read(places, prefix + name)
            if said is not None:
                pointers.append((prefix + name, said))
        skipped = data | _NEVER if prefix else data | _NEVER | set(OWN)
        pending += [f"{prefix}{name}/" for name in folders if name not in skipped]
    return sorted(pointers, key=lambda p: p[0])


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Names of files and of folders; links are not followed. A folder that may not be read has no pointers of ours."""
    names: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
    except (PermissionError, FileNotFoundError):
        return [], []
    return names, folders


def read(places: Places, path: str) -> Pointer | None:
    """The pointer beside a data path, or None. Raises ConfigError, TooNew."""
    try:
        with open(places.full(path) + SUFFIX, "rb") as f:
            data = f.read(65536)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as e:
        raise trouble(e, path + SUFFIX, "read") from e
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise ConfigError(
            "this pointer is not text",
            where=path + SUFFIX,
            next="take the file from git again, or run `rote add` on the data",
        ) from e
    return pointer.parse(text, path + SUFFIX)


def write(places: Places, path: str, says: Pointer) -> bool:
    """Write `PATH.rote`; False if it says that already."""
    full = places.full(path) + SUFFIX
    text = says.text().encode()
    if _content(full) == text:
        return False
    _put(places, full, text, path + SUFFIX)
    return True


def ignore(places: Places, path: str) -> bool:
    """Add `/NAME` to the `.gitignore` beside a data path; False if the line stands there."""
    full = places.full(path)
    file = os.path.join(os.path.dirname(full), ".gitignore")
    line = "/" + _escaped(os.path.basename(full))
    old = _content(file) or b""
    if line.encode() in (had.rstrip(b"\r").removesuffix(b"/") for had in old.split(b"\n")):
        return False
    if old and not old.endswith(b"\n"):
        old += b"\n"
    ending = b"\r\n" if b"\r\n" in old else b"\n"
    _put(places, file, old + line.encode() + ending, file)
    return True


def _escaped(name: str) -> str:
    """A name as a pattern of gitignore that matches this name only. (A name never ends with a space.)"""
    return "".join("\\" + c if c in "\\*?[]" else c for c in name)


def _content(file: str) -> bytes | None:
    try:
        with open(file, "rb") as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise trouble(e, file, "read") from e


def _put(places: Places, full: str, data: bytes, path: str) -> None:
    """Replace a file that people see. It is written elsewhere, so that who is killed leaves nothing beside it."""
    try:
        folder = places.staging(full)
    except OSError as e:
        raise trouble(e, path) from e
    try:
        replace_text(full, data, path, aside=os.path.join(folder, "text"))
    finally:
        delete_quietly(folder)


def replace_text(
    full: str, data: bytes, path: str, *, durable: bool = True, aside: str | None = None
) -> None:
    """Replace a small file, whole or not at all; `durable`: also over a power cut. Its permissions stay. It is written
    to `aside`, which lies on the same device, or else to a file beside it."""
    aside = aside or f"{full}.{os.getpid()}.new"
    try:
        mode = os.stat(full).st_mode & 0o777 if os.path.exists(full) else None
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
        try:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, full)
    except OSError as e:
        try:
            os.unlink(aside)
        except OSError:
            pass
        raise trouble(e, path) from e
