"""What the commands of this user asked of each store, month by month: a line a command, for all projects.

One short append a command, which several processes may do at once. It is an account for people, not a record: a line
that cannot be written or read is left out.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import msgspec
from blake3 import blake3

from rote.laws.store.usage import Usage

_log = logging.getLogger(__name__)


class Line(msgspec.Struct, kw_only=True):
    """One command: when (seconds since 1970), which (`run`), and what it asked."""

    at: int
    command: str
    usage: Usage


class Months:
    """The accounts of one store, in a folder of the user's. Months are those of UTC, as on a vendor's bill."""

    def __init__(self, folder: str, url: str) -> None:
        self.folder = os.path.join(folder, blake3(url.encode()).hexdigest(8))

    def add(self, command: str, usage: Usage, now: float) -> None:
        """Note what a command asked."""
        line = msgspec.json.encode(Line(at=int(now), command=command, usage=usage)) + b"\n"
        try:
            os.makedirs(self.folder, exist_ok=True)
            # One write at the end of the file is whole, whoever else writes.
            descriptor = os.open(self._path(_month(now)), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as e:
            _log.debug("the account of the month cannot be written: %s", e)

    def month(self, now: float) -> list[Line]:
        """Every command of the month in which `now` lies, oldest first."""
        return list(self._lines(_month(now)))

    def last(self, command: str, count: int, now: float) -> list[Usage]:
        """What the last `count` such commands asked, of this month and the one before, newest first."""
        month = _month(now)
        found = [line.usage for line in self._lines(month) if line.command == command]
        if len(found) < count:
            found = [u.usage for u in self._lines(_before(month)) if u.command == command] + found
        return found[-count:][::-1]

    def _lines(self, month: str) -> Iterator[Line]:
        try:
            with open(self._path(month), "rb") as file:
                data = file.read()
        except OSError:
            return
        decoder = msgspec.json.Decoder(Line)
        for text in data.split(b"\n"):
            try:
                yield decoder.decode(text)
            except msgspec.MsgspecError:
                continue  # the end of the file, or a line that a full disk cut

    def _path(self, month: str) -> str:
        return os.path.join(self.folder, f"{month}.jsonl")


def _month(now: float) -> str:
    return time.strftime("%Y-%m", time.gmtime(now))


def _before(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02d}"
