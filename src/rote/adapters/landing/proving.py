"""A smoke test that an application brings along, run in a process of its own: what it breaks, it breaks alone."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from rote.errors import UsageError

Check = Callable[[Path], object] | Sequence[str]
"""A function at the top of a module, given the folder with the files, which raises or returns False if they are not
good; or a command line, to which the folder is added, that ends with 0 if they are."""

_SHOWN: Final = 2000
_CHILD: Final = """\
import importlib, json, pathlib, runpy, sys
told = json.loads(sys.argv[1])
folder = pathlib.Path(sys.argv[2])
sys.path[:] = told["path"]
sys.argv = [told["main"], str(folder)]
if told["module"] == "__main__":
    names = runpy.run_path(told["main"], run_name="__rote_check__")
    found = names[told["name"][0]]
else:
    found = getattr(importlib.import_module(told["module"]), told["name"][0])
for name in told["name"][1:]:
    found = getattr(found, name)
sys.exit(17 if found(folder) is False else 0)
"""


class Proof:
    """Runs a check. `timeout` in seconds."""

    def __init__(self, check: Check, timeout: float) -> None:
        """Raises UsageError for a function that another process cannot find."""
        self._argv = _argv(check)
        self._timeout = timeout

    def why_not(self, folder: str) -> str | None:
        """Why the files in `folder` are not good, or None. Raises UsageError if the check cannot be started."""
        import subprocess  # loaded only where a check is made: an application should start fast

        with tempfile.TemporaryFile() as output:
            try:
                child = subprocess.Popen(
                    [*self._argv, folder],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as e:
                raise UsageError(
                    f"the check cannot be started: {e.strerror or e}", where=self._argv[0]
                ) from e
            try:
                code = child.wait(self._timeout)
            except subprocess.TimeoutExpired:
                return f"it took longer than {self._timeout:g} seconds"
            finally:
                _end(child)
            if code == 0:
                return None
            output.seek(max(0, output.seek(0, os.SEEK_END) - _SHOWN))
            lines = output.read().decode("utf-8", "replace").strip().splitlines()
        return _why(code, lines[-1].strip() if lines else "")


def _why(code: int, last: str) -> str:
    if code == 17 and not last:
        return "it said no"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"it was ended by {name}" + (f": {last}" if last else "")
    return last or f"it ended with {code}"


def _end(child: Any) -> None:
    """Nothing of a check goes on when it is over."""
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()


def _argv(check: Check) -> list[str]:
    if not callable(check):
        words = [check] if isinstance(check, str) else list(check)
        if not words or not all(isinstance(word, str) for word in words):
            raise UsageError("a check is a function, or the words of a command line")
        return words
    module, name = getattr(check, "__module__", None), getattr(check, "__qualname__", "<")
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if not module or "<" in name or (module == "__main__" and main is None):
        raise UsageError(
            f"another process cannot find the check {name}",
            next="define it with `def` at the top of a module, or give a command line",
        )
    told = {
        "path": sys.path,
        "module": module,
        "main": os.path.abspath(main) if main else "",
        "name": name.split("."),
    }
    return [sys.executable, "-c", _CHILD, json.dumps(told)]
