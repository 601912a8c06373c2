"""Single files of the project by their content, and names in its folders: what a stage was found to read."""

from __future__ import annotations

import os
import stat
import threading

import msgspec
from blake3 import blake3

from rote.adapters.worktree import stamps
from rote.adapters.worktree.places import Places
from rote.laws.pipeline.found import could_be, names_told
from rote.words.ids import Digest

_MAGIC = b"rote-files-1\n"
_PIECE = 1 << 20
_MOST = 200_000
"""Files that are remembered; beyond that all are forgotten, and read again."""


class Files:
    """A ports.Files on the local file system, with a stat cache in one file. Thread-safe."""

    def __init__(self, root: str, cache: str = ".rote/cache") -> None:
        self._places = Places(root, cache)
        self._file = os.path.join(self._places.cache, "files")
        self._lock = threading.Lock()
        self._known: dict[str, tuple[bytes, bytes]] | None = None
        self._changed = False

    def digest(self, path: str) -> Digest | None:
        """The digest of a file's bytes; None if no readable file is there."""
        full = self._full(path)
        try:
            st = os.stat(full) if full is not None else None
        except (OSError, ValueError):
            return None
        if full is None or st is None or not stat.S_ISREG(st.st_mode):
            return None
        row = stamps.packed(list(stamps.row(st)))
        with self._lock:
            known = self._load().get(path)
        if known is not None and known[0] == row:
            return Digest(known[1].hex())
        return self._read(path, full)

    def stamp(self, path: str) -> tuple[int, ...] | None:
        """What a note of reading would say of the file now: mtime and ctime in ns, inode, size. None: no file."""
        full = self._full(path)
        try:
            st = os.stat(full) if full is not None else None
        except (OSError, ValueError):
            return None
        if st is None or not stat.S_ISREG(st.st_mode):
            return None
        return (st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_size)

    def names(self, path: str, besides: list[str]) -> list[str] | None:
        """Which names are in a folder, sorted; None if there is no folder."""
        found = self._entries(path)
        return None if found is None else names_told(found, besides)

    def modules(self, path: str, sought: list[str]) -> list[str]:
        """Which entries of a folder could be one of these modules, sorted."""
        full = self._full(path)
        there = could_be(self._entries(path) or (), sought)
        return [n for n in there if "." in n or os.path.isfile(os.path.join(full or "", n, "__init__.py"))]

    def moment(self) -> int:
        """The file system's time now, in ns: what changes from now on has a ctime that is not before it."""
        probe = self._places.probe()
        os.makedirs(self._places.cache, exist_ok=True)
        return stamps.moment(probe, os.stat(self._places.root).st_dev)

    def save(self) -> None:
        """Remember what was read; what cannot be written only costs time later."""
        with self._lock:
            if not self._changed or self._known is None:
                return
            if len(self._known) > _MOST:
                self._known = {}
            body = msgspec.msgpack.encode(self._known)
            self._changed = False
        aside = f"{self._file}.{os.getpid()}.{threading.get_ident()}"
        try:
            os.makedirs(self._places.cache, exist_ok=True)
            with open(aside, "wb") as out:
                out.write(_MAGIC + blake3(body).digest() + body)
            os.replace(aside, self._file)
        except OSError:
            return

    def _full(self, path: str) -> str | None:
        """Where it lies. A path in a result may come from anybody: one that leads out of the project is nowhere."""
        if path == ".":
            return self._places.root
        if path.startswith("/") or "\0" in path or any(p in ("", ".", "..") for p in path.split("/")):
            return None
        return os.path.join(self._places.root, path)

    def _entries(self, path: str) -> list[str] | None:
        full = self._full(path)
        try:
            return os.listdir(full) if full is not None else None
        except OSError:
            return None

    def _read(self, path: str, full: str) -> Digest | None:
        try:
            with open(full, "rb", buffering=0) as file:
                st = os.fstat(file.fileno())
                moment = stamps.moment(self._places.probe(), st.st_dev)
                hasher = blake3()
                while piece := file.read(_PIECE):
                    hasher.update(piece)
                after = os.fstat(file.fileno())
        except OSError:
            return None
        row = stamps.packed(list(stamps.row(st)))
        same = stamps.row(after) == stamps.row(st)
        with self._lock:
            kept = stamps.sure(row, moment) if same else stamps.UNSURE
            self._load()[path] = (kept, hasher.digest())
            self._changed = True
        return Digest(hasher.hexdigest())

    def _load(self) -> dict[str, tuple[bytes, bytes]]:
        if self._known is None:
            self._known = {}
            try:
                with open(self._file, "rb", buffering=0) as file:
                    data = file.readall()
                start = len(_MAGIC) + 32
                if (
                    data[: len(_MAGIC)] == _MAGIC
                    and blake3(data[start:]).digest() == data[len(_MAGIC) : start]
                ):
                    self._known = msgspec.msgpack.decode(data[start:], type=dict[str, tuple[bytes, bytes]])
            except (OSError, msgspec.DecodeError):
                self._known = {}
        return self._known
