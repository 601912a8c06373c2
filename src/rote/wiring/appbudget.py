"""What the applications that follow a model of this project cost in a month."""

from __future__ import annotations

import msgspec

from rote.errors import UsageError
from rote.laws.models import versions
from rote.laws.publishing import appcost, polling
from rote.laws.publishing.appcost import AppCost, Chunks, Following
from rote.laws.store.usage import PLANS
from rote.wiring.parts import Wiring
from rote.words.snapshot import SnapshotRef
from rote.words.version import Version


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
    mine = _files(wiring, named.snapshot)
    found = appcost.news(_files(wiring, before.snapshot) if before else [], mine)
    following = Following(
        apps=apps,
        every=polling.seconds(every),
        updates=updates,
        size=named.snapshot.size,
        changed=found.changed,
        files=found.files,
        parts=found.parts,
        manifest=appcost.manifest(mine),
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


def _files(wiring: Wiring, ref: SnapshotRef) -> list[Chunks]:
    """The chunks of every file of a snapshot."""
    found: list[Chunks] = []
    record = wiring.snapshots.record(ref)
    for node in wiring.snapshots.nodes(record):
        rows, places = node.rows, node.places
        at = 0
        for row, count in enumerate(places.counts):
            if count < 2:
                found.append([(rows.digest(row), rows.sizes[row])])
                continue
            several = range(at, at + count)
            found.append([(places.digests[n * 32 : n * 32 + 32], places.lengths[n]) for n in several])
            at += count
    return found
