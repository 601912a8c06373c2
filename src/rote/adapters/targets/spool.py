"""A copy on disk of what is sent, for places that take an object whole."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from typing import IO

from rote.errors import Changed, StoreFull
from rote.ports.hosting import Sending
from rote.words.ids import shown


def copy(file: Sending, spool: IO[bytes], *also: Callable[[bytes], object]) -> int:
    """Write the file to `spool`, each piece to `also` as well; its size in bytes. Raises Changed if it is not what it
    was said to be, StoreFull."""
    size, sha256 = 0, hashlib.sha256()
    try:
        for piece in file.read(0):
            size += len(piece)
            if size > file.size:
                break
            sha256.update(piece)
            for take in also:
                take(piece)
            spool.write(piece)
        spool.flush()
    except OSError as e:
        raise StoreFull(
            f"no room for a copy of {file.name} while it is sent: {e.strerror or e}",
            where=tempfile.gettempdir(),
            next="set TMPDIR to a folder with more room, then do the same again",
        ) from e
    if (size, sha256.hexdigest()) != (file.size, file.sha256):
        raise Changed(
            f"{shown(file.name)} is not what it was when it was looked at", next="do the same again"
        )
    return size
