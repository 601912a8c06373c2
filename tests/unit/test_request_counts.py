"""How many requests each command makes, and how many bytes it moves: exact, because it is money on a metered store.

docs/cost.md says the same in words; a figure that changes here changes there.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rote.adapters.stores.folder import FolderStore
from rote.client import Model
from rote.ports import ObjectStore
from rote.testing.faults import WRITES, CountingStore
from rote.wiring.project import Project
from scenes import founded, lay, opened

THREE = """\
stages:
  a: {cmd: cp in a, deps: [in], outs: [a]}
  b: {cmd: cp a b, deps: [a], outs: [b]}
  c: {cmd: "cp b c && echo '{\\"accuracy\\": 0.9}' > metrics.json", deps: [b], outs: [c], metrics: [metrics.json]}
models:
  m: {files: [c], gates: [accuracy >= 0.5]}
"""


class Metered(CountingStore):
    """Counts a GET for every range, as a store over HTTP does."""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [super(Metered, self).get_ranges(key, [one])[0] for one in ranges]


class World:
    """A project in which every command is a process of its own, and its requests are counted."""

    def __init__(self, root: Path, pipeline: str = "") -> None:
        self.root = founded(root, pipeline)
        self.data = str(root / "data")
        self.processes = 0
        self.told: Any = None

    def cost(self, do: Callable[[Project], Any]) -> CountingStore:
        """What a command costs; what it told is in `told`."""
        counting = Metered(FolderStore(str(self.root / ".rote/store")))

        def wrap(inner: ObjectStore) -> ObjectStore:
            return counting

        self.processes += 1
        self.told = do(opened(self.root, self.processes, wrap))
        return counting


def small(count: int) -> dict[str, str | bytes]:
    """Files of 400 bytes that do not compress to nothing."""
    chance = random.Random(count)
    return {f"{n // 100}/{n}": chance.randbytes(400) for n in range(count)}


def puts(cost: CountingStore) -> int:
    return sum(count for kind, count in cost.requests.items() if kind in WRITES)


def kinds(cost: CountingStore) -> list[str]:
    """Every request, as kind and kind of object."""
    return [f"{kind} {key.split('/')[0]}" for kind, key in cost.journal]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with 5,000 files that were added."""
    world = World(tmp_path_factory.mktemp("large") / "p")
    lay(Path(world.data), small(5000))
    world.cost(lambda p: p.add(world.data))
    return world.root


@pytest.fixture
def five_thousand(large: Path, tmp_path: Path) -> World:
    world = World(tmp_path / "p")
    shutil.rmtree(world.root)
    shutil.copytree(large, world.root)
    world.processes = 1
    return world


class TestData:
    def test_adding_a_thousand_small_files(self, tmp_path: Path) -> None:
        world = World(tmp_path / "p")
        files = small(1000)
        lay(Path(world.data), files)
        cost = world.cost(lambda p: p.add(world.data))
        assert kinds(cost) == [
            *["get rote.json", "create txns", "create packs", "get data"],
            *["create snapshots", "create data", "replace txns", "replace data"],
        ]
        content = sum(map(len, files.values()))
        assert cost.bytes["create"] + cost.bytes["replace"] < content + 100 * len(files)
        assert cost.bytes["get"] < 1000

    def test_adding_five_thousand_takes_no_request_more(self, tmp_path: Path) -> None:
        world = World(tmp_path / "p")
        lay(Path(world.data), small(5000))
        assert world.cost(lambda p: p.add(world.data)).total == 8

    def test_adding_what_is_unchanged(self, five_thousand: World) -> None:
        world = five_thousand
        cost = world.cost(lambda p: p.add(world.data))
        assert kinds(cost) == ["get data"]
        assert cost.bytes["get"] < 1000

    def test_status_asks_nothing(self, five_thousand: World) -> None:
        assert kinds(five_thousand.cost(lambda p: p.status())) == []

    def test_status_of_what_changed_reads_the_nodes_that_differ(self, five_thousand: World) -> None:
        world = five_thousand
        lay(Path(world.data), {"33/3333": "changed", "empty": ""})
        cost = world.cost(lambda p: p.status())
        diff = world.told.data[0].diff
        assert [c.path for c in diff.changes()] == ["33/3333", "empty"]
        assert diff.same == 4999
        assert kinds(cost)[0] == "get snapshots"
        assert set(kinds(cost)[1:]) == {"get_ranges packs"}
        assert len(kinds(cost)) <= 3
        assert cost.bytes["get_ranges"] < 200_000

    def test_changes_here_and_there_are_looked_for_together(self, five_thousand: World) -> None:
        world = five_thousand
        # Large enough together that looking for them in the store pays.
        lay(Path(world.data), {f"{n}/new": random.Random(n).randbytes(4000) for n in range(0, 50, 2)})
        cost = world.cost(lambda p: p.add(world.data))
        assert kinds(cost)[:5] == ["get data", "get rote.json", "get snapshots", "get gc", "head packs"]
        assert cost.requests["get_ranges"] <= 7  # there are about five nodes, and all of them changed

    def test_adding_one_file_more(self, five_thousand: World) -> None:
        world = five_thousand
        lay(Path(world.data), {"new": "a new file"})
        cost = world.cost(lambda p: p.add(world.data))
        assert kinds(cost) == [
            *["get data", "get rote.json", "get snapshots", "get gc", "head packs", "get_ranges packs"],
            *["create txns", "create packs", "get data", "replace txns", "get gc"],
            *["create snapshots", "create data", "replace txns", "replace data"],
        ]
        assert cost.bytes["create"] + cost.bytes["replace"] < 200_000  # one node of about a thousand rows
        assert sum(cost.bytes.values()) < 400_000

    def test_checking_out_into_an_empty_folder(self, five_thousand: World) -> None:
        world = five_thousand
        shutil.rmtree(world.data)
        cost = world.cost(lambda p: p.checkout())
        assert kinds(cost) == ["get snapshots", *["get_ranges packs"] * 2]
        assert cost.bytes["get_ranges"] < 5000 * 500
        assert not world.cost(lambda p: p.checkout()).total

    def test_one_file_of_five_thousand(self, five_thousand: World) -> None:
        world = five_thousand
        cost = world.cost(lambda p: b"".join(p.cat(f"{world.data}/33/3333")))
        assert world.told == small(5000)["33/3333"]
        assert kinds(cost) == ["get snapshots", *["get_ranges packs"] * 2]
        # A node, and a block of up to 1 MiB that the file shares with its neighbours.
        assert cost.bytes["get_ranges"] < 1_300_000

    def test_a_large_file_and_one_more_byte_at_its_front(self, tmp_path: Path) -> None:
        world = World(tmp_path / "p")
        content = random.Random(3).randbytes(40 << 20)
        lay(Path(world.data), {"large": content})
        cost = world.cost(lambda p: p.add(world.data))
        assert kinds(cost) == [
            *["get rote.json", "create txns", "create packs", "create packs", "get data"],
            *["create snapshots", "create data", "replace txns", "replace data"],
        ]
        assert cost.bytes["create"] < len(content) * 1.002
        lay(Path(world.data), {"large": b"x" + content})
        cost = world.cost(lambda p: p.add(world.data))
        assert puts(cost) == 7
        assert cost.requests["head"] == 2  # every pack that is relied upon is looked at
        assert cost.total == 16
        assert sum(cost.bytes.values()) < 2 << 20
        shutil.rmtree(world.data)
        cost = world.cost(lambda p: p.checkout())
        assert cost.requests["get"] == 1
        assert cost.requests["get_ranges"] <= 7

    def test_several_paths_share_a_transaction(self, tmp_path: Path) -> None:
        world = World(tmp_path / "p")
        for name in "abc":
            lay(world.root / name, {name: name * 100})
        cost = world.cost(lambda p: p.add(*(str(world.root / name) for name in "abc")))
        assert puts(cost) == 2 + 4 * 3
        assert cost.total == 1 + 2 + 5 * 3


class TestPipeline:
    def test_three_stages_cold(self, tmp_path: Path) -> None:
        """Results that are ready at the same moment share a transaction; at worst each has its own."""
        world = World(tmp_path / "p", THREE)
        lay(world.root, {"in": "x" * 1000})
        cost = world.cost(lambda p: p.run())
        assert world.told.ok
        assert cost.requests["create"] <= 16
        assert cost.requests["replace"] <= 9
        assert cost.requests["get"] + cost.requests["head"] <= 14
        assert cost.total == sum(cost.requests[kind] for kind in ("create", "replace", "get", "head"))
        assert kinds(cost).count("get results") == 3
        assert sum(cost.bytes.values()) < 30_000

    def test_nothing_to_do(self, tmp_path: Path) -> None:
        world = World(tmp_path / "p", THREE)
        lay(world.root, {"in": "x" * 1000})
        world.cost(lambda p: p.run())
        cost = world.cost(lambda p: p.run())
        assert kinds(cost) == ["get results", "get results", "get results", "get runs"]
        assert not puts(cost)
        assert cost.bytes["get"] < 12_000

    def test_a_clean_clone_brings_every_out(self, tmp_path: Path) -> None:
        world = World(tmp_path / "p", THREE)
        lay(world.root, {"in": "x" * 1000})
        world.cost(lambda p: p.run())
        for name in ("a", "b", "c", "metrics.json"):
            (world.root / name).unlink()
        shutil.rmtree(world.root / ".rote/cache")
        cost = world.cost(lambda p: p.run())
        assert (world.root / "c").read_text() == "x" * 1000
        assert not puts(cost)
        assert cost.requests["get"] <= 8
        assert cost.requests["get_ranges"] <= 8
        assert cost.total <= 16


class TestModels:
    @pytest.fixture
    def ran(self, tmp_path: Path) -> World:
        world = World(tmp_path / "p", THREE)
        lay(world.root, {"in": "x" * 1000})
        world.cost(lambda p: p.run())
        return world

    def test_release(self, ran: World) -> None:
        cost = ran.cost(lambda p: p.models.release("m"))
        assert kinds(cost) == [
            # The result of each stage behind the files says what it read; deleted numbers are not given again.
            *["get runs", "get results", "get results", "get results", "get rote.json"],
            *["get snapshots", "get_ranges packs", "list models", "list models", "get_ranges packs"],
            *["get gc", "head packs", "create txns", "create packs", "replace txns", "get gc"],
            *["create snapshots", "create models", "replace txns", "replace models"],
        ]
        assert sum(cost.bytes.values()) < 15_000

    def test_a_release_costs_the_same_however_many_there_were(self, ran: World) -> None:
        ran.cost(lambda p: p.models.release("m"))
        costs = []
        for n in range(4):
            lay(ran.root, {"in": f"{n}" * 1000})
            ran.cost(lambda p: p.run())
            costs.append(kinds(ran.cost(lambda p: p.models.release("m"))))
        assert costs[0].count("get models") == 1  # the highest one
        assert costs[0] == costs[1] == costs[2] == costs[3]

    def test_promote(self, ran: World) -> None:
        ran.cost(lambda p: p.models.release("m"))
        cost = ran.cost(lambda p: p.models.promote("m@1.0.0", "prod"))
        # After the move it looks whether a collection has taken the version meanwhile.
        # Before it: whether the version is deprecated.
        assert kinds(cost) == [
            "get models",
            "get models",
            "get models",
            "create models",
            "get gc",
            "get models",
        ]
        assert sum(cost.bytes.values()) < 5000
        again = ran.cost(lambda p: p.models.promote("m@1.0.0", "prod"))
        assert kinds(again) == ["get models", "get models"]

    def test_fetch(self, ran: World, tmp_path: Path) -> None:
        ran.cost(lambda p: p.models.release("m"))
        ran.cost(lambda p: p.models.promote("m@1.0.0", "prod"))
        cost = ran.cost(lambda p: p.models.fetch("m@prod", str(tmp_path / "to")))
        assert kinds(cost) == [
            *["get models", "get models", "get snapshots", "get_ranges packs", "get_ranges packs"],
            "get models",  # whether it is deprecated
        ]


class TestClient:
    SIZE = 40 << 20

    @pytest.fixture
    def held(self, tmp_path: Path) -> World:
        """A model of 40 MiB that does not compress, held by prod."""
        world = World(tmp_path / "p", THREE)
        lay(world.root, {"in": random.Random(1).randbytes(self.SIZE)})
        self.deploy(world, "1.0.0")
        return world

    def deploy(self, world: World, version: str) -> None:
        world.cost(lambda p: p.run())
        world.cost(lambda p: p.models.release("m"))
        world.cost(lambda p: p.models.promote(f"m@{version}", "prod"))

    def test_a_poll_with_nothing_new_and_an_update(self, held: World, tmp_path: Path) -> None:
        store = Metered(FolderStore(str(held.root / ".rote/store")))
        model = Model(store, "m", cache=str(tmp_path / "cache"))
        model.path()
        assert kinds(store)[:2] == ["get models", "get snapshots"]
        assert self.SIZE <= sum(store.bytes.values()) < self.SIZE * 1.01

        store.reset()
        assert not model.refresh()
        assert kinds(store) == ["head models"]
        assert sum(store.bytes.values()) == 0

        content = bytearray((held.root / "in").read_bytes())
        middle, change = self.SIZE // 2, self.SIZE // 20
        content[middle : middle + change] = random.Random(2).randbytes(change)
        lay(held.root, {"in": bytes(content)})
        self.deploy(held, "1.0.1")
        store.reset()
        assert model.refresh()
        assert (model.path() / "c").read_bytes() == content
        assert kinds(store)[:3] == ["head models", "get models", "get snapshots"]
        assert set(kinds(store)[3:]) == {"get_ranges packs"}
        assert store.total <= 7
        assert sum(store.bytes.values()) < self.SIZE * 0.08
