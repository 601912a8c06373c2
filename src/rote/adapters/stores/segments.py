"""A folder of the user's that keeps stretches of objects that never change: the read cache on disk.

One file a stretch: `STORE/aa/KEY/START-LENGTH`, where STORE and KEY are digests of the store's address and the object's
key. A file is magic, u32 length of the head, the head (JSON: key, start, length, etag), a keyed BLAKE3 digest for each
256 KiB, and the bytes. The key of the digests is the digest of the head, so that a file under a wrong name, or one that
rotted, is no hit. Files appear by a rename; whoever deletes one takes nothing but time from anybody. Any number of
processes may share a folder.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator
from itertools import count

import msgspec
from blake3 import blake3

_MAGIC = b"rotecch1"
_PAGE = 1 << 18
_DIGEST = 32
_MAX_HEAD = 1 << 12
_WRITTEN = "written"
_UNIT = 1 << 16
_OLD = 3600.0
"""Seconds after which a file that is still being written was left by a process that died."""


class Head(msgspec.Struct, frozen=True):
    """What a file holds: `length` bytes of the object `key` from `start`; `etag` of an object that is here whole."""

    key: str
    start: int
    length: int
    etag: str = ""


class Kept(msgspec.Struct, frozen=True):
    """Bytes that are here, verified, and the etag if the whole object is."""

    data: bytes
    etag: str


class Segments:
    """The stretches of one store's objects. `limit` in bytes is of the whole folder, for all stores. Thread-safe.

    Methods raise OSError where the folder cannot be used; reading never does.
    """

    def __init__(self, folder: str, store: str, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._own = os.path.join(folder, blake3(store.encode()).hexdigest()[:16])
        self._known: dict[str, tuple[int, list[tuple[int, int]]]] = {}
        self._lock = threading.Lock()
        self._names = count()

    # ---- reading -----------------------------------------------------------------------------------------------

    def get(self, key: str, start: int, length: int) -> bytes | None:
        """Exactly these bytes, if all of them are here and sound."""
        found: list[bytes] = []
        at, end = start, start + length
        for begin, stop in self._covering(key, start, end):
            kept = self._read(key, begin, stop - begin, at, min(stop, end) - at)
            if kept is None:
                return None
            found.append(kept.data)
            at += len(kept.data)
        return (found[0] if len(found) == 1 else b"".join(found)) if at == end and found else None

    def whole(self, key: str) -> Kept | None:
        """A whole object, if it is here and sound."""
        for begin, stop in self._here(key):
            if begin == 0:
                kept = self._read(key, 0, stop, 0, stop)
                if kept and kept.etag:
                    return kept
        return None

    def _covering(self, key: str, start: int, end: int) -> list[tuple[int, int]]:
        """Stretches that hold start to end together, in order; none if there is a gap."""
        here = self._here(key)
        chosen: list[tuple[int, int]] = []
        at = start
        while at < end:
            before = here[: bisect_right(here, (at, 1 << 62))]
            best = max(before, key=lambda stretch: stretch[1], default=(0, 0))
            if best[1] <= at:
                return []
            chosen.append(best)
            at = best[1]
        return chosen

    def _here(self, key: str) -> list[tuple[int, int]]:
        folder = self._folder(key)
        try:
            changed = os.stat(folder).st_mtime_ns
            known = self._known.get(key)
            if known is None or known[0] != changed:
                known = changed, sorted(_stretches(folder))
                with self._lock:
                    if len(self._known) > 4096:
                        self._known.clear()
                    self._known[key] = known
        except OSError:
            return []
        return known[1]

    def _read(self, key: str, begin: int, size: int, start: int, length: int) -> Kept | None:
        """`length` bytes from `start` of the object, out of the file that holds `size` from `begin`. A file that is not
        sound is removed."""
        path = os.path.join(self._folder(key), f"{begin}-{size}")
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError:
            self._known.pop(key, None)
            return None
        try:
            kept = _verified(fd, Head(key, begin, size), start - begin, length)
            if kept is not None:
                _touch(path)
                return kept
        except (OSError, msgspec.MsgspecError):
            pass  # as good as not there: it is read from the store
        finally:
            os.close(fd)
        self._known.pop(key, None)
        _remove(path)
        return None

    # ---- writing -----------------------------------------------------------------------------------------------

    def put(self, key: str, start: int, data: bytes, etag: str = "") -> None:
        """Keep these bytes. Raises OSError."""
        if not data or len(data) > self.limit // 4:
            return
        head = msgspec.json.encode(Head(key, start, len(data), etag))
        folder = self._folder(key)
        aside = os.path.join(folder, f".{os.getpid()}.{threading.get_ident()}.{next(self._names)}")
        secret = blake3(head).digest()
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with open(aside, "wb") as file:
                file.write(_MAGIC + len(head).to_bytes(4, "little") + head)
                view = memoryview(data)
                pages = (view[at : at + _PAGE] for at in range(0, len(data), _PAGE))
                file.writelines(blake3(page, key=secret).digest() for page in pages)
                file.write(data)
            os.replace(aside, os.path.join(folder, f"{start}-{len(data)}"))
        except OSError:
            _remove(aside)
            raise
        self._known.pop(key, None)
        self._count(len(data))

    def drop(self, key: str) -> None:
        """Forget an object."""
        folder = self._folder(key)
        for begin, stop in self._here(key):
            _remove(os.path.join(folder, f"{begin}-{stop - begin}"))
        self._known.pop(key, None)

    def _count(self, size: int) -> None:
        """Note that so much was written, one byte for 64 KiB; after a tenth of the limit it is time to sweep. The note
        is a hint: two processes that sweep at once do no harm."""
        note = os.path.join(self.folder, _WRITTEN)
        with open(note, "ab") as file:
            file.write(b"." * -(-size // _UNIT))
            written = file.tell() * _UNIT
        if written > self.limit // 10:
            with open(note, "wb"):
                pass
            self.sweep()

    def sweep(self) -> int:
        """Delete what was not used for longest until nine tenths of the limit are left; bytes that went."""
        found = sorted(_files(self.folder))
        size = sum(file[2] for file in found)
        gone = 0
        for _, path, bytes_ in found:
            if size - gone <= self.limit * 9 // 10:
                break
            _remove(path)
            gone += bytes_
        return gone

    def _folder(self, key: str) -> str:
        name = blake3(key.encode()).hexdigest()[:32]
        return os.path.join(self._own, name[:2], name)


def _verified(fd: int, wanted: Head, start: int, length: int) -> Kept | None:
    """`length` bytes from `start` of what the file holds, if it holds what is wanted, unharmed."""
    prefix = os.read(fd, len(_MAGIC) + 4)
    size = int.from_bytes(prefix[len(_MAGIC) :], "little")
    if prefix[: len(_MAGIC)] != _MAGIC or size > _MAX_HEAD:
        return None
    head = os.read(fd, size)
    told = msgspec.json.decode(head, type=Head)
    if (told.key, told.start, told.length) != (wanted.key, wanted.start, wanted.length):
        return None
    pages = -(-wanted.length // _PAGE)
    first, last = start // _PAGE, (start + max(length, 1) - 1) // _PAGE
    begin = len(prefix) + size
    digests = _pread(fd, _DIGEST * (last - first + 1), begin + _DIGEST * first)
    body = memoryview(_pread(fd, (last - first + 1) * _PAGE, begin + _DIGEST * pages + first * _PAGE))
    secret = blake3(head).digest()
    for number in range(last - first + 1):
        page = body[number * _PAGE : (number + 1) * _PAGE]
        if blake3(page, key=secret).digest() != digests[number * _DIGEST : (number + 1) * _DIGEST]:
            return None
    skipped = start - first * _PAGE
    data = bytes(body[skipped : skipped + length])
    return Kept(data, told.etag) if len(data) == length else None


def _pread(fd: int, length: int, at: int) -> bytes:
    os.lseek(fd, at, os.SEEK_SET)
    found = bytearray()
    while len(found) < length and (more := os.read(fd, length - len(found))):
        found += more
    return bytes(found)


def _stretches(folder: str) -> Iterator[tuple[int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            start, dash, length = entry.name.partition("-")
            if dash and start.isdigit() and length.isdigit():
                yield int(start), int(start) + int(length)


def _files(folder: str) -> Iterator[tuple[int, str, int]]:
    """(Time of last use in ns, path, bytes) of every file; what a dead process left is as if it was never used."""
    now = _now(folder)
    for where, _, names in os.walk(folder):
        if where == folder:
            continue
        for name in names:
            path = os.path.join(where, name)
            try:
                stat = os.stat(path)
            except OSError:
                continue  # another process swept it
            if name.startswith("."):
                if now - stat.st_mtime > _OLD:
                    yield 0, path, stat.st_size
            else:
                yield stat.st_mtime_ns, path, stat.st_size


def _now(folder: str) -> float:
    """The time of the folder's own file system: the note was just written."""
    return os.stat(os.path.join(folder, _WRITTEN)).st_mtime


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except OSError:
        return  # a folder that may only be read serves all the same


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # gone already, or not ours to delete
