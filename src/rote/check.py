"""Is everything there that roots need, and is it whole? `rote store check`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import msgspec
from blake3 import blake3

from rote import conditional, nodes, packs
from rote.encoding import without_check
from rote.errors import Corrupt, NotFound, StoreError, TooNew
from rote.ports import ObjectStore, Progress, Silence
from rote.record import Channel, Root, Txn
from rote.rooted import PREFIXES, Rooted, is_root, rooted
from rote.roots import Roots
from rote.snapshot import ZSTD, NodeRef, SnapshotRecord, SnapshotRef


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

    def repairs(self) -> list[str]:
        """The commands that save what suffers again, without repetition."""
        return list(dict.fromkeys(root.repair for s in self.suffering for root in s.roots))


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
    damages: list[Damage]

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

    def check(self, deep: bool = False, progress: Progress | None = None) -> CheckReport:
        """Check every root, snapshot record and pack. A pack must be there, have its whole length and a sound table of
        contents; with `deep` every byte of it is read and verified too. Raises StoreUnavailable; TooNew."""
        progress = progress or Silence()
        damages: list[Damage] = []
        sizes = {m.key.removeprefix("packs/"): m.size for m in self._store.list("packs/")}
        count, needs = self._roots(damages)
        self._records(needs, damages)
        users: dict[str, list[_Need]] = {}
        for need in needs.values():
            for pack in need.record.packs if need.record else ():
                users.setdefault(pack, []).append(need)
        damages += self._packs(users, sizes, deep, progress)
        used = sum(sizes.get(pack, 0) for pack in users)
        return CheckReport(
            deep=deep,
            roots=count,
            snapshots=len(needs),
            packs=len(users),
            size=used,
            unused_packs=len(sizes.keys() - users.keys()),
            unused_size=sum(sizes.values()) - used,
            damages=damages,
        )

    # ---- roots and records -------------------------------------------------------------------------------------

    def _roots(self, damages: list[Damage]) -> tuple[int, dict[str, _Need]]:
        roots = Roots(self._store)
        needs: dict[str, _Need] = {}
        count = 0
        for key in (key for prefix in PREFIXES for key in roots.list(prefix)):
            try:
                if not is_root(key):
                    self._alias(key)
                    continue
                root = roots.envelope(key)
            except Corrupt as e:
                damages.append(Damage(key=key, why=e.what))
                continue
            if root is None:
                continue
            count += 1
            for ref in root.needs:
                needs.setdefault(ref.key, _Need(ref, {})).roots[key] = root
        for key in roots.list("txns/"):
            try:
                found = conditional.look(self._store, key)
                if found:
                    without_check(found.data, Txn, key)
            except Corrupt as e:
                damages.append(Damage(key=key, why=e.what))
        return count, needs

    def _alias(self, key: str) -> None:
        names = key.split("/")
        if names[0] == "models" and len(names) == 4 and names[2] == "aliases":
            found = conditional.look(self._store, key)
            if found:
                without_check(found.data, Channel, key)

    def _records(self, needs: dict[str, _Need], damages: list[Damage]) -> None:
        for need in needs.values():
            key = f"snapshots/{need.ref.key}"
            try:
                need.record = without_check(self._store.get(key).data, SnapshotRecord, key)
            except (NotFound, Corrupt) as e:
                why = "it is missing" if isinstance(e, NotFound) else e.what
                whole = Suffering(snapshot=need.ref, paths=[], files=need.ref.files, roots=_who(need))
                damages.append(Damage(key=key, why=why, suffering=[whole]))

    # ---- packs -------------------------------------------------------------------------------------------------

    def _packs(
        self, users: dict[str, list[_Need]], sizes: dict[str, int], deep: bool, progress: Progress
    ) -> list[Damage]:
        bad: Bad = {}
        why: dict[str, str] = {}
        total = sum(sizes.get(p, 0) for p in users) if deep else len(users)
        progress.start("checking", total, "bytes" if deep else "packs")
        for pack in sorted(users):
            found = self._pack(pack, sizes.get(pack), deep)
            if found:
                bad[pack], why[pack] = found
            progress.step(sizes.get(pack, 0) if deep else 1)
        progress.done()
        damages = []
        for pack, text in why.items():
            suffering = [s for need in users[pack] if (s := self._suffering(need, pack, bad))]
            damages.append(Damage(key=f"packs/{pack}", why=text, suffering=suffering))
        return damages

    def _pack(self, pack: str, size: int | None, deep: bool) -> tuple[set[int] | None, str] | None:
        if size is None:
            return None, "it is missing"
        try:
            footer = packs.read_footer(self._store, pack, size)
            blocks = packs.verify(self._store, pack, size) if deep else []
        except TooNew:
            raise
        except NotFound:
            return None, "it is missing"
        except Corrupt as e:
            return None, e.what
        if not blocks:
            return None
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
        return Suffering(snapshot=need.ref, paths=paths, files=files, roots=_who(need)) if files else None

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
