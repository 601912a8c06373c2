"""Which files of a folder got their names by a rename: what the kernel tells while it happens (inotify, Linux).

A rename tells that a file is complete. Its trace, a ctime later than the mtime, is missing where it comes within the
same tick of the file system's clock as the last byte; then only who watched knows.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import Any

_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_ONLY_FOLDERS, _DONT_FOLLOW, _IS_FOLDER, _OVERFLOW, _IGNORED = (
    0x1000000,
    0x2000000,
    0x40000000,
    0x4000,
    0x8000,
)
_WANTED = _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLY_FOLDERS | _DONT_FOLLOW
_HEAD = struct.Struct("iIII")
_MOST = 1000
"""Folders that are watched."""


class Renames:
    """Watches one folder, until it is closed. Where the system cannot, it knows of no rename."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._watched: dict[int, str] = {}
        self._renamed: set[str] = set()
        self._libc = _libc()
        self._queue = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC) if self._libc else -1
        self._add("")

    def take(self) -> frozenset[str]:
        """The paths in the folder that were given to a file by a rename, and into which nobody has written since."""
        while self._queue >= 0:
            try:
                data = os.read(self._queue, 1 << 16)
            except BlockingIOError:
                break
            at = 0
            while at < len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, at)
                name = os.fsdecode(data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0"))
                at += _HEAD.size + length
                self._told(watch, mask, name)
        return frozenset(self._renamed)

    def close(self) -> None:
        """No more is asked."""
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1

    def _told(self, watch: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            self._renamed.clear()  # what was written since is not known
        elif mask & _IGNORED:
            self._watched.pop(watch, None)
        elif watch in self._watched:
            path = self._watched[watch] + name
            if mask & _IS_FOLDER:
                self._renamed = {one for one in self._renamed if not one.startswith(f"{path}/")}
                self._forget(f"{path}/")
                if mask & (_CREATE | _MOVED_TO):
                    self._add(f"{path}/")
            elif mask & _MOVED_TO:
                self._renamed.add(path)
            else:
                self._renamed.discard(path)

    def _add(self, prefix: str) -> None:
        """Watch a folder, and those in it."""
        waiting = [prefix]
        while waiting and self._libc and self._queue >= 0 and len(self._watched) < _MOST:
            below = waiting.pop()
            full = os.path.join(self._folder, below)
            watch = self._libc.inotify_add_watch(self._queue, os.fsencode(full), _WANTED)
            if watch < 0:
                continue  # gone, or as many as one may have
            self._watched[watch] = below
            try:
                with os.scandir(full) as entries:
                    waiting += [f"{below}{e.name}/" for e in entries if e.is_dir(follow_symlinks=False)]
            except OSError:
                continue  # gone since

    def _forget(self, prefix: str) -> None:
        """Folders that have another name, or none, now."""
        for watch, below in list(self._watched.items()):
            if below.startswith(prefix):
                del self._watched[watch]


def _libc() -> Any:
    """The C library, if it knows inotify."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # only stages with checkpoints need it

    try:
        library = ctypes.CDLL(None, use_errno=True)
        library.inotify_init1.argtypes = [ctypes.c_int]
        library.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
    except (OSError, AttributeError):
        return None
    return library
