"""`rote get`: files of another project, at a revision, put where they are wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from rote.adapters.landing.placing import Placing
from rote.errors import UsageError
from rote.ports import Progress, Silence
from rote.wiring.repositories import Holding, Repository
from rote.words.version import VersionFile


class Got(msgspec.Struct, frozen=True):
    """What was brought: `path` in the project elsewhere, `to` where it lies now, how many files and bytes it has, `at`
    the commit (or MODEL@VERSION) it is from; `written` is false if it was there already."""

    path: str
    to: str
    files: int
    size: int
    at: str
    written: bool


def get(
    repo: str,
    paths: Sequence[str],
    *,
    rev: str | None = None,
    to: str = ".",
    store: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> list[Got]:
    """See `rote.get`."""
    if not paths:
        raise UsageError("say what to bring: rote get REPO PATH…")
    found = Repository.named(repo, rev, cwd=os.getcwd(), store=store, progress=progress or Silence())
    try:
        names = _names(paths, to)
        held = [
            (path, name, found.find(path)) for path, name in names
        ]  # all of it is known before a byte is written
        return [_placed(found, path, name, holding, force) for path, name, holding in held]
    finally:
        found.close()


def _names(paths: Sequence[str], to: str) -> list[tuple[str, str]]:
    """Each path, and where it lands: in the folder `to` under its last name, as `cp -r` would put it; one path alone at
    `to` itself, if nothing is there."""
    if len(paths) == 1 and not to.endswith("/") and to != "." and not os.path.isdir(to):
        return [(paths[0], to)]
    taken: dict[str, str] = {}
    for path in paths:
        name = path.rstrip("/").rpartition("/")[2]
        name = "" if name == "." else name
        if name in taken:
            raise UsageError(
                f"{taken[name]} and {path} would both be {name or 'the folder'}",
                next="one at a time, with --to",
            )
        taken[name] = path
    return [(path, os.path.join(to, name) if name else to) for name, path in taken.items()]


def _placed(found: Repository, path: str, to: str, holding: Holding, force: bool) -> Got:
    files = {
        row.path: VersionFile(path=row.path, size=row.size, digest=row.digest, executable=row.executable)
        for row in holding.rows
    }
    placing = Placing(to)
    size = sum(row.size for row in holding.rows)
    same = not force and placing.same(files)
    if not same:
        os.makedirs(os.path.dirname(placing.path), exist_ok=True)
        placing.put(lambda sink: found.write(holding.rows, sink), single=holding.single)
    return Got(path, to, len(files), size, found.at, not same)
