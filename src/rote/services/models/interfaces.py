"""What goes in and comes out of the files of a version that is being made (docs/format.md, 10.3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from rote.errors import Refused
from rote.laws.models.signatures import Read, shortened, signature
from rote.ports import Committed, ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.data.spots import Block, Index, Spot, nodes_below
from rote.services.store import packs
from rote.words.ids import shown
from rote.words.pipeline import Model
from rote.words.run import Run
from rote.words.snapshot import FILE, SnapshotRecord

_FILES = 64
"""So many files are looked into."""
_BLOCKS = 4
"""Blocks of a file that are kept while it is looked into."""
_LARGEST = 1 << 20
"""Bytes of a file that says a signature."""


class Interfaces:
    """Reads signatures, only the pieces of files that say them."""

    def __init__(self, store: ObjectStore, snapshots: Snapshots, committed: Committed | None) -> None:
        """`committed` reads git commits; None where there is no git."""
        self._store = store
        self._snapshots = snapshots
        self._committed = committed

    def of(self, model: Model, run: Run, parts: Mapping[str, SnapshotRecord]) -> dict[str, Any]:
        """Path in the version -> signature, of `parts` (path in the version -> snapshot), or what the file that
        `models.NAME.signature` names says. Raises Refused if that cannot be had; Corrupt."""
        if model.signature:
            return {model.signature: shortened(self._said(model, run, model.signature))}
        found: dict[str, Any] = {}
        for below, record in parts.items():
            for entry in self._snapshots.entries(record):
                path = below if record.single else f"{below}/{entry.path}"
                if not path.endswith((".onnx", ".safetensors")) or len(found) >= _FILES:
                    continue
                told = signature(path, entry.size, self._reader(record, entry.path))
                if told is not None:
                    found[path] = told
        return dict(sorted(found.items()))

    def _reader(self, record: SnapshotRecord, path: str) -> Read:
        numbers = nodes_below(record, path)[:1] if path else (0,)
        index = Index.of(self._snapshots.nodes(record, numbers))
        row = index.find(path)
        assert row is not None, "the path was listed just now"
        have: OrderedDict[Spot, Block] = OrderedDict()

        def read(begin: int, end: int) -> bytes:
            end = min(end, index.sizes[row])
            wanted = list(index.spots(row, begin, end))
            for spot in wanted:
                if spot not in have:
                    key = f"packs/{spot.pack}"
                    data = self._store.get_range(key, spot.offset, spot.stored)
                    have[spot] = Block(packs.unpack(data, spot.codec, spot.length, spot.pack))
            data = index.assemble(row, have, begin, end) if begin < end else b""
            while len(have) > max(_BLOCKS, len(wanted)):
                have.popitem(last=False)
            return data

        return read

    def _said(self, model: Model, run: Run, path: str) -> Any:
        data = self._content(run, path)
        where = f"{model.at}.signature"
        if data is None:
            raise Refused(
                f"{shown(path)} is no out of run {run.id} that is a single file, and git does not track it in the "
                "run's commit",
                where=where,
                safe="no version was made",
                next="name an out of a stage, or a file that is committed",
            )
        try:
            if len(data) > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST:,} bytes")
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as e:
            raise Refused(
                f"{shown(path)} is no JSON that could be a signature: {e}",
                where=where,
                safe="no version was made",
                next='write what goes in and comes out, such as {"inputs": …, "outputs": …}',
            ) from e

    def _content(self, run: Run, path: str) -> bytes | None:
        ref = next((stage.outs[path] for stage in run.stages if path in stage.outs), None)
        if ref is not None:
            return b"".join(self._snapshots.read(self._snapshots.record(ref), FILE)) if ref.single else None
        if self._committed is None or run.commit.id is None:
            return None
        return self._committed.read(run.commit.id, lambda name: name == path, below=path).get(path)
