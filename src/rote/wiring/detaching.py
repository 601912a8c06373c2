"""Starting a run in the background: a process of its own session, which outlives whoever started it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from rote.errors import RoteError, UsageError
from rote.words.ids import RunId


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the process in the background has to do: `Project.run`, or with `resumes` `Project.resume`, with these
    arguments."""

    root: str
    cwd: str
    store: str | None
    output: str
    """The file that its own output goes to."""
    resumes: str | None = None
    stages: list[str] = []
    options: dict[str, Any] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line that the process in the background tells whoever started it."""

    pid: int = 0
    run: str = ""
    recorded: bool = True
    error: list[str | None] = []
    """What, where, safe, next."""
    exit_code: int = 0


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was started in the background. Not `recorded`: there was nothing to do, `run` had done it all."""

    run: RunId
    recorded: bool
    pid: int


class Failed(RoteError):
    """The process in the background gave up before there was a run."""

    def __init__(self, report: Report) -> None:
        what, where, safe, next = report.error
        super().__init__(what or "", where=where, safe=safe, next=next)
        self.exit_code = report.exit_code


def start(order: Order, environment: Mapping[str, str]) -> Started:
    """Start it, and wait until the run is in the store. Raises Failed; RoteError if no process can be started."""
    if not hasattr(os, "posix_spawn") or not sys.executable:
        raise UsageError("a run cannot be detached on this system", next="rote run")
    os.makedirs(os.path.dirname(order.output), exist_ok=True)
    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    asking, asked = os.pipe()
    telling, told = os.pipe()
    try:
        child = os.posix_spawn(
            sys.executable,
            # -P: no module of the folder that it is started in stands in the way of one of rote's.
            [sys.executable, "-P", "-m", "rote.detached"],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, asking, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_DUP2, told, 3),
            ],
        )
    except OSError as e:
        os.close(asked)
        os.close(telling)
        raise RoteError(f"no process can be started: {e.strerror}", safe="nothing was done") from e
    finally:
        for descriptor in (output, asking, told):
            os.close(descriptor)
    with contextlib.suppress(BrokenPipeError), open(asked, "wb") as f:
        f.write(msgspec.json.encode(order))
    os.waitpid(child, 0)  # it has left a child of its own, and is over
    return _heard(telling, order)


def _heard(telling: int, order: Order) -> Started:
    pid = 0
    try:
        with open(telling, "rb") as f:
            for line in f:
                report = msgspec.json.decode(line, type=Report)
                if report.error:
                    raise Failed(report)
                if report.run:
                    return Started(run=RunId(report.run), recorded=report.recorded, pid=pid)
                pid = report.pid
    except KeyboardInterrupt:
        if pid:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        raise
    with open(order.output, encoding="utf-8", errors="replace") as out:
        said = out.read()[-2000:].strip()
    raise RoteError(
        "the process in the background ended before there was a run" + (f":\n{said}" if said else ""),
        where=order.output,
        next="rote run, to see it fail",
    )
