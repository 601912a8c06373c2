"""The version of the Python that command lines name."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence

import msgspec

from rote.errors import StageFailed
from rote.words.ids import shown

_NAME = re.compile(r"(?:^|[\s;&|(=\"'])(?P<path>(?:[\w./~+-]*/)?(?:python|pypy)[0-9.]*)(?=[\s;&|)\"']|$)")
_ASK = "import platform; print(platform.python_implementation(), platform.python_version())"


class Interpreters:
    """Versions of interpreters, remembered in the file `cache` by what the program's file looks like. Thread-safe."""

    def __init__(self, cache: str) -> None:
        self._cache = cache
        self._lock = threading.Lock()

    def version(self, cmd: Sequence[str], cwd: str, environment: Mapping[str, str]) -> str:
        """Implementation and version, `CPython 3.11.7`, of the first Python that the lines name; of `python3` or
        `python` where none does. Raises StageFailed if there is none."""
        named = [match["path"] for line in cmd for match in _NAME.finditer(line)] or ["python3", "python"]
        for name in named:
            found = self._program(name, cwd, environment)
            if found is not None:
                return self._known(found, environment)
        raise StageFailed(
            f"the Python that belongs to the stage key is not there: {shown(named[0])}",
            next="install it, or remove `python` from `env`",
        )

    def _program(self, name: str, cwd: str, environment: Mapping[str, str]) -> str | None:
        if "/" in name:
            path = os.path.join(cwd, os.path.expanduser(name))
            return path if os.access(path, os.X_OK) else None
        return shutil.which(name, path=environment.get("PATH"))

    def _known(self, program: str, environment: Mapping[str, str]) -> str:
        real = os.path.realpath(program)
        st = os.stat(real)
        # A virtual environment's Python is a link; what it links to decides the version. A program in front of the real
        # one (pyenv) chooses by its environment, so that counts as well.
        shim = environment.get("PYENV_VERSION", "") if "shims" in program else ""
        mark = f"{program}\0{real}\0{st.st_size}\0{st.st_mtime_ns}\0{shim}"
        with self._lock:
            known = self._load()
            if mark not in known or "shims" in program:
                known[mark] = self._asked(program, environment)
                self._save(known)
            return known[mark]

    def _asked(self, program: str, environment: Mapping[str, str]) -> str:
        import subprocess  # only the first look at an interpreter starts a process

        clean = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
        try:
            done = subprocess.run(
                [program, "-S", "-c", _ASK], capture_output=True, text=True, env=clean, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError) as e:
            raise StageFailed(f"cannot ask {shown(program, 200)} for its version: {e}") from e
        return done.stdout.strip()

    def _load(self) -> dict[str, str]:
        try:
            with open(self._cache, "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            return {}

    def _save(self, known: dict[str, str]) -> None:
        aside = f"{self._cache}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._cache), exist_ok=True)
            with open(aside, "wb") as file:
                file.write(msgspec.json.encode(known))
            os.replace(aside, self._cache)
        except OSError:
            return
