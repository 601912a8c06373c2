"""Inside a training script: say that a checkpoint is complete. Imports next to nothing."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Iterable, Iterator

from rote.errors import BadPath, RoteError

_FOLDER = "ROTE_CHECKPOINTS"
_MARK = ".rote-checkpoint"
_LONGEST = 200


def checkpoint(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], step: int | str = "") -> bool:
    """Say that the checkpoint at `path` (a file, a folder, or several) is complete: all a stage needs to go on.

    Call it when the files are written and closed, below the folder that `ROTE_CHECKPOINTS` names; later calls go
    before earlier ones. `step` is what the checkpoint is called: a number, or a short text. Returns True if rote will
    take it; without rote around it nothing happens and False is returned. Costs one small file, and waits for a few
    milliseconds until the file system's clock has moved on. Raises BadPath, RoteError.
    """
    top = os.environ.get(_FOLDER)
    if not top:
        return False
    several = [path] if isinstance(path, str | os.PathLike) else list(path)
    called = step if isinstance(step, str) else str(operator.index(step))
    aside = os.path.join(top, f"{_MARK}.{os.getpid()}")
    try:
        files = {name: _stat(full) for name, full in _files(os.path.realpath(top), several)}
        if not files:
            raise BadPath("a checkpoint without a file is none", where=str(path))
        _await_next_tick(aside, max(stat[1] for stat in files.values()))
        _write(aside, called[:_LONGEST], files)
        os.replace(aside, os.path.join(top, _MARK))
    except OSError as e:
        raise RoteError(
            f"this checkpoint cannot be taken: {e.strerror or e}", where=os.fsdecode(e.filename or top)
        ) from e
    return True


def _files(top: str, several: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[str, str]]:
    """Each regular file of the checkpoint: its path below `top`, and where it is."""
    for path in several:
        absolute = os.path.abspath(path)
        full = os.path.join(os.path.realpath(os.path.dirname(absolute)), os.path.basename(absolute))
        if os.path.islink(full):
            raise BadPath("a link is no checkpoint: name what it leads to", where=os.fspath(path))
        if os.path.isdir(full):
            below = sorted(os.path.join(folder, name) for folder, _, names in os.walk(full) for name in names)
            found = [file for file in below if os.path.isfile(file) and not os.path.islink(file)]
        else:
            found = [full]
        for file in found:
            name = os.path.relpath(file, top)
            if name.startswith(os.pardir + os.sep) or name == os.pardir:
                raise BadPath(
                    "a checkpoint has to lie in the stage's folder for checkpoints", where=os.fspath(path),
                    next=f"write it below os.environ['{_FOLDER}'], which is {top}",
                )  # fmt: skip
            if os.path.basename(name).startswith(_MARK):
                continue
            yield name.replace(os.sep, "/"), file


def _stat(full: str) -> tuple[int, int, int, int]:
    st = os.lstat(full)
    return st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino


def _await_next_tick(aside: str, newest: int) -> None:
    """Wait until a file that is written now gets a later mtime than the newest of the checkpoint: from then on a stat
    tells every change. The file system's own clock is asked, by writing."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        with open(aside, "wb") as file:
            file.write(b"\n")
        if os.stat(aside).st_mtime_ns > newest:
            return
        time.sleep(0.001)


def _write(aside: str, step: str, files: dict[str, tuple[int, int, int, int]]) -> None:
    import json  # a script that never gets here need not load it

    with open(aside, "w", encoding="utf-8") as file:
        json.dump({"format": 1, "step": step, "files": files}, file)
