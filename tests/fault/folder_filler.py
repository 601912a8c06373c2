"""Run as a program: writes to a folder store until there is no space left, and checks what that did to it.

usage: folder_filler.py WHERE [LIMIT]
With LIMIT, no file may become larger than so many bytes, which stands for a full disk where none can be mounted.
"""

from __future__ import annotations

import os
import resource
import sys

from rote.adapters.stores.folder import FolderStore
from rote.errors import StoreFull


def content(store: FolderStore) -> dict[str, bytes]:
    return {meta.key: store.get(meta.key).data for meta in store.list("")}


def files(where: str) -> list[str]:
    """All that lies in the folder, folders too."""
    return sorted(os.path.join(at, name) for at, folders, names in os.walk(where) for name in folders + names)


def refused(where: str, write) -> None:
    store = FolderStore(where, create=False)
    before, held = files(where), content(store)
    try:
        write()
    except StoreFull as e:
        told = e
    else:
        raise AssertionError("there was space left")
    assert told.retry
    assert told.safe
    assert told.next
    assert files(where) == before, "nothing is left behind"
    assert content(store) == held, "what was there is untouched"


def fill(store: FolderStore, size: int) -> list[str]:
    made: list[str] = []
    while True:
        key = f"packs/{len(made)}/{size}"
        try:
            store.create(key, os.urandom(size))
        except StoreFull:
            return made
        made.append(key)


def main() -> None:
    where, limit = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    store = FolderStore(where)
    etag = store.create("root", b"in force")
    big = 100_000
    if limit is None:
        made = fill(store, big)
        for size in (30_000, 1):  # into the corners: until not even an inode is left
            made += fill(FolderStore(where), size)
        assert made
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        made = []
    refused(where, lambda: store.create("packs/deep/in/here/x", bytes(big)))
    refused(where, lambda: store.create("beside", bytes(big)))
    refused(where, lambda: store.replace("root", bytes(big), etag))
    assert store.get("root").data == b"in force"
    for key in made:
        store.delete(key)
    store.replace("root", b"again", etag)
    store.create("packs/deep/in/here/x", b"room again")
    print("ok", len(made))


if __name__ == "__main__":
    main()
