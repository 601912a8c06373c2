"""The probe tells stores that keep their word from those that do not, and leaves nothing behind."""

from __future__ import annotations

import pytest

from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.memory import MemoryStore
from rote.errors import Conflict, NotFound, StoreUnavailable
from rote.ports import Found
from rote.services.store.probe import ROUNDS, Probed, Probes, probe
from rote.testing.clock import StillClock
from rote.testing.faults import Fault, FaultyStore, on


class Overwrites(MemoryStore):
    """As a server that ignores If-None-Match."""

    def create(self, key, data):
        try:
            return super().create(key, data)
        except Conflict:
            return super().replace(key, bytes(data), self.head(key).etag)


class Replaces(MemoryStore):
    """As a server that ignores If-Match on a PUT."""

    def replace(self, key, data, etag):
        return super().replace(key, data, self.head(key).etag)


class Deletes(MemoryStore):
    """As a server that ignores If-Match on a DELETE."""

    def delete(self, key, etag=None):
        if etag is not None and key not in self._objects:
            raise Conflict(key)
        super().delete(key)


class Stale(MemoryStore):
    """A server that serves the first body of an object for ever."""

    def __init__(self):
        super().__init__()
        self.first: dict[str, bytes] = {}

    def create(self, key, data):
        self.first[key] = bytes(data)
        return super().create(key, data)

    def get(self, key):
        found = super().get(key)
        return Found(self.first[key], found.etag)


class Forgetful(MemoryStore):
    """A server whose listings lack what was written last."""

    def list(self, prefix, after=""):
        found = list(super().list(prefix, after))
        return iter(found[:-1])


class Disorderly(MemoryStore):
    """A server that lists backwards."""

    def list(self, prefix, after=""):
        return iter(list(super().list(prefix, after))[::-1])


LIARS = [
    (Overwrites, {"create"}), (Replaces, {"replace"}), (Deletes, {"delete"}), (Stale, {"reads"}),
    (Forgetful, {"lists"}), (Disorderly, {"lists"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "lacking"), LIARS, ids=lambda x: getattr(x, "__name__", None))
def test_each_lie_is_found_out(kind, lacking) -> None:
    store = kind()
    found = probe(lambda: store, StillClock())
    assert {f.name for f in found.findings if not f.honoured} == lacking
    assert all(bool(f.seen) != f.honoured for f in found.findings)
    assert found.abilities.shared == (lacking == {"delete"})
    assert (found.warning() is None) == found.abilities.shared
    assert not store._objects


def test_who_keeps_his_word_is_believed(tmp_path) -> None:
    memory = MemoryStore()
    for client in (lambda: memory, lambda: FolderStore(str(tmp_path / "s"))):
        found = probe(client, StillClock())
        assert all(f.honoured for f in found.findings)
        assert list(client().list("")) == []


def test_lost_replies_in_a_race_are_no_lie() -> None:
    store = FaultyStore(
        MemoryStore(),
        lambda n, kind, key: Fault.LOST_AFTER if "/create-" in key and kind == "create" else None,
    )
    assert probe(lambda: store, StillClock()).abilities.shared
    assert len(store.met) >= ROUNDS


def test_out_of_reach_is_told_and_tidied() -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, on("replace", "probe/", Fault.UNAVAILABLE))
    with pytest.raises(StoreUnavailable):
        probe(lambda: store, StillClock())
    assert not inner._objects


def test_results_are_kept_and_a_damaged_file_is_none(tmp_path) -> None:
    store = MemoryStore()
    found = probe(lambda: store, StillClock())
    kept = Probes(str(tmp_path / "cache/probes.json"))
    assert kept.get("memory:") is None
    kept.put(found)
    assert kept.get("memory:") == found
    (tmp_path / "cache/probes.json").write_text("{")
    assert kept.get("memory:") is None
    kept.put(found)
    assert isinstance(kept.get("memory:"), Probed)


def test_nothing_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        Stale().get("x")
