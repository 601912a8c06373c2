"""Looking into snapshots without a checkout: what a data path holds, one file of it, all of it as samples."""

from __future__ import annotations

import os
from collections.abc import Iterator

from msgspec.structs import replace

from rote.errors import Missing, UsageError
from rote.services.data.samples import Samples
from rote.wiring.parts import Wiring
from rote.wiring.reaching import Reaching, Source
from rote.words.ids import shown
from rote.words.pointer import SUFFIX
from rote.words.snapshot import FILE, Entry


class Looking:
    """What the snapshots of a project's data hold. `cwd` is where paths begin that people type."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd
        self._reaching = Reaching(Source(wiring.root, wiring.asked, cwd, wiring))

    def entries(self, path: str, rev: str | None) -> Iterator[Entry]:
        """See `Project.ls`."""
        ref, inner = self._reaching.path(path, rev, self._cwd)
        record = self._w.snapshots.record(ref)
        if not inner:
            for entry in self._w.snapshots.entries(record):
                yield replace(entry, path=self._base(path)) if ref.single else entry
            return
        found = False
        for entry in self._w.snapshots.entries(record):
            if entry.path == inner or entry.path.startswith(inner + "/"):
                found = True
                yield entry
        if not found:
            data = os.path.normpath(path).removesuffix(inner).rstrip("/") or "."
            raise Missing(f"there is nothing at {shown(path)}", next=f"rote ls {data} lists what there is")

    def content(self, path: str, rev: str | None) -> Iterator[bytes]:
        """See `Project.cat`."""
        ref, inner = self._reaching.path(path, rev, self._cwd)
        record = self._w.snapshots.record(ref)
        if not inner and not ref.single:
            raise UsageError(f"{shown(path)} is a folder", next=f"rote ls {path}")
        return self._w.snapshots.read(record, inner or FILE)

    def samples(self, path: str, rev: str | None, *, match: str | None, memory: int, threads: int) -> Samples:
        """See `Project.dataset`."""
        ref, below = self._reaching.path(path, rev, self._cwd)
        below = "" if ref.single else below
        return Samples(self._reaching.source, ref, below=below, match=match, memory=memory, threads=threads)

    def _base(self, path: str) -> str:
        """The name of a single file that is data."""
        return os.path.basename(path).removesuffix(SUFFIX)
