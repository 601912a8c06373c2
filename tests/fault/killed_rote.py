"""The command `rote`, killed as by a power cut: `killed_rote.py N ARGS` dies before its Nth step that writes.

A step is whatever makes, opens for writing, moves or removes a file. With N = 0 nothing happens, and the number of steps
goes to the file that the environment names in STEPS. SIGNAL in the environment is sent instead of SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from rote.__main__ import main

STEPS = {
    "os.rename",
    "os.link",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.symlink",
    "sqlite3.connect",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
number = int(sys.argv[1])
lock = threading.Lock()
steps: list[str] = []


def trace(event: str, args: tuple[Any, ...]) -> None:
    if event not in STEPS and not (event == "open" and args[2] & WRITING and args[0] != os.devnull):
        return
    with lock:
        steps.append(event)
        if len(steps) == number:
            os.kill(os.getpid(), int(os.environ.get("SIGNAL", signal.SIGKILL)))


sys.dont_write_bytecode = True
sys.addaudithook(trace)
sys.argv = ["rote", *sys.argv[2:]]
code = main()
if not number:
    counted = len(steps)
    with open(os.environ["STEPS"], "w") as f:
        f.write(str(counted))
sys.exit(code)
