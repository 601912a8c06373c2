"""Files of the user's that are to be published: which ones are meant, and their bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from rote.adapters.landing import disk
from rote.errors import Missing, UsageError
from rote.ports.loose import LooseFile
from rote.words.ids import shown

_PIECE = 1 << 20


def gathered(
    named: Iterable[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]],
) -> list[LooseFile]:
    """The files that are named: a file goes by its name, all files below a folder by the folder's name and their paths;
    a mapping says what each is to be called. Raises Missing, UsageError."""
    if isinstance(named, str | os.PathLike):
        named = [named]
    found: dict[str, LooseFile] = {}
    pairs = named.items() if isinstance(named, Mapping) else ((None, one) for one in named)
    for called, one in pairs:
        where = os.fspath(one)
        if not isinstance(where, str):
            raise UsageError(f"a path is text: {one!r}")
        name = called or os.path.basename(os.path.abspath(where))
        for path, full in _below(name, where):
            if path in found and os.path.realpath(full) != os.path.realpath(where):
                raise UsageError(
                    f"two files would both be {shown(path)}",
                    next="give one another name: files={'NAME': PATH}, or publish the folder they are in",
                )
            found[path] = _loose(path, full)
    return list(found.values())


def _below(name: str, where: str) -> Iterator[tuple[str, str]]:
    if os.path.isfile(where):
        yield name, where
        return
    if not os.path.isdir(where):
        raise Missing(f"there is no file {shown(where)}", next="check how it is spelled")
    empty = True
    for folder, folders, files in os.walk(where):
        folders.sort()
        for file in sorted(files):
            full = os.path.join(folder, file)
            if os.path.isfile(full):
                empty = False
                below = os.path.relpath(full, where).replace(os.sep, "/")
                yield f"{name}/{below}", full
    if empty:
        raise Missing(f"there is no file in the folder {shown(where)}")


def _loose(path: str, full: str) -> LooseFile:
    with disk.translated(full):
        told = os.stat(full)
    return LooseFile(path=path, size=told.st_size, executable=bool(told.st_mode & 0o100), read=_reader(full))


def _reader(full: str) -> Callable[[int], Iterator[bytes]]:
    def read(start: int) -> Iterator[bytes]:
        with disk.translated(full), open(full, "rb", buffering=0) as file:
            file.seek(start)
            while data := file.read(_PIECE):
                yield data

    return read
