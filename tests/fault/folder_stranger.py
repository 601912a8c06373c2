"""Run as a program: a user without rights tries to read and write a folder store.

usage: folder_stranger.py WHERE NOBODY
Prints what each attempt came to: NAME ERROR retry|final.
"""

from __future__ import annotations

import os
import sys

from rote.adapters.stores.folder import FolderStore
from rote.errors import StoreError


def main() -> None:
    where, nobody = sys.argv[1], int(sys.argv[2])
    if os.geteuid() == 0:  # to root nothing is forbidden
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
    store = FolderStore(where, create=False)
    etag = store.head("open/a").etag
    attempts = {
        "read": lambda: store.get("open/secret"),
        "list": lambda: list(store.list("closed/")),
        "listall": lambda: list(store.list("")),
        "create": lambda: store.create("open/new", b"x"),
        "replace": lambda: store.replace("open/a", b"x", etag),
        "delete": lambda: store.delete("open/a", etag),
        "make": lambda: FolderStore(f"{where}/open/store"),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
            print(name, "done", "-")
        except StoreError as e:
            print(name, type(e).__name__, "retry" if e.retry else "final")
    print("still", store.get("open/a").data.decode(), "-")


if __name__ == "__main__":
    main()
