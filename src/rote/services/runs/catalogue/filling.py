"""Bringing the catalogue up to what the store holds."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from rote.errors import Corrupt, TooNew
from rote.laws.pipeline.querysql import SHIFT
from rote.ports import ObjectStore
from rote.services.store import conditional
from rote.services.store.roots import decoded, held
from rote.words.channel import Channel
from rote.words.encoding import without_check
from rote.words.record import PENDING, TOMBSTONE
from rote.words.run import Run
from rote.words.version import Version

WINDOW = timedelta(days=1)
"""How far before the newest known run the store is listed again: another machine's clock may be so far behind."""
FULL_EVERY = 3600.0
"""Seconds after which everything is listed again, so that tags on old runs and removed runs are noticed."""
BATCH = 2000
"""Runs written in one transaction."""
_TEXT = 10_000
_MASK = (1 << SHIFT) - 1


class Synced(msgspec.Struct, frozen=True):
    """What a sync did: runs read, runs forgotten, and records that are damaged or too new (key -> why)."""

    read: int
    removed: int
    damaged: dict[str, str]


class _Read(msgspec.Struct, frozen=True):
    id: str
    etag: str
    run: Run | None
    why: str = ""


def fill(db: sqlite3.Connection, store: ObjectStore, now: float, *, full: bool = False) -> Synced:
    """List what is new, read it, write it. Safe while other processes do the same: whatever is written is some state of
    the store, and a run that was running then is read again the next time. Raises StoreError, sqlite3.Error."""
    full = full or _full_is_due(db, now)
    after = "" if full else _after(db)
    listed: dict[str, str] = {}
    for meta in store.list("runs/", f"runs/{after}" if after else ""):
        parts = meta.key.split("/")
        if len(parts) == 3 and parts[2] == "record":
            listed[parts[1]] = meta.etag
    known = dict(db.execute("SELECT id, etag FROM run WHERE id >= ?", (after,)))
    known.update(db.execute("SELECT id, etag FROM skipped WHERE id >= ?", (after,)))
    wanted = {id for id, etag in listed.items() if known.get(id) != etag}
    wanted.update(id for (id,) in db.execute("SELECT id FROM run WHERE state = 'running' OR etag = ''"))
    read = 0
    for batch in _batches(sorted(wanted)):
        read += write_runs(db, [read_run(store, id) for id in batch])
    removed = _forget(db, set(known) - set(listed))
    _fill_models(db, store)
    if full:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('full', ?)", (str(now),))
    damaged = {
        f"runs/{id}/record": why for id, why in db.execute("SELECT id, why FROM skipped WHERE why != ''")
    }
    return Synced(read, removed, damaged)


def read_run(store: ObjectStore, id: str) -> _Read:
    """One run as it is now in the store."""
    key = f"runs/{id}/record"
    found = conditional.look(store, key)
    if found is None:
        return _Read(id, "", None)
    try:
        there = held(store, key, found)
        # what is pending may come in force without a change of its own: read it again the next time
        etag = there.found.etag if there.found and there.root and there.root.state != PENDING else ""
        if there.in_force is None:
            gone = there.root is not None and there.root.state == TOMBSTONE
            return _Read(id, etag if gone else "", None)
        return _Read(id, etag, decoded(there.in_force, Run, key))
    except (Corrupt, TooNew) as e:
        # one rotten record must not hide all others; the sync's report names it
        return _Read(id, found.etag, None, why=str(e))


def write_runs(db: sqlite3.Connection, batch: Iterable[_Read]) -> int:
    """Write what was read, in one transaction. Returns how many runs there were."""
    count = 0
    values: list[tuple[int, Any]] = []
    db.execute("BEGIN IMMEDIATE")
    try:
        keys = {(k, n, f): id for id, k, n, f in db.execute("SELECT id, kind, name, file FROM key")}
        for item in batch:
            db.execute("DELETE FROM skipped WHERE id = ?", (item.id,))
            no = _clear(db, item.id)
            if item.run is None:
                if item.etag:
                    db.execute("INSERT INTO skipped VALUES (?, ?, ?)", (item.id, item.etag, item.why))
                if no is not None:
                    db.execute("DELETE FROM run WHERE no = ?", (no,))
                continue
            no = _write_run(db, no, item.etag, item.run)
            values += [((_key(db, keys, *place) << SHIFT) + no, v) for *place, v in _values(item.run)]
            count += 1
        # sorted, so that neighbours in the tree are written one after the other
        values.sort(key=_first)
        db.executemany("INSERT OR REPLACE INTO value VALUES (?, ?)", values)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return count


def flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values as the catalogue keeps them: numbers as they are, flags as `true` and `false`, lists as
    JSON."""
    if isinstance(tree, Mapping):
        for key, inner in tree.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, bool):
        yield prefix, "true" if tree else "false"
    elif isinstance(tree, int):
        yield prefix, tree if -(2**63) <= tree < 2**63 else float(tree) if abs(tree) < 2**1000 else str(tree)
    elif isinstance(tree, float):
        if not math.isnan(tree):
            yield prefix, tree
    elif isinstance(tree, str):
        yield prefix, tree[:_TEXT]
    elif tree is not None:
        yield prefix, msgspec.json.encode(tree).decode()[:_TEXT]


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _values(run: Run) -> Iterator[tuple[str, str, str, Any]]:
    """(kind, name, file, value)"""
    for kind, files in (("metrics", run.metrics), ("params", run.params)):
        for file, content in files.items():
            for name, value in flat(content):
                yield kind, name or file, file, value
    for name, value in run.tags.items():
        yield "tags", name, "", value


def _key(
    db: sqlite3.Connection, keys: dict[tuple[str, str, str], int], kind: str, name: str, file: str
) -> int:
    id = keys.get((kind, name, file))
    if id is None:
        id = int(db.execute("SELECT coalesce(max(id), 0) + 1 FROM key").fetchone()[0])
        db.execute("INSERT INTO key VALUES (?, ?, ?, ?, ?)", (id, kind, name, file, id << SHIFT))
        keys[kind, name, file] = id
    return id


def _clear(db: sqlite3.Connection, id: str) -> int | None:
    """Remove what is kept of a run, but for its row, whose number it returns."""
    found = db.execute("SELECT no FROM run WHERE id = ?", (id,)).fetchone()
    if found is None:
        return None
    no = int(found[0])
    db.execute("DELETE FROM value WHERE id IN (SELECT low + ? FROM key)", (no,))
    db.execute("DELETE FROM stage WHERE run = ?", (no,))
    db.execute("DELETE FROM out WHERE run = ?", (no,))
    return no


def _write_run(db: sqlite3.Connection, no: int | None, etag: str, run: Run) -> int:
    host = run.host
    row = (
        no, run.id, etag, run.state, run.began, run.ended, float(run.seconds), run.by, run.command[:_TEXT], run.project,
        run.commit.id, run.commit.branch, int(run.commit.dirty), host.name if host else None,
        host.system if host else None, host.cpus if host else None, host.python if host else None, run.error[:_TEXT],
        int(run.smoke is True),
    )  # fmt: skip
    cursor = db.execute(f"INSERT OR REPLACE INTO run VALUES ({', '.join('?' * len(row))})", row)
    no = int(cursor.lastrowid or 0)
    for position, stage in enumerate(run.stages):
        db.execute(
            "INSERT INTO stage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                no,
                position,
                stage.stage,
                stage.outcome,
                stage.key,
                stage.seconds,
                stage.exit_code,
                stage.why[:_TEXT],
            ),
        )
        db.executemany(
            "INSERT OR REPLACE INTO out VALUES (?, ?, ?, ?, ?, ?)",
            [(no, stage.stage, path, ref.id, ref.files, ref.size) for path, ref in stage.outs.items()],
        )
    return no


def _forget(db: sqlite3.Connection, ids: set[str]) -> int:
    for batch in _batches(sorted(ids)):
        write_runs(db, [_Read(id, "", None) for id in batch])
    return len(ids)


def _batches(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _after(db: sqlite3.Connection) -> str:
    """Where a listing begins: some time before the newest run that is known."""
    newest = db.execute("SELECT max(id) FROM run").fetchone()[0]
    if newest is None:
        return ""
    try:
        then = datetime.strptime(newest[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ""  # an id like 20269999-…: list everything
    return (then - WINDOW).strftime("%Y%m%d-%H%M%S") if then.year > 1900 else ""


def _full_is_due(db: sqlite3.Connection, now: float) -> bool:
    found = db.execute("SELECT text FROM meta WHERE name = 'full'").fetchone()
    # a clock that was set back counts as due
    return found is None or not 0 <= now - float(found[0]) < FULL_EVERY


def _fill_models(db: sqlite3.Connection, store: ObjectStore) -> None:
    known = {
        f"models/{m}/versions/{v}": e for m, v, e in db.execute("SELECT model, version, etag FROM version")
    }
    known |= {f"models/{m}/aliases/{a}": e for m, a, e in db.execute("SELECT model, alias, etag FROM alias")}
    listed = {meta.key: meta.etag for meta in store.list("models/")}
    for key, etag in listed.items():
        parts = key.split("/")
        if len(parts) != 4 or known.get(key) == etag:
            continue
        found = conditional.look(store, key)
        try:
            if found and parts[2] == "versions":
                there = held(store, key, found)
                settled = there.root is not None and there.root.state != PENDING
                db.execute("DELETE FROM version WHERE model = ? AND version = ?", (parts[1], parts[3]))
                if there.in_force:
                    _write_version(db, parts, etag if settled else "", decoded(there.in_force, Version, key))
            elif found and parts[2] == "aliases":
                channel = without_check(found.data, Channel, key)
                db.execute(
                    "INSERT OR REPLACE INTO alias VALUES (?, ?, ?, ?)",
                    (parts[1], parts[3], etag, channel.version),
                )
        except (Corrupt, TooNew):
            continue  # the registry says what is wrong with it, and where; a query for runs does not depend on it
    for key in set(known) - set(listed):
        _, model, kind, name = key.split("/")
        table, column = ("version", "version") if kind == "versions" else ("alias", "alias")
        db.execute(f"DELETE FROM {table} WHERE model = ? AND {column} = ?", (model, name))


def _write_version(db: sqlite3.Connection, parts: list[str], etag: str, v: Version) -> None:
    row = (
        parts[1], parts[3], etag, v.released, v.by, v.run, v.commit, v.snapshot.id, v.snapshot.files, v.snapshot.size,
        v.note,
    )  # fmt: skip
    db.execute(f"INSERT OR REPLACE INTO version VALUES ({', '.join('?' * len(row))})", row)
