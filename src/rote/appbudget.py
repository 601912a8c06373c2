"""What the applications that follow a model of this project cost in a month."""

from __future__ import annotations

import msgspec

from rote import appcost, polling, versions
from rote.appcost import AppCost, Following
from rote.errors import UsageError
from rote.snapshot import SnapshotRef
from rote.usage import PLANS
from rote.version import Version
from rote.wiring import Wiring


class AppBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The model and what was assumed (`compared` is the version that `changed` was measured against, or None: all of it
    counts as new), and what a month costs."""

    model: str
    version: str
    compared: str | None
    following: Following
    cost: AppCost


def budget(
    wiring: Wiring, model: str, alias: str, *, apps: int, every: float | str, updates: float
) -> AppBudget:
    """See `Models.budget`."""
    if apps < 1 or not 0 <= updates < 1e6:
        raise UsageError(
            "--apps is 1 or more, and --updates 0 or more", next=f"rote model budget {model} --apps 1000"
        )
    named = wiring.registry.get(model, alias)
    before = _former(wiring, named)
    mine = _chunks(wiring, named.snapshot)
    changed = appcost.news(_chunks(wiring, before.snapshot), mine) if before else named.snapshot.size
    known = {file.digest for file in before.files} if before else set()
    following = Following(
        apps=apps,
        every=polling.seconds(every),
        updates=updates,
        size=named.snapshot.size,
        changed=changed,
        files=sum(file.digest not in known for file in named.files),
    )
    return AppBudget(
        model=model,
        version=named.version,
        compared=before.version if before else None,
        following=following,
        cost=appcost.month(following, PLANS),
    )


def _former(wiring: Wiring, named: Version) -> Version | None:
    """The next lower version with other files, or None."""
    mine = versions.release(named.version)
    while found := wiring.registry.highest(named.model, below=mine):
        if found.snapshot.id != named.snapshot.id:
            return found
        mine = versions.release(found.version)
    return None


def _chunks(wiring: Wiring, ref: SnapshotRef) -> list[tuple[bytes, int]]:
    """(digest, length) of every chunk of a snapshot; a small file is one."""
    found: list[tuple[bytes, int]] = []
    record = wiring.snapshots.record(ref)
    for node in wiring.snapshots.nodes(record):
        rows, places = node.rows, node.places
        at = 0
        for row, count in enumerate(places.counts):
            if count < 2:
                found.append((rows.digest(row), rows.sizes[row]))
                continue
            found += [
                (places.digests[n * 32 : n * 32 + 32], places.lengths[n]) for n in range(at, at + count)
            ]
            at += count
    return found
