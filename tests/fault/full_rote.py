"""The command `rote` on a disk that is full from its Nth step on: `full_rote.py N once|on ARGS`.

A step is whatever makes or enlarges a file: opening one for writing, a write, a new folder, a link. It fails with ENOSPC;
with `once` only that step does, with `on` every later one too. With N = 0 nothing happens, and the number of steps goes to the
file that the environment names in STEPS. What takes away or renames goes on, as it does on a full disk.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from typing import Any

from rote.__main__ import main

MAKING = {"os.mkdir", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
number, mode = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
steps: list[object] = []


def step(where: object) -> None:
    with lock:
        steps.append(where)
        full = number and (len(steps) == number or (len(steps) > number and mode == "on"))
    if full:
        raise OSError(
            errno.ENOSPC,
            os.strerror(errno.ENOSPC),
            os.fsdecode(where) if isinstance(where, str | bytes) else None,
        )


def trace(event: str, args: tuple[Any, ...]) -> None:
    if event in MAKING or (event == "open" and args[2] & WRITING and args[0] != os.devnull):
        step(args[0])


def counted(write: Any) -> Any:
    def wrapper(fd: int, *rest: Any) -> Any:
        if fd > 2 and stat.S_ISREG(os.fstat(fd).st_mode):
            step(None)
        return write(fd, *rest)

    return wrapper


sys.dont_write_bytecode = True
os.write, os.writev, os.pwrite = counted(os.write), counted(os.writev), counted(os.pwrite)
sys.addaudithook(trace)
sys.argv = ["rote", *sys.argv[3:]]
code = main()
if not number:
    found = len(steps)
    with open(os.environ["STEPS"], "w") as f:
        f.write(str(found))
sys.exit(code)
