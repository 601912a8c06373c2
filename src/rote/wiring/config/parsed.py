"""A cache of parsed files: reading a thousand stages again costs one decoding instead of a parse.

An entry is named by nothing but the digest of the file's bytes, so that it cannot be out of date, whatever the clock
of the file system does. It can be deleted at any time.
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

import msgspec
from blake3 import blake3

from rote._version import __version__

FORMAT: Final = 2
_MARK: Final = f"rote parsed {FORMAT} {__version__}\n".encode()
_T = TypeVar("_T")


class Parsed:
    """Parsed files in the folder `cache`, one entry a kind."""

    def __init__(self, cache: str) -> None:
        self._folder = cache

    def get(self, kind: str, source: bytes, type: type[_T]) -> _T | None:
        """What `source` was parsed to, or None if that is not known."""
        try:
            with open(self._path(kind), "rb") as file:
                data = file.read()
        except OSError:
            return None  # a cache: the file is parsed again
        head = _head(source)
        body = data[len(head) + 32 :]
        if not data.startswith(head) or data[len(head) : len(head) + 32] != blake3(body).digest():
            return None
        try:
            return msgspec.msgpack.decode(body, type=type)
        except msgspec.MsgspecError:
            return None

    def put(self, kind: str, source: bytes, value: object) -> None:
        """Remember what `source` was parsed to; where that cannot be written, it is parsed again next time."""
        body = msgspec.msgpack.encode(value)
        path = self._path(kind)
        aside = f"{path}.{os.getpid()}"
        try:
            os.makedirs(self._folder, exist_ok=True)
            with open(aside, "wb") as file:
                file.write(_head(source) + blake3(body).digest() + body)
            os.replace(aside, path)
        except OSError:
            return  # a full disk or a read-only project must not stop anybody from reading

    def _path(self, kind: str) -> str:
        return os.path.join(self._folder, f"{kind}.parsed")


def _head(source: bytes) -> bytes:
    return _MARK + blake3(source).digest()
