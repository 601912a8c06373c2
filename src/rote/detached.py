"""The process in the background that `rote run --detach` starts: `python -m rote.detached`, told on standard input."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

import rote
from rote.errors import RoteError
from rote.ports import Silence
from rote.wiring.detaching import Order, Report
from rote.words.run import Run

REPORTS = 3
"""The descriptor that reports go to."""


class Told(Silence):
    """What rote says goes into the run's log, and into the process's own output."""

    def __init__(self) -> None:
        self.log: Callable[[bytes], None] | None = None

    def say(self, line: str) -> None:
        """A line for whoever reads the log."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
        if self.log is not None:
            self.log(f"rote: {line}\n".encode())


def main() -> int:
    """Leave the session and the parent, run, and report when the run is in the store."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.set_inheritable(REPORTS, False)
    _report(Report(pid=os.getpid()))
    try:
        return _run(order)
    except RoteError as e:
        sys.stderr.write("".join(f"rote: {line}\n" for line in e.lines()))
        _report(Report(error=[e.what, e.where, e.safe, e.next], exit_code=e.exit_code))
        return e.exit_code
    except OSError as e:
        what = f"the system refused: {e.strerror or e}"
        _report(Report(error=[what, str(e.filename) if e.filename else None, None, None], exit_code=1))
        raise


def _run(order: Order) -> int:
    os.chdir(order.cwd)
    told = Told()
    project = rote.open(order.root, store=order.store, progress=told)

    def begun(run: Run, log: Callable[[bytes], None]) -> None:
        told.log = log
        folder = os.path.join(order.root, ".rote", "runs", run.id)
        with suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            os.rename(order.output, os.path.join(folder, "rote.out"))
        _report(Report(run=run.id))

    if order.resumes:
        outcome = project.resume(order.resumes, begun=begun, wait=False, **order.options)
    else:
        outcome = project.run(*order.stages, begun=begun, wait=False, **order.options)
    if told.log is None:
        with suppress(OSError):
            os.unlink(order.output)
        _report(Report(run=outcome.run.id, recorded=outcome.recorded))
    sys.stderr.write(f"run {outcome.run.id}: {outcome.run.state}\n")
    project.close("run")
    return 0 if outcome.ok else 1


def _report(report: Report) -> None:
    with suppress(OSError):  # who started it does not wait any more
        os.write(REPORTS, msgspec.json.encode(report) + b"\n")
        if report.run or report.error:
            os.close(REPORTS)


if __name__ == "__main__":
    sys.exit(main())
