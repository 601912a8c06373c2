"""One server for all workers of a test run: who comes first starts it, who leaves last ends it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT = 120
"""Seconds for a server to answer, on a machine under load."""


def free_port(count: int = 1) -> int:
    """A port of loopback such that it and the next ones are free."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for n in range(count):
                with socket.socket() as each:
                    each.bind(("127.0.0.1", port + n))
            return port
        except (OSError, OverflowError):
            continue


def until_it_answers(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until an HTTP server answers, whatever it says."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        assert process is None or process.poll() is None, (
            f"the server for {url} ended with {process.returncode}"
        )
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no server at {url} after {WAIT} seconds")


def end(pids: list[int]) -> None:
    """End processes that this module started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                pass
        stop = time.monotonic() + 10
        while any(_alive(pid) for pid in pids) and time.monotonic() < stop:
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # another worker started it
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def shared(folder: Path, name: str, start: Callable[[Path], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What `start` told of a server (with its `pids`), in a folder that all workers of the run have in common."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"{name}.json"
    with _locked(folder / f"{name}.lock"):
        held = json.loads(state.read_text()) if state.exists() else {"users": 0, "told": None}
        if not held["users"]:
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
            held["told"] = start(folder / name)
        held["users"] += 1
        state.write_text(json.dumps(held))
    try:
        yield held["told"]
    finally:
        with _locked(folder / f"{name}.lock"):
            held = json.loads(state.read_text())
            held["users"] -= 1
            if not held["users"]:
                end(held["told"]["pids"])
                shutil.rmtree(folder / name, ignore_errors=True)
            state.write_text(json.dumps(held))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
