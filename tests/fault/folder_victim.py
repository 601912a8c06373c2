"""Run as a program: kills a process (-9) at each system call of a write to a folder store.

usage: folder_victim.py WHERE create|create_deep|replace|delete
Leaves one store a step in WHERE/N-SIDE, and prints their names. SIDE: before the call, after it, or half-way in it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys

from rote.adapters.stores.folder import FolderStore

CALLS = ["open", "mkdir", "write", "utime", "fsync", "link", "rename", "unlink", "rmdir", "close"]
OLD, NEW = b"old" * 1000, b"new!" * 2000


def prepare(where: str) -> FolderStore:
    store = FolderStore(where)
    for key in ("kept/a", "kept/b/c", "at/x", "alone/in/here/x"):
        store.create(key, OLD)
    return FolderStore(where)  # one that has not swept yet, as in a new process


def write(store: FolderStore, kind: str) -> None:
    if kind == "create":
        store.create("kept/new", NEW)
    elif kind == "create_deep":
        store.create("new/and/deep/x", NEW)
    elif kind == "replace":
        store.replace("at/x", NEW, store.head("at/x").etag)
    else:
        store.delete("alone/in/here/x", store.head("alone/in/here/x").etag)


def arm(step: int, side: str) -> None:
    """From here on, the call number `step` is the last."""
    met = [0]

    def deadly(call, name):
        def wrapper(*args, **rest):
            met[0] += 1
            last = met[0] == step + 1
            if last and side == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if last and side == "half" and name == "write":
                args = (args[0], bytes(args[1])[: len(args[1]) // 2])
            try:
                return call(*args, **rest)
            finally:
                if last:
                    os.kill(os.getpid(), signal.SIGKILL)

        return wrapper

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name), name))
    fcntl.flock = deadly(fcntl.flock, "flock")


def main() -> None:
    place, kind = sys.argv[1:]
    step = 0
    while True:
        for side in ("before", "half", "after"):
            where = f"{place}/{step}-{side}"
            store = prepare(where)
            child = os.fork()
            if child == 0:
                arm(step, side)
                write(store, kind)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if status == 0:  # there is no such step any more
                return
            assert os.WIFSIGNALED(status), f"the write itself failed at {step}-{side}"
            print(f"{step}-{side}", flush=True)
        step += 1


if __name__ == "__main__":
    main()
