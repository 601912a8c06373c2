"""The lock of a working tree: one process at a time, and the others can say who it is.

The lock is `flock` on `.rote/lock`; the operating system lets go of it when the process ends, however it ends. What
is written in the file is only for people.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from rote.adapters.worktree.places import trouble
from rote.errors import Locked
from rote.words.ids import shown

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Holder(msgspec.Struct, frozen=True):
    """Who has the lock. `since` is UTC, ISO 8601."""

    pid: int
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        command = shown(self.command, 200).strip("'")
        return f"`{command}` (process {self.pid} on {self.host}, since {self.since})"


def holder(file: str) -> Holder | None:
    """Who wrote itself down in the lock file last, if that can be read."""
    try:
        with open(file, "rb") as f:
            f.seek(1)  # the first byte is what Windows locks
            return msgspec.json.decode(f.read(4096), type=Holder)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def foreign(file: str) -> bool:
    """Whether the process that wrote itself down last was on another machine, by its name: where a folder is shared,
    not every file system tells one machine of another's locks."""
    who = holder(file)
    return who is not None and who.host != _host()


def worker(file: str) -> int | None:
    """The number of the process that holds the lock, 0 if it has not said so; None if nobody does."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except OSError:
        return None
    try:
        if _take(descriptor, block=False, shared=True):
            return None
    finally:
        os.close(descriptor)
    who = holder(file)
    return who.pid if who else 0


def _host() -> str:
    return os.environ.get("COMPUTERNAME", "?") if sys.platform == "win32" else os.uname().nodename


@contextmanager
def held(file: str, command: str, *, wait: bool, say: Callable[[str], None] | None) -> Iterator[None]:
    """Hold the lock. Raises Locked if another process has it and `wait` is false, RoteError if the file cannot be
    made."""
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as e:
        raise trouble(e, file) from e
    try:
        if not _take(descriptor, block=False):
            who = holder(file)
            if not wait:
                raise Locked(
                    f"another command works in this working tree: {who or 'it does not say which'}",
                    where=os.path.dirname(os.path.dirname(file)),
                    safe="nothing was done",
                    next="wait until it is over, or do the same without --no-wait",
                )
            if say is not None:
                say(f"waiting for {who or 'another command in this working tree'}")
            _take(descriptor, block=True)
        _note(descriptor, command)
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _note(descriptor: int, command: str) -> None:
    """Write down who holds the lock."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = b" " + msgspec.json.encode(Holder(os.getpid(), _host(), command, now)) + b"\n"
    # It is only told to those who wait: a full disk keeps nobody from working.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, line)


def _take(descriptor: int, *, block: bool, shared: bool = False) -> bool:
    if sys.platform == "win32":
        os.lseek(descriptor, 0, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if block else msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not block:  # LK_LOCK gives up after ten tries, a second apart
                    return False
    else:
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | (0 if block else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True
