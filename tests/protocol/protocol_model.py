"""The protocol of docs/format.md, 6, as a model: every interleaving of a few processes, each of which may stop for ever.

One transition is one request. It is written for the order that transactions.py really keeps: no fence without reuse, no list of own objects,
pins in the create of the txn, create before look, a root hung over another one (`before`), and a hit that trusts only what it saw.

Objects are bits: an old pack and the old record that needs it; for each writer i a pack and a record. Roots: A (in force from the
start; `V` replaces it), B (`W` creates it; the first one wins), Q (the hitter's own). A root is (state, txn, snapshot, before) or None.

Processes: W and V write, M writes two roots (B and Q) in one txn, P repacks (stores the snapshot of A anew, and replaces A only if it is
still what it read), H hits, L moves an alias (Q) to the version A, N reads A without a pin, X removes, T puts into the trash, G collects.
With T anybody may empty the trash or undo. With `~` among the kinds a create of a root may be sent twice, the first one arriving at any
later time (a lost reply and a delayed request); with `^` etags never repeat, without it they do for equal bytes. With `*` a pointer in git pins the old snapshot. Anybody may at any time end an open txn, settle a pending root, or delete a
finished txn on which no root is pending. A process that is not scheduled any more has crashed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

OLD_PACK, OLD = 1, 2
NONE, OPEN, COMMITTED, ABORTED = "none", "open", "committed", "aborted"
PEND, LIVE, TOMB = "pending", "live", "tombstone"
IDLE, CAND, SWEEP = "idle", "cand", "sweep"
A, B, Q = 0, 1, 2


class State(NamedTuple):
    phase: str
    named: int  # what the fence names
    have: int
    need: tuple[int, ...]  # the packs that the record of txn i names
    txn: tuple[tuple[str, int], ...]  # (state, pins)
    root: tuple[Any, ...]
    proc: tuple[tuple[Any, ...], ...]  # (pc, the fence has not moved since it was read, a, b)
    told: int  # txns whose makers were told of success
    void: int  # txns whose root was legitimately removed or replaced since
    late: tuple[Any, ...] = ()  # requests under way: (root, what must be there, what is to be there)


def at(values: tuple, i: int, value: Any) -> tuple:
    return (*values[:i], value, *values[i + 1 :])


def bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1


class Model:
    def __init__(self, kinds: str, without: str = "", any_order: bool = False) -> None:
        self.resends, self.pinned = "~" in kinds, (OLD | OLD_PACK) * ("*" in kinds)
        self.etags_repeat = "^" not in kinds
        kinds = kinds.strip("~*^")
        self.kinds, self.without, self.any_order = kinds, without, any_order
        self.writers = [i for i, k in enumerate(kinds) if k in "WVMPH"]
        assert self.writers == list(range(len(self.writers))), "processes with a txn come first"
        self.steps = {
            "W": self.writer,
            "V": self.writer,
            "M": self.writer,
            "P": self.repacker,
            "L": self.mover,
            "N": self.reader,
            "T": self.trasher,
            "H": self.hitter,
            "X": self.remover,
            "G": self.collector,
        }

    def initial(self) -> State:
        start = {
            "W": "start",
            "V": "start",
            "M": "start",
            "P": "read",
            "L": "read",
            "N": "read",
            "T": "look",
            "H": "fence",
            "X": "look",
            "G": "idle",
        }
        n = len(self.writers)
        return State(
            IDLE, 0, OLD_PACK | OLD, (0,) * n, ((NONE, 0),) * n, ((LIVE, 99, OLD, None), None, None),
            tuple((start[k], 0, 0, None) for k in self.kinds), 0, 0,
        )  # fmt: skip

    def pack(self, i: int) -> int:
        return 4 << 2 * i

    def record(self, i: int) -> int:
        return 8 << 2 * i

    def packs_of(self, s: State, snapshot: int) -> int:
        if snapshot == OLD:
            return OLD_PACK
        return next((s.need[i] for i in self.writers if self.record(i) == snapshot), 0)

    def reach(self, s: State, root: Any) -> int:
        return root[2] | self.packs_of(s, root[2]) if root and root[0] != TOMB else 0

    def held(self, s: State, root: Any) -> int:
        """What a collector keeps for a root that is not pending: of a tombstone, what lies in the trash."""
        if root and root[0] == TOMB and self.without != "trash is kept":
            return self.reach(s, root[3])
        return self.reach(s, root)

    def in_force(self, s: State, root: Any) -> Any:
        if root is None or root[0] == TOMB:
            return None
        if root[0] == LIVE:
            return root
        return (LIVE, root[1], root[2], None) if s.txn[root[1]][0] == COMMITTED else root[3]

    def keys(self, i: int) -> tuple[int, ...]:
        return {"W": (B,), "V": (A,), "M": (B, Q), "P": (A,), "H": (Q,)}[self.kinds[i]]

    # ---- writing -----------------------------------------------------------------------------------------------

    def go(
        self, s: State, i: int, pc: str, fresh: int | None = None, a: Any = None, b: Any = None, **kw: Any
    ) -> State:
        _, f, x, y = s.proc[i]
        proc = (pc, f if fresh is None else fresh, x if a is None else a, y if b is None else b)
        return s._replace(proc=at(s.proc, i, proc if pc != "end" else ("end", 0, 0, None)), **kw)

    def writer(self, s: State, i: int) -> Iterator[State]:
        pc, _, a, _ = s.proc[i]
        if pc == "start":
            yield self.go(s, i, "upload", txn=at(s.txn, i, (OPEN, 0)))  # reuses nothing: no fence
            if not OLD_PACK & self.avoided(s):
                yield self.go(s, i, "pin" if self.without == "seeing" else "see", 1, OLD_PACK)
        elif pc == "see":
            if s.have & a:
                yield self.go(s, i, "pin")
                yield self.go(s, i, "mixed", txn=at(s.txn, i, (OPEN, 0)))  # has own objects as well
        elif pc == "mixed":
            yield self.go(s, i, "mixed pin", have=s.have | self.pack(i))
        elif pc == "mixed pin":
            if s.txn[i][0] != OPEN:
                yield self.go(s, i, "end")
            else:
                yield self.go(s, i, "check", a=a | self.pack(i), txn=at(s.txn, i, (OPEN, self.pins(a))))
        elif pc == "upload":
            yield self.go(s, i, "record", a=self.pack(i), have=s.have | self.pack(i))
        elif pc == "record":
            then = "get" if self.kinds[i] in "VP" else "create"
            yield self.go(s, i, then, have=s.have | self.record(i), need=at(s.need, i, a))
        else:
            yield from self.pinning(s, i, a & OLD_PACK, "record")
            yield from self.hanging(s, i, self.record(i))

    def avoided(self, s: State) -> int:
        return 0 if self.without == "candidates avoided" and s.phase == CAND else s.named

    def pins(self, mask: int) -> int:
        return 0 if self.without == "pins" else mask

    def pinning(self, s: State, i: int, pins: int, then: str) -> Iterator[State]:
        pc, fresh, _, _ = s.proc[i]
        if pc == "pin":
            yield self.go(
                s,
                i,
                then if self.without == "recheck" else "check",
                txn=at(s.txn, i, (OPEN, self.pins(pins))),
            )
        elif pc == "check":
            if pins & self.avoided(s):
                yield self.go(s, i, "end")
            else:
                yield self.go(s, i, then if fresh or self.without == "seeing again" else "head")
        elif pc == "head":
            yield self.go(s, i, then if not pins & ~s.have else "end")

    def hanging(self, s: State, i: int, snapshot: int) -> Iterator[State]:
        pc, _, n = s.proc[i][0].partition("@")
        held = s.proc[i][3]
        k = self.keys(i)[int(n or 0)]
        root = s.root[k]
        at_key = f"@{n}" if n else ""
        if pc == "create":
            if root is None:
                yield from self.hang(s, i, snapshot, None)
            else:
                yield self.go(s, i, "get" + at_key)
        elif pc == "get":
            if root is not None and root[0] == PEND:
                yield self.go(s, i, "peek" + at_key, b=(root, None))
            else:
                yield self.stand(s, i, root, self.in_force(s, root))
        elif pc == "peek":
            state = s.txn[held[0][1]][0]
            if state == COMMITTED:
                yield self.stand(s, i, held[0], (LIVE, *held[0][1:3], None))
            elif state == OPEN:
                yield self.go(
                    s, i, "peek" + at_key, txn=at(s.txn, held[0][1], (ABORTED, 0))
                )  # end it; a repacker gives way
            elif state == ABORTED:
                yield self.stand(s, i, held[0], held[0][3])
            else:
                same = root == held[0]
                yield self.stand(s, i, held[0], held[0][3]) if same else self.go(s, i, "get" + at_key)
        elif pc == "replace":
            if root == held[0]:
                yield from self.hang(s, i, snapshot, held[1])
            else:
                yield self.go(s, i, "get" + at_key)
        elif pc == "commit":
            yield self.commit(s, i)
        elif pc == "settle":
            roots = s.root
            for k in self.keys(i):
                mine = roots[k] is not None and roots[k][:2] == (PEND, i)
                if mine and (self.etags_repeat or len(roots[k]) == 4):
                    roots = at(roots, k, (LIVE, i, snapshot, None))
            yield self.go(s, i, "end", root=roots)

    def stand(self, s: State, i: int, found: Any, standing: Any) -> State:
        n = s.proc[i][0].partition("@")[2]
        if standing and self.kinds[i] not in "VP":
            return self.go(s, i, "end")  # beaten
        return self.go(s, i, "replace" + (f"@{n}" if n else ""), b=(found, standing))

    def hang(self, s: State, i: int, snapshot: int, standing: Any) -> Iterator[State]:
        state = LIVE if self.without == "pending roots" else PEND
        n = int(s.proc[i][0].partition("@")[2] or 0)
        k = self.keys(i)[n]
        new = (state, i, snapshot, standing)
        then = "commit" if n + 1 == len(self.keys(i)) else f"create@{n + 1}"
        yield self.go(s, i, then, b=0, root=at(s.root, k, new))
        if self.resends and not s.late:
            yield self.go(s, i, then, b=0, root=at(s.root, k, new), late=((k, s.root[k], (*new, "late")),))

    def commit(self, s: State, i: int) -> State:
        if s.txn[i][0] != OPEN:
            return self.go(s, i, "end")
        standing = next((r[3] for r in s.root if r and r[:2] == (PEND, i)), None)
        void = s.void | (1 << standing[1] if standing else 0)
        return self.go(s, i, "settle", txn=at(s.txn, i, (COMMITTED, 0)), told=s.told | 1 << i, void=void)

    def repacker(self, s: State, i: int) -> Iterator[State]:
        """Its pack and record are its own; A is replaced only if it still is the root that was read."""
        pc, _, _, held = s.proc[i]
        root = s.root[A]
        if pc == "read":
            if root and root[0] == LIVE:
                yield self.go(s, i, "begin", b=root)
        elif pc == "begin":
            yield self.go(s, i, "copy", txn=at(s.txn, i, (OPEN, 0)))
        elif pc == "copy":
            yield self.go(s, i, "copied", a=self.pack(i), have=s.have | self.pack(i))
        elif pc == "copied":
            yield self.go(s, i, "swap", have=s.have | self.record(i), need=at(s.need, i, self.pack(i)))
        elif pc == "swap":
            if root == held or (self.without == "expected" and root is not None):
                yield self.go(s, i, "commit", b=0, root=at(s.root, A, (PEND, i, self.record(i), held)))
            else:
                yield self.go(s, i, "end")
        else:
            yield from self.hanging(s, i, self.record(i))

    def mover(self, s: State, i: int) -> Iterator[State]:
        """Moves an alias: the document first, then the fence, the record, its packs, the version."""
        pc, _, snapshot, _ = s.proc[i]
        standing = self.in_force(s, s.root[A])
        if pc == "read":
            if standing:
                yield self.go(s, i, "move", a=standing[2])
        elif pc == "move":
            then = "moved" if self.without == "look after a move" else "fence"
            yield self.go(s, i, then, root=at(s.root, Q, (LIVE, 98, snapshot, None)))
        elif pc == "fence":
            needs = snapshot | self.packs_of(s, snapshot)
            yield self.go(s, i, "back" if s.named & needs else "exists")
        elif pc == "exists":
            yield self.go(s, i, "stays" if s.have & snapshot else "back")
        elif pc == "stays":
            yield self.go(s, i, "moved" if standing and standing[2] == snapshot else "back")
        elif pc == "back":
            yield self.go(s, i, "end", root=at(s.root, Q, None))

    def reader(self, s: State, i: int) -> Iterator[State]:
        """Reads A, the record, the packs; what is gone is looked up again through A."""
        pc, _, snapshot, held = s.proc[i]
        standing = self.in_force(s, s.root[A])
        if pc == "read":
            if standing:
                yield self.go(s, i, "record", a=standing[2], b=standing)
        elif pc == "record":
            yield self.go(s, i, "packs" if s.have & snapshot else "again")
        elif pc == "packs":
            yield self.go(s, i, "again" if self.packs_of(s, snapshot) & ~s.have else "end")
        elif pc == "again":
            yield self.go(s, i, "robbed" if standing == held else "end")

    def trasher(self, s: State, i: int) -> Iterator[State]:
        pc, _, k, held = s.proc[i]
        if pc == "look":
            for k, root in enumerate(s.root):
                if root and root[0] == LIVE and root[1] != 98:
                    yield self.go(s, i, "trash", a=k, b=root)
        elif pc == "trash":
            if s.root[k] == held:
                stone = (TOMB, held[1], 0, held)
                yield self.go(s, i, "end", root=at(s.root, k, stone), void=s.void | 1 << held[1])
            else:
                yield self.go(s, i, "end")

    def hitter(self, s: State, i: int) -> Iterator[State]:
        pc, _, a, _ = s.proc[i]
        if pc == "fence":  # some snapshot, known from a root that was read before: a hint
            for snapshot in [OLD, *(self.record(w) for w in self.writers if self.kinds[w] != "H")]:
                if not snapshot & s.named:
                    yield self.go(s, i, "see record", 1, snapshot)
        elif pc == "see record":
            if s.have & a:
                yield self.go(s, i, "see packs")
        elif pc == "see packs":
            packs = self.packs_of(s, a)
            if not packs & ~s.have and not packs & s.named:
                yield self.go(s, i, "pin")
        else:
            yield from self.pinning(s, i, a | self.packs_of(s, a), "create")
            yield from self.hanging(s, i, a)

    # ---- removing and collecting -----------------------------------------------------------------------------------

    def remover(self, s: State, i: int) -> Iterator[State]:
        pc, _, k, held = s.proc[i]
        if pc == "look":
            for k, root in enumerate(s.root):
                standing = self.in_force(s, root)
                if standing and standing[1] != 98 and (root[0] == LIVE or s.txn[root[1]][0] != OPEN):
                    yield self.go(s, i, "remove", a=k, b=(root, standing))
        elif pc == "remove":
            if s.root[k] != held[0]:
                yield self.go(s, i, "end")
            else:
                stone = (TOMB, held[1][1], 0, None)
                yield self.go(s, i, "tidy", b=stone, root=at(s.root, k, stone), void=s.void | 1 << held[1][1])
        elif pc == "tidy":
            if self.without != "txn gone first" and held[1] < len(s.txn) and s.txn[held[1]][0] != NONE:
                return  # the tombstone stays until the txn that it names is gone
            if self.without != "outlasting late requests" and self.etags_repeat and s.late:
                return  # and for as long as a request may be late
            yield self.go(s, i, "end", root=at(s.root, k, None) if s.root[k] == held else s.root)

    def move_fence(
        self, s: State, phase: str, named: int, i: int, pc: str, a: int = 0, b: Any = None
    ) -> State:
        stale = tuple((p[0], 0, p[2], p[3]) for p in s.proc)
        return s._replace(phase=phase, named=named, proc=at(stale, i, (pc, 1, a, b)))

    def collector(self, s: State, i: int) -> Iterator[State]:
        pc, fresh, left, todo = s.proc[i]
        everything = (tuple(self.writers), (A, B, Q))
        if pc == "idle":
            if s.phase == IDLE:
                for names in {s.have, s.have & ~self.kept(s)} - {0}:
                    yield self.go(s, i, "open", 1, names)
            elif s.phase == CAND:
                yield self.move_fence(s, CAND, s.named, i, "look", s.named, everything)
            else:
                yield self.go(s, i, "sweep", 1, s.named)
        elif pc == "open":
            if fresh:
                first = "close" if self.without == "second look" else "look"
                yield self.move_fence(s, CAND, left, i, first, left, everything)
            else:
                yield self.go(s, i, "idle", 0, 0, 0)
        elif pc == "look":
            yield from self.look(s, i, left, todo)
        elif pc == "close":
            if fresh:
                yield self.move_fence(s, SWEEP if left else IDLE, left, i, "sweep" if left else "idle", left)
            else:
                yield self.go(s, i, "idle", 0, 0, 0)
        elif pc == "sweep":
            one = 1 << left.bit_length() - 1
            yield self.go(s, i, "sweep" if left & ~one else "finish", a=left & ~one, have=s.have & ~one)
        elif pc == "finish":
            yield self.move_fence(s, IDLE, 0, i, "idle") if fresh else self.go(s, i, "idle", 0, 0, 0)

    def look(self, s: State, i: int, left: int, todo: Any) -> Iterator[State]:
        txns, roots = todo[:2]
        left &= ~self.pinned
        first, then = (roots, txns) if self.without == "txns before roots" else (txns, roots)
        if len(todo) == 3:  # a pending root was read: now its txn
            yield self.looked_at_pending(s, i, left, todo)
            return
        if not (first or then) or not left:
            yield self.go(s, i, "close", a=left)
            return
        group = first or then
        for key in group if self.any_order else group[:1]:
            rest = tuple(k for k in group if k != key)
            is_txn = group is txns and bool(txns)
            new = (rest, roots) if is_txn else (txns, rest)
            if is_txn:
                yield self.go(s, i, "look", a=left & ~self.protected(s, key), b=new)
            elif s.root[key] and s.root[key][0] == PEND:
                yield self.go(s, i, "look", b=(*new, (key, s.root[key])))
            else:
                yield self.go(s, i, "look", a=left & ~self.held(s, s.root[key]), b=new)

    def looked_at_pending(self, s: State, i: int, left: int, todo: Any) -> State:
        txns, roots, (key, root) = todo
        state = s.txn[root[1]][0]
        if state == NONE and s.root[key] != root and self.without != "reading again":
            return self.go(s, i, "look", b=(txns, (key, *roots)))
        before = self.reach(s, root[3]) if state != COMMITTED and self.without != "before is kept" else 0
        own = self.reach(s, root) if state in (OPEN, COMMITTED) else 0
        return self.go(s, i, "look", a=left & ~(before | own), b=(txns, roots))

    def protected(self, s: State, i: int) -> int:
        state, pins = s.txn[i]
        if state != OPEN or self.without == "expiry by CAS":
            return 0
        return pins | (self.pack(i) | self.record(i) if self.kinds[i] != "H" else 0)

    # ---- the whole ---------------------------------------------------------------------------------------------------

    def anybody(self, s: State) -> Iterator[State]:
        for i, (state, _) in enumerate(s.txn):
            if state == OPEN:
                yield s._replace(txn=at(s.txn, i, (ABORTED, 0)))
            elif state != NONE and not any(r and r[:2] == (PEND, i) for r in s.root):
                yield s._replace(txn=at(s.txn, i, (NONE, 0)))
        for k, root in enumerate(s.root):
            if root and root[0] == PEND and s.txn[root[1]][0] in (COMMITTED, ABORTED):
                yield s._replace(root=at(s.root, k, self.in_force(s, root) or (TOMB, root[1], 0, None)))
            elif root and root[0] == TOMB and root[3]:
                yield s._replace(root=at(s.root, k, (*root[:3], None)))  # the trash is emptied
                yield s._replace(root=at(s.root, k, root[3]))  # or it comes back
        for k, there, new in s.late:
            yield s._replace(root=at(s.root, k, new) if s.root[k] == there else s.root, late=())

    def kept(self, s: State) -> int:
        kept = 0
        for i in self.writers:
            kept |= self.protected(s, i)
        for root in s.root:
            kept |= self.reach(s, self.in_force(s, root)) | self.held(s, root)
        return kept | self.pinned

    def next(self, s: State) -> Iterator[State]:
        for i, kind in enumerate(self.kinds):
            yield from self.steps[kind](s, i)
        yield from self.anybody(s)

    def bad(self, s: State) -> str | None:
        if self.pinned & ~s.have:
            return "a pointer pins what is gone"
        moved = any(p[0] == "moved" for p in s.proc)
        for k, root in enumerate(s.root):
            if root and root[1] == 98 and not moved:
                continue  # its mover has not been told yet
            lost = self.reach(s, self.in_force(s, root)) & ~s.have
            if root and root[0] == TOMB and self.reach(s, root[3]) & ~s.have:
                return f"root {'ABQ'[k]} lies in the trash, but what it needs is gone"
            if lost:
                return f"root {'ABQ'[k]} is in force, but the objects {lost:b} are gone"
        if any(p[0] == "robbed" for p in s.proc):
            return "a reader misses what a root in force needs"
        for one in bits(s.told & ~s.void):
            i = one.bit_length() - 1
            for k in self.keys(i):
                standing = self.in_force(s, s.root[k])
                if standing is None or standing[1] != i:
                    return f"process {i} was told of its root, but {standing} is in force"
        return None


def explore(model: Model, limit: int) -> tuple[str | None, int, bool]:
    """Breadth first: what went wrong (None: nothing), the number of states, and whether these are all."""
    first = model.initial()
    seen, todo = {hash(first)}, deque([first])
    while todo and len(seen) <= limit:
        state = todo.popleft()
        why = model.bad(state)
        if why:
            return why, len(seen), False
        for new in model.next(state):
            mark = hash(new)
            if mark not in seen:
                seen.add(mark)
                todo.append(new)
    return None, len(seen), not todo
