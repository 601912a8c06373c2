"""Is everything there that roots need, and is it whole? `rote store check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import ceil

import msgspec
from blake3 import blake3

from rote.errors import Corrupt, NotFound, StoreError, TooNew
from rote.laws.data import nodes
from rote.laws.store.rooted import PREFIXES, Rooted, is_root, rooted
from rote.ports import ObjectStore, Progress, Silence
from rote.services.data.snapshots import check_record
from rote.services.models.registry import version_key
from rote.services.store import conditional, packs
from rote.services.store.roots import Roots
from rote.services.upkeep.inspecting import Records, inspect
from rote.services.upkeep.inspecting import advice as advised
from rote.words.channel import Channel
from rote.words.encoding import without_check
from rote.words.record import LIVE, OPEN, Root, Txn
from rote.words.snapshot import ZSTD, NodeRef, SnapshotRecord, SnapshotRef


class Suffering(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that a damaged object harms: which of its files cannot be restored, and who needs it."""

    snapshot: SnapshotRef
    paths: list[str]
    """In order. Of a damaged node only the first path is known, and `files` says how many there are."""
    files: int
    roots: list[Rooted]


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """An object that is missing or not what it should be, and what that costs."""

    key: str
    why: str
    suffering: list[Suffering] = []
    advice: str = ""
    """What to do, where it is not to save again what suffers."""

    def repairs(self) -> list[str]:
        """The commands that save what suffers again, without repetition."""
        advice = [self.advice] if self.advice else []
        return list(
            dict.fromkeys(advice + [root.repair for s in self.suffering for root in s.roots if s.files])
        )


class Sample(msgspec.Struct, frozen=True):
    """Read a `share` (0 to 1) of the packs, at least one: the same ones for the same `seed`, others for another."""

    share: float
    seed: str

    def choose(self, packs: Iterable[str]) -> list[str]:
        """Which ones."""
        ordered = sorted(packs, key=lambda pack: blake3(f"{self.seed} {pack}".encode()).digest())
        return sorted(ordered[: ceil(len(ordered) * self.share)])


class OpenWrite(msgspec.Struct, frozen=True):
    """A write that is under way, or was given up without a word."""

    id: str
    by: str
    began: str


class Mended(msgspec.Struct, frozen=True):
    """A snapshot that is whole again, what from, and the keys of the roots that keep it."""

    snapshot: SnapshotRef
    source: str
    roots: list[str]


class Repaired(msgspec.Struct, kw_only=True):
    """What a repair did. What it could not mend is damaged still: see the report that it comes with."""

    mended: list[Mended] = []


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check looked at (numbers of objects; sizes in bytes) and found."""

    deep: bool
    roots: int
    snapshots: int
    packs: int
    size: int
    """Bytes of the packs that are needed."""
    unused_packs: int
    """Packs that no root in force needs: left by writes that were given up, or about to be used by one."""
    unused_size: int
    unused_records: int = 0
    """The same of snapshot records."""
    open_writes: list[OpenWrite] = []
    sample: Sample | None = None
    read: list[str] = []
    """The packs of which every byte was read, if only a sample was."""
    damages: list[Damage]
    repaired: Repaired | None = None
    """What was mended before this was looked at."""

    @property
    def ok(self) -> bool:
        """Nothing is damaged."""
        return not self.damages


class _Need(msgspec.Struct):
    ref: SnapshotRef
    roots: dict[str, Root]
    record: SnapshotRecord | None = None


Bad = dict[str, set[int] | None]
"""Pack -> offsets of its damaged blocks, or None if all of it is lost."""


class StoreCheck:
    """Looks at everything that roots in force need. Changes nothing."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def check(
        self, deep: bool = False, progress: Progress | None = None, *, sample: Sample | None = None
    ) -> CheckReport:
        """Check every root, alias, record and pack. A pack must be there, have its whole length, a sound
        beginning and a sound table of contents; with `deep` every byte of it is read and verified too, with `sample`
        every byte of some. Raises StoreUnavailable; TooNew."""
        progress = progress or Silence()
        damages: list[Damage] = []
        self._open: list[OpenWrite] = []
        sizes = {m.key.removeprefix("packs/"): m.size for m in self._store.list("packs/")}
        count, needs = self._roots(damages, deep)
        self._records(needs, damages)
        users: dict[str, list[_Need]] = {}
        for need in needs.values():
            for pack in need.record.packs if need.record else ():
                users.setdefault(pack, []).append(need)
        read = sample.choose(users) if sample else sorted(users) if deep else []
        damages += self._packs(users, sizes, frozenset(read), progress)
        if deep:
            damages += self._unreadable(needs, {d.key.partition("/")[2] for d in damages})
        records = {meta.key.partition("/")[2] for meta in self._store.list("snapshots/")}
        used = sum(sizes.get(pack, 0) for pack in users)
        return CheckReport(
            deep=deep,
            roots=count,
            snapshots=len(needs),
            packs=len(users),
            size=used,
            unused_packs=len(sizes.keys() - users.keys()),
            unused_size=sum(sizes.values()) - used,
            unused_records=len(records - needs.keys()),
            open_writes=self._open,
            sample=sample,
            read=read if sample else [],
            damages=damages,
        )

    # ---- roots and records -------------------------------------------------------------------------------------

    def _roots(self, damages: list[Damage], deep: bool) -> tuple[int, dict[str, _Need]]:
        roots = Roots(self._store)
        others: list[str] = []
        needs: dict[str, _Need] = {}
        count = 0
        versions: set[str] = set()
        channels: dict[str, Channel] = {}
        for key in (key for prefix in PREFIXES for key in roots.list(prefix)):
            try:
                if not is_root(key):
                    others.append(key)
                    channels.update(self._alias(key))
                    continue
                root = roots.envelope(key)
            except Corrupt as e:
                damages.append(Damage(key=key, why=e.what, advice=advised(key)))
                continue
            if root is None:
                continue
            count += 1
            versions.add(key)
            for ref in root.needs:
                needs.setdefault(ref.key, _Need(ref, {})).roots[key] = root
        for key in roots.list("txns/"):
            try:
                found = conditional.look(self._store, key)
                if found:
                    txn = without_check(found.data, Txn, key)
                    if txn.state == OPEN:
                        self._open.append(OpenWrite(txn.id, txn.by, txn.began))
            except Corrupt as e:
                damages.append(Damage(key=key, why=e.what, advice=advised(key)))
        damages += [
            Damage(key=flaw.key, why=flaw.why, advice=flaw.advice)
            for flaw in inspect(self._store, others, deep=deep)
        ]
        for key, channel in channels.items():
            root = Root(state=LIVE, txn=channel.snapshot.txn, needs=[channel.snapshot])
            needs.setdefault(channel.snapshot.key, _Need(channel.snapshot, {})).roots[key] = root
            if version_key(channel.model, channel.version) not in versions:
                why = f"it names version {channel.version}, which is not there"
                advice = f"rote promote {channel.model}@VERSION {channel.alias}"
                damages.append(Damage(key=key, why=why, advice=advice))
        return count, needs

    def _alias(self, key: str) -> dict[str, Channel]:
        names = key.split("/")
        if names[0] == "models" and len(names) == 4 and names[2] == "aliases":
            found = conditional.look(self._store, key)
            if found:
                return {key: without_check(found.data, Channel, key)}
        return {}

    def _records(self, needs: dict[str, _Need], damages: list[Damage]) -> None:
        for need in needs.values():
            key = f"snapshots/{need.ref.key}"
            try:
                record = without_check(self._store.get(key).data, SnapshotRecord, key)
                check_record(record, need.ref, key)
                need.record = record
            except (NotFound, Corrupt) as e:
                why = "it is missing" if isinstance(e, NotFound) else e.what
                whole = Suffering(snapshot=need.ref, paths=[], files=need.ref.files, roots=_who(need))
                damages.append(Damage(key=key, why=why, suffering=[whole]))

    def _unreadable(self, needs: dict[str, _Need], bad: set[str]) -> list[Damage]:
        """Records that name what is not there, in packs that are sound."""
        records, damages = Records(self._store), []
        for key, need in needs.items():
            if (
                need.record
                and bad.isdisjoint(need.record.packs)
                and (why := records.why_unreadable(need.record))
            ):
                whole = Suffering(snapshot=need.ref, paths=[], files=need.ref.files, roots=_who(need))
                damages.append(Damage(key=f"snapshots/{key}", why=why, suffering=[whole]))
        return damages

    # ---- packs -------------------------------------------------------------------------------------------------

    def _packs(
        self,
        users: dict[str, list[_Need]],
        sizes: dict[str, int],
        read: frozenset[str],
        progress: Progress,
    ) -> list[Damage]:
        bad: Bad = {}
        why: dict[str, str] = {}
        total = sum(sizes.get(p, 0) for p in read) if read else len(users)
        progress.start("checking", total, "bytes" if read else "packs")
        for pack in sorted(users):
            found = self._pack(pack, sizes.get(pack), pack in read)
            if found:
                bad[pack], why[pack] = found
            progress.step(sizes.get(pack, 0) if pack in read else 0 if read else 1)
        progress.done()
        damages = []
        for pack, text in why.items():
            suffering = [s for need in users[pack] if (s := self._suffering(need, pack, bad))]
            mendable = "rote store check --repair" if bad[pack] == set() else ""
            damages.append(Damage(key=f"packs/{pack}", why=text, suffering=suffering, advice=mendable))
        return damages

    def _pack(self, pack: str, size: int | None, deep: bool) -> tuple[set[int] | None, str] | None:
        if size is None:
            return None, "it is missing"
        try:
            footer = packs.read_footer(self._store, pack, size)
            begin = self._store.get_range(f"packs/{pack}", 0, len(packs.MAGIC))
            blocks = packs.bad_blocks(self._store, pack, footer) if deep else []
        except TooNew:
            raise
        except NotFound:
            return None, "it is missing"
        except Corrupt as e:
            return None, e.what
        if not blocks:
            sound = begin == packs.MAGIC
            return (
                None if sound else (set(), "it does not begin as a pack does; all that is in it can be read")
            )
        offsets = list(accumulate(footer.stored, initial=len(packs.MAGIC)))
        return {offsets[b] for b in blocks}, f"{len(blocks)} of its {len(footer.stored)} blocks are damaged"

    def _suffering(self, need: _Need, pack: str, bad: Bad) -> Suffering | None:
        """What the snapshot loses through this pack."""
        record = need.record
        if record is None:
            return None
        paths: list[str] = []
        files = 0
        for node in record.nodes:
            own = record.packs[node.pack]
            if own == pack and _is_hit(bad[pack], node.offset):
                paths.append(node.first)
                files += node.files
                continue
            if own != pack and pack not in (record.packs[other] for other in node.into):
                continue
            found = list(self._harmed(node, own, pack, bad[pack]))
            paths += found
            files += len(found)
        if not files and bad[pack] != set():
            return None
        return Suffering(snapshot=need.ref, paths=paths, files=files, roots=_who(need))

    def _harmed(self, node: NodeRef, own: str, pack: str, offsets: set[int] | None) -> Iterator[str]:
        """Paths of a node's files with content in the damaged blocks."""
        try:
            data = self._store.get_range(f"packs/{own}", node.offset, node.stored)
            plain = bytes(packs.unpack(data, ZSTD, node.length, own))
        except StoreError:
            return  # this node is lost through another pack, which is named on its own
        if blake3(plain).hexdigest() != node.check:
            return
        rows, places, _ = nodes.decode(plain, f"packs/{own}")
        names = [name or own for name in places.packs]
        hit = [
            names[p] == pack and _is_hit(offsets, at)
            for p, at in zip(places.block_pack, places.block_offset, strict=True)
        ]
        if not any(hit):
            return
        at = 0
        for path, count in zip(rows.paths, places.counts, strict=True):
            if any(hit[block] for block in places.blocks[at : at + count]):
                yield path
            at += count


def _is_hit(offsets: set[int] | None, offset: int) -> bool:
    return offsets is None or offset in offsets


def _who(need: _Need) -> list[Rooted]:
    return [rooted(key, root.body, need.ref.id) for key, root in sorted(need.roots.items())]
