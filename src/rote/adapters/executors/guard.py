"""One small shell that outlives this process by a moment, and kills the stages it has left behind.

A stage must not go on after rote was killed, also by a signal that no process can handle: it would write outs that the
next run takes for its own. The guard reads a pipe whose only writers are this process and, for a moment each, the
shells of starting stages. A stage's shell writes `+GROUP` by itself before it does anything else, so there is no
moment at which a stage runs unknown to the guard. When the pipe ends, this process is gone, and the guard kills every
group that is left, and then every process that has left its group but has the mark of our stages (see census.py: that
is started for it, where this process's Python is still there; else the shell looks for them as well as a shell can).
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from rote.adapters.executors import census

if TYPE_CHECKING:
    import subprocess

_SCRIPT = """trap '' HUP INT QUIT TERM
mark=$1
groups=
while read -r line; do
  case $line in
    +*) groups="$groups ${line#+}" ;;
    -*) left=; for group in $groups; do [ "$group" = "${line#-}" ] || left="$left $group"; done; groups=$left ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
[ "$groups" ] && [ -r /proc/self/environ ] || exit 0
[ -x "$2" ] && "$2" -I -S "$3" "$mark" && exit 0
for round in 1 2 3 4 5 6 7 8 9 10; do
  left=$(grep -ls "$mark" /proc/[0-9]*/environ)
  [ "$left" ] || exit 0
  for place in $left; do place=${place#/proc/}; kill -KILL "${place%/environ}" 2>/dev/null; done
done
exit 0
"""


class Guard:
    """The guard of one executor, started with its first stage. Thread-safe."""

    def __init__(self, mark: str) -> None:
        """`mark` is what the environment of every process of our stages has in it."""
        self._mark = mark
        self._lock = threading.Lock()
        self._pipe: int | None = None
        self._shell: subprocess.Popen[bytes] | None = None

    def line(self) -> int:
        """The descriptor of the pipe's writing end, for the standard input of a stage's shell."""
        with self._lock:
            if self._pipe is None:
                self._pipe = self._start()
            return self._pipe

    def _start(self) -> int:
        import subprocess  # as in local.py: only for those who start something

        reading, writing = os.pipe()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "rote-guard", self._mark, sys.executable or "", census.__file__],
                cwd="/",
                env={"PATH": "/usr/bin:/bin"},
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return writing

    def forget(self, group: int) -> None:
        """This process group is over."""
        with self._lock:
            if self._pipe is not None:
                try:
                    os.write(self._pipe, b"-%d\n" % group)
                except BrokenPipeError:
                    pass  # somebody killed the guard; the stages are none the worse for it

    def close(self) -> None:
        """End the guard, and wait for that; a stage that is still under way is killed."""
        with self._lock:
            if self._pipe is not None and self._shell is not None:
                os.close(self._pipe)
                self._shell.wait()
                self._pipe = self._shell = None

    def __del__(self) -> None:
        self.close()  # who forgets an executor leaves no guard behind
