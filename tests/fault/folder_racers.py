"""Run as a program: many processes that write the same objects of a folder store at the same moment.

usage: folder_racers.py WHERE PROCESSES ROUNDS
Prints a line for each creation that was won: KEY PROCESS.
"""

from __future__ import annotations

import os
import sys

from rote.adapters.stores.folder import FolderStore
from rote.errors import Conflict


def race(where: str, me: int, rounds: int) -> None:
    store = FolderStore(where, create=False)
    for n in range(rounds):
        key = f"races/{n // 4}/{n}"
        try:
            store.create(key, f"{me} ".encode() * 5000)
            os.write(1, f"{key} {me}\n".encode())
        except Conflict:
            pass
    for n in range(rounds):
        while True:
            seen = store.get("ledger")
            try:
                store.replace("ledger", seen.data + f"{me}.{n}\n".encode(), seen.etag)
                break
            except Conflict:
                pass


def main() -> None:
    where, processes, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    FolderStore(where).create("ledger", b"")
    wait, go = os.pipe()
    children = []
    for me in range(processes):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(wait, 1)  # ends for all at once, when the parent closes the other end
            race(where, me, rounds)
            os._exit(0)
        children.append(child)
    os.close(go)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main()
