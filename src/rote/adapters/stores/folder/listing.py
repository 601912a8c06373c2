"""Listing keys in the order of their bytes, holding only a part of each folder on the way in memory."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator

from rote.adapters.stores import keys
from rote.adapters.stores.folder import etags, reading
from rote.ports import Meta

BATCH = 50_000
"""Names of one folder that are held at once; a larger folder is gone through several times."""

_NOT_OURS = "lost+found"
"""A file system's own folder, at the root of a disk, which only root may enter."""


def walk(root: str, prefix: str, after: str) -> Iterator[Meta]:
    """Every object below the folder `root` whose key begins with `prefix` and is greater than `after`.

    Raises OSError. Files that are not objects (see docs/format.md, 3) are passed over.
    """
    head, _, rest = prefix.rpartition("/")
    yield from _walk(root, f"{head}/" if head else "", rest, after)


def _walk(root: str, head: str, rest: str, after: str) -> Iterator[Meta]:
    for name in _names(root, head, rest, after):
        if name.endswith("/"):
            yield from _walk(root, head + name, "", after)
            continue
        key = head + name
        stat = reading.stat_object(f"{root}/{key}")
        if stat is not None:  # deleted since its name was read
            yield Meta(key, stat.st_size, etags.of(stat))


def _names(root: str, head: str, rest: str, after: str) -> Iterator[str]:
    """Names in the folder `head` that begin with `rest`, sorted; a folder's ends with `/`, because its keys go on
    with one, which decides its place among the others."""
    low = after[len(head) :] if after.startswith(head) else ""
    if after > head and not low:
        return  # all keys here are smaller
    last = ""
    while True:
        wanted = (n for n in _scan(root, head, rest) if n > last and _reaches_past(n, low))
        batch = heapq.nsmallest(BATCH, wanted)
        yield from batch
        if len(batch) < BATCH:
            return
        last = batch[-1]


def _reaches_past(name: str, low: str) -> bool:
    """Whether a key at or below `name` can be greater than `low`."""
    return name > low or (name[-1] == "/" and low.startswith(name))


def _scan(root: str, head: str, rest: str) -> Iterator[str]:
    try:
        entries = os.scandir(f"{root}/{head}")
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            name = entry.name
            if not name.startswith(rest) or not keys.is_name(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if head or name != _NOT_OURS:
                    yield f"{name}/"
            elif entry.is_file(follow_symlinks=False):
                yield name
