"""Five hundred hostile paths, in a snapshot that is sound in every digest: nothing is ever written outside, nor inside."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import corpus

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "snapshots"))

from test_damage import forged
from treebench import Bench

from rote.adapters.landing.cache import Cache
from rote.adapters.landing.folder import Folder
from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.memory import MemoryStore
from rote.adapters.worktree import Workspace
from rote.errors import BadName, BadPath, Corrupt, NotFound, RoteError
from rote.services.models.delivery import bring
from rote.words.encoding import with_check
from rote.words.ids import Digest, SnapshotId
from rote.words.paths import why_bad
from rote.words.pointer import Pointer
from rote.words.snapshot import SnapshotRecord

CORPUS = corpus()
ANY = Pointer(SnapshotId(Digest("0" * 64)), 0, 0)


def put(bench: Bench, paths: list[str]) -> SnapshotRecord:
    record = forged(bench, paths, b"owned")
    bench.store.create(f"snapshots/{record.ref().key}", with_check(record))
    return record


def whole(bench: Bench, record: SnapshotRecord, jail: Path) -> None:
    with Workspace(str(jail / "p")).whole("d", single=False) as sink:
        bench.snapshots.restore(record, sink)
        sink.place(ANY)


def edit(bench: Bench, record: SnapshotRecord, jail: Path) -> None:
    (jail / "p/d").mkdir(exist_ok=True)
    with Workspace(str(jail / "p")).edit("d") as sink:
        bench.snapshots.restore(record, sink)
        sink.finish()


def fetch(bench: Bench, record: SnapshotRecord, jail: Path) -> None:
    bring(bench.snapshots, record.ref(), Folder(str(jail / "p/fetched")))


def app(bench: Bench, record: SnapshotRecord, jail: Path) -> None:
    bring(bench.snapshots, record.ref(), Cache(str(jail / "p/app")))


WAYS = [whole, edit, fetch, app]


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    (tmp_path / "jail/p").mkdir(parents=True)
    (tmp_path / "jail/x").write_text("mine")
    return tmp_path / "jail"


def files(top: Path) -> dict[str, bytes]:
    """Every file beside and in the jail, without rote's own."""
    return {
        str(p): p.read_bytes()
        for p in sorted(top.parent.rglob("*"))
        if p.is_file() and ".rote" not in p.parts
    }


def test_the_corpus_is_hostile() -> None:
    assert len(CORPUS) >= 500
    assert [path for path in CORPUS if why_bad(path) is None] == []


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_way_writes_one(way: Callable[[Bench, SnapshotRecord, Path], None], jail: Path) -> None:
    before = files(jail)
    for path in CORPUS:
        bench = Bench()
        record = put(bench, [path])
        with pytest.raises(RoteError):
            way(bench, record, jail)
        left = files(jail)
        assert {name for name in left if not name.endswith(".lock")} == before.keys(), path
    assert {p: d for p, d in files(jail).items() if p in before} == before


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    "paths",
    [["a", "a/b"], ["A", "a"], ["Dir/x", "dir/y"], ["a", "a\u0301b"], ["STRASSE", "stra\u00dfe"]],
    ids=str,
)
def test_two_that_cannot_both_be(
    paths: list[str], way: Callable[[Bench, SnapshotRecord, Path], None], jail: Path
) -> None:
    """One is a folder and the other a file, or a file system that ignores case takes one for the other."""
    bench = Bench()
    with pytest.raises(RoteError) as caught:
        way(bench, put(bench, paths), jail)
    assert isinstance(caught.value, BadPath | Corrupt), caught.value
    assert {name for name in files(jail) if not name.endswith((".lock", "/x"))} == set()


@pytest.mark.parametrize("place", [MemoryStore, FolderStore], ids=["memory", "folder"])
def test_no_store_takes_one_for_a_key(place: Callable[..., object], jail: Path) -> None:
    store = place(str(jail / "p/store")) if place is FolderStore else place()
    before = files(jail)
    for key in (path for path in CORPUS if not _is_key(path)):
        for ask in (
            lambda key=key: store.create(key, b"owned"),  # type: ignore[attr-defined]
            lambda key=key: store.get(key),  # type: ignore[attr-defined]
            lambda key=key: store.delete(key),  # type: ignore[attr-defined]
        ):
            with pytest.raises(BadName):
                ask()
    assert {p: d for p, d in files(jail).items() if "/store/" not in p} == before


def _is_key(path: str) -> bool:
    """No path for a snapshot (a name of Windows), but a fine key, as docs/format.md, 3.1, says."""
    names = path.split("/")
    return len(path) <= 900 and all(
        re.fullmatch(r"[A-Za-z0-9_@+=,-][A-Za-z0-9._@+=,-]{0,254}", n) for n in names
    )


@pytest.mark.parametrize("path", CORPUS[::7])
def test_no_path_of_a_command_leads_outside(path: str, jail: Path) -> None:
    place = Workspace(str(jail / "p"))
    with pytest.raises((BadPath, NotFound, RoteError)):
        place.whole(path, single=False).__enter__()
    assert list(files(jail)) == [str(jail / "x")]
