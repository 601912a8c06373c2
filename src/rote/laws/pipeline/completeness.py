"""Which files of a checkpoint folder are complete: told from looks at it alone (docs/format.md, 12.1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from rote.errors import RoteError
from rote.words.ids import shown

MARK = ".rote-checkpoint"
"""The file in a checkpoint folder by which `rote.checkpoint` names the newest checkpoint."""
FOLDER, RESUMED = "ROTE_CHECKPOINTS", "ROTE_RESUMED"
"""Variables that a stage with checkpoints finds: the folder's absolute path, and the step it begins from."""
QUIET = 5.0
"""Seconds for which a file that nobody vouches for has to stay as it is."""

# A name that says of itself that it is not final: hidden, a backup, made by Python's tempfile, or with the word of a
# temporary file as one of the parts that `.`, `_` and `-` separate.
_UNFINISHED = (
    r"\.|~|#|.*~\Z|tmp[a-z0-9_]{8}\Z|"
    r"(?:.*[._-])?(?:tmp|temp|part|partial|incomplete|inprogress|swp)(?:[._-].*)?\Z"
)


class Stat(NamedTuple):
    """What a file looked like: bytes, times in nanoseconds since 1970, inode."""

    size: int
    mtime: int
    ctime: int
    inode: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The content of MARK: the files of the newest checkpoint, with the stats they had when it was complete."""

    # A later chmod or link moves the ctime, and no byte: only the rest of a stat counts here.

    format: int = 1
    step: str = ""
    files: dict[str, Stat]


class Verdict(msgspec.Struct, frozen=True):
    """The files of a complete checkpoint; or why there is none now."""

    files: dict[str, Stat] | None
    why: str = ""


def is_temporary(path: str) -> bool:
    """Whether the name of the file, or of a folder it lies in, says that it is not final."""
    return any(re.match(_UNFINISHED, name, re.IGNORECASE) for name in path.split("/"))


def is_renamed(stat: Stat) -> bool:
    """Whether the file got its name after its last byte: a rename moves the ctime and leaves the mtime."""
    return stat.ctime > stat.mtime


class Looks:
    """What was seen of one folder since its stage began. Pure: it is told what lies there and when."""

    def __init__(self, quiet: float = QUIET) -> None:
        self._quiet = quiet
        self._since: dict[str, tuple[Stat, float]] = {}
        self._last = 0.0

    def add(self, files: Mapping[str, Stat], at: float) -> None:
        """A look at the folder, at a moment of a clock that only runs forward."""
        before = self._since
        self._since = {
            path: before[path] if path in before and before[path][0] == stat else (stat, at)
            for path, stat in files.items()
        }
        self._last = at

    def judge(
        self, files: Mapping[str, Stat], writing: Collection[str], renamed: Collection[str] = ()
    ) -> Verdict:
        """Whether everything in `files` is complete; `writing` are those that a process has open for writing, `renamed`
        those of whose rename the system has told, and of no write since.

        The times are those of the looks so far: what was first seen after the last of them has to have been renamed.
        """
        final = {path: stat for path, stat in files.items() if not is_temporary(path)}
        if not final:
            return Verdict(None, "there is nothing in it yet")
        for path, stat in final.items():
            if path in writing:
                return Verdict(None, f"{shown(path)} is being written")
            if path not in renamed and not is_renamed(stat) and not self._has_rested(path, stat):
                return Verdict(None, f"{shown(path)} has just been written in place")
        return Verdict(final)

    def _has_rested(self, path: str, stat: Stat) -> bool:
        seen = self._since.get(path)
        return seen is not None and seen[0] == stat and self._last - seen[1] >= self._quiet


def read(data: bytes) -> Mark:
    """A mark as it was written. Raises RoteError."""
    try:
        mark = msgspec.json.decode(data, type=Mark)
    except msgspec.DecodeError as e:
        raise RoteError(f"this is not what rote.checkpoint writes: {e}", where=MARK) from e
    if mark.format != 1:
        raise RoteError(f"it has format {mark.format}; this rote reads 1", where=MARK)
    return mark


def marked(mark: Mark, now: Mapping[str, Stat]) -> Verdict:
    """Whether the files that a mark names are still what it says, in a folder that looks like `now`."""
    if not mark.files:
        return Verdict(None, "rote.checkpoint was called with a folder that has no files")
    for path, stat in mark.files.items():
        here = now.get(path)
        if here is None or here._replace(ctime=stat.ctime) != stat:
            return Verdict(None, f"{shown(path)} is not what it was when rote.checkpoint was called")
    return Verdict(dict(mark.files))
