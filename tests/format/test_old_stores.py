"""Stores that earlier versions wrote are read whole by this one, and written to.

`tests/fixtures/store-N` was made once by the version that introduced format N (make_store_N.py shows how) and never
changes; `expected.json` tells what is in it.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from second_reader import SecondReader

from rote.adapters.stores.folder import FolderStore
from rote.client import Model
from rote.words.encoding import digest_of
from scenes import content, in_force, opened

STORES = sorted((Path(__file__).parents[1] / "fixtures").glob("store-*"))
WRITTEN = {"store-1": "ae35b5cb4b502bb85d1094f6f5d7f38506d4191e481df1222b6beec8ad63aa57"}
"""Store -> BLAKE3 of the list of its files and their digests."""
LATER = 1000
"""Our processes come long after those that wrote the store."""


class Old:
    """A fresh clone of the project beside a copy of the old store."""

    def __init__(self, fixture: Path, root: Path) -> None:
        shutil.copytree(fixture / "tree", root)
        shutil.copytree(fixture / "store", root / ".rote/store")
        self.root = root
        self.expected: dict[str, Any] = json.loads((fixture / "expected.json").read_text(encoding="utf-8"))
        self.processes = LATER

    @property
    def rote(self) -> Any:
        self.processes += 1
        return opened(self.root, self.processes)


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    return Old(request.param, tmp_path / "digits")


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {path: digest_of(data) for path, data in files.items()}


def test_there_is_a_store_of_every_format() -> None:
    assert [path.name for path in STORES] == ["store-1"]


def test_the_stores_are_as_they_were_written() -> None:
    """A store that was made anew would prove nothing."""
    for fixture in STORES:
        every = sorted(p for p in fixture.rglob("*") if p.is_file())
        lines = [f"{digest_of(p.read_bytes())}  {p.relative_to(fixture).as_posix()}\n" for p in every]
        assert digest_of("".join(lines).encode()) == WRITTEN[fixture.name]


def test_it_is_sound(old: Old) -> None:
    report = old.rote.store.check(read_data=True)
    assert report.ok, report.damages
    assert report.roots >= 10
    assert old.rote.store.stats()


def test_checkout_brings_every_file(old: Old) -> None:
    old.rote.checkout()
    there = digests(content(old.root))
    assert {path: there.get(path) for path in old.expected["files"]} == old.expected["files"]
    assert os.access(old.root / "tools/run.sh", os.X_OK)
    assert all(data.state == "unchanged" for data in old.rote.status().data)


def test_every_run_and_its_log(old: Old) -> None:
    table = old.rote.runs(columns=["id"])
    assert sorted(id for (id,) in table.rows) == sorted(old.expected["runs"])
    for id, said in old.expected["runs"].items():
        run = old.rote.show(id)
        assert run.id == id
        told = {
            "state": run.state,
            "tags": run.tags,
            "metrics": run.metrics,
            "overrides": run.overrides,
            "commit": run.commit.id,
            "stages": {s.stage: s.outcome for s in run.stages},
            "log": b"".join(old.rote.logs(id)).decode(),
        }
        assert told == said
    assert len(old.rote.runs("metrics.accuracy > 0.5 and tags.owner = 'ada'").rows) == 1


def test_every_version_and_alias(old: Old, tmp_path: Path) -> None:
    (model,) = old.rote.models.all()
    assert (model.name, model.aliases) == ("digits", old.expected["aliases"])
    for alias, moves in old.expected["moves"].items():
        assert [[m.version, m.why] for m in old.rote.models.history("digits", alias)] == moves
    for number, files in old.expected["versions"].items():
        to = tmp_path / number
        old.rote.models.fetch(f"digits@{number}", str(to))
        there = digests(content(to))
        del there[".rote-fetch"]  # what a later fetch goes by
        assert there == files
    assert {v.version: v.params for v in old.rote.models.versions("digits")} == old.expected["parameters"]


@pytest.mark.parametrize("alias", ["prod", "next"])
def test_an_application_follows_an_alias(old: Old, alias: str, tmp_path: Path) -> None:
    model = Model(str(old.root / ".rote/store"), "digits", alias, cache=str(tmp_path / "cache"))
    assert model.version == old.expected["aliases"][alias]
    assert digests(content(model.path())) == old.expected["versions"][model.version]


def test_the_work_goes_on(old: Old) -> None:
    """Results that were made then are hits now, and what is written now joins what is there."""
    before = in_force(FolderStore(str(old.root / ".rote/store")))
    old.rote.checkout()
    outcome = old.rote.run("train")
    assert [(s.stage, s.outcome) for s in outcome.stages] == [("clean", "hit"), ("train", "hit")]
    assert not outcome.recorded or outcome.ok
    (old.root / "data/new.txt").write_text("new\n")
    old.rote.add(str(old.root / "data"))
    assert old.rote.run("train").ok
    assert old.rote.models.release("digits").version.version == "1.1.1"
    assert old.rote.models.promote("digits@1.1.1", "prod").seq == len(old.expected["moves"]["prod"]) + 1
    now = in_force(FolderStore(str(old.root / ".rote/store")))
    assert before.items() <= now.items()
    assert old.rote.store.check(read_data=True).ok


def test_the_second_reader_reads_every_snapshot(old: Old) -> None:
    reader = SecondReader(old.root / ".rote/store")
    store = FolderStore(str(old.root / ".rote/store"))
    keys = [meta.key for meta in store.list("snapshots/")]
    read = {digest_of(data) for key in keys for _, data, _ in reader.files(key)}
    assert read >= set(old.expected["files"].values())
