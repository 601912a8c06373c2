"""The network fails between rote and a real S3 server: what is said to be saved is saved, nothing is there twice, and
nothing costs more requests or bytes than it must. The clock is held: what waits, waits in no time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rote
from rote.errors import Refused, StoreUnavailable, Unknown
from rote.laws.store.usage import READS, WRITES
from rote.ports import Silence
from rote.services.store import packing
from rote.testing.clock import StillClock
from rote.wiring.parts import Wiring
from rote.wiring.project import Project
from servers.fixtures import Bucket
from servers.proxy import Asked, CutReply, CutUpload, Fault, Hide, Lose, Plan, Proxy, Status

MIB = 1 << 20
STEP = 1 << 16
PIPELINE = """
stages:
  train:
    cmd: sort data/a.txt > model.txt; echo '{"accuracy":0.9}' > metrics.json
    deps: [data]
    outs: [model.txt]
    metrics: [metrics.json]
models:
  toy:
    files: [model.txt]
"""


@pytest.fixture
def server(moto: Bucket) -> Bucket:
    """The server behind the network: one with AWS's conditions. `test_network_rgw` has another."""
    return moto


@pytest.fixture
def proxy(server: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxy]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    with Proxy(server.endpoint) as proxy:
        yield proxy


class World:
    """A project whose store is behind the proxy, founded and probed while all was well."""

    def __init__(self, root: Path, proxy: Proxy, bucket: Bucket) -> None:
        proxy.plan = None
        self.root = root
        self.proxy = proxy
        root.mkdir()
        (root / "params.yaml").write_text("")
        self.url = Bucket(proxy.url, bucket.key, bucket.secret).url()
        rote.init(str(root), store=self.url)
        with (root / "rote.yaml").open("a") as out:
            out.write(PIPELINE)
        proxy.reset()

    def opened(self) -> Project:
        """The project as a new command sees it, with nothing in memory."""
        self.wiring = Wiring(str(self.root), store=None, progress=Silence(), cwd=str(self.root))
        self.wiring.clock = StillClock(seed=random.randrange(1 << 30))
        return Project(str(self.root), wiring=self.wiring)

    def write(self, path: str, data: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def during(self, plan: Plan | None, work: Callable[[Project], object]) -> object:
        """Do some work while the network is as planned."""
        self.proxy.reset()
        self.proxy.plan = plan
        try:
            return work(self.opened())
        finally:
            self.proxy.plan = None

    def sound(self) -> None:
        """Every byte in the store is right, as somebody sees it who has never been here."""
        report = self.opened().store.check(read_data=True)
        assert report.ok, report


@pytest.fixture
def world(tmp_path: Path, proxy: Proxy, server: Bucket, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path / "project", proxy, server)
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture(params=[2 * MIB, pytest.param(packing.PACK, marks=pytest.mark.heavy)])
def pack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of a pack: small ones every day, real ones on heavy days."""
    monkeypatch.setattr(packing.Packer.__init__, "__defaults__", (None, request.param))
    return int(request.param)


def everything(world: World, project: Project, size: int = 300_000) -> None:
    """Data, a run, a release, a promotion."""
    world.write("data/a.txt", b"b\na\n")
    world.write("data/b.bin", random.Random(1).randbytes(size))
    project.add("data")
    assert project.run().ok
    project.models.release("toy", version="1.0.0")
    project.models.promote("toy@1.0.0", "prod")


def once_each(fault: Callable[[Asked], Fault | None], writes: bool = False) -> Plan:
    """A fault the first time each request is made: the same again is served."""
    met: set[tuple[str, str, str]] = set()

    def plan(asked: Asked) -> Fault | None:
        what = (asked.method, asked.path, asked.query)
        if what in met or (writes and not asked.writes):
            return None
        met.add(what)
        return fault(asked)

    return plan


def complete(world: World) -> None:
    """What `everything` makes is there, once, and sound."""
    project = world.opened()
    assert len(project.runs(columns=["id"]).rows) == 1
    assert [v.version for v in project.models.versions("toy")] == ["1.0.0"]
    assert len(project.models.history("toy", "prod")) == 1
    figures = project.store.stats()
    assert figures.open_txns == 0
    world.sound()


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.heavy) for n in range(1, 10))])
def test_a_third_of_all_requests_refused_for_a_while(tmp_path: Path, world: World, seed: int) -> None:
    """It completes, with at most twice the requests."""
    chance = random.Random(seed)

    def work(project: Project) -> None:
        for n in range(15):
            world.write(f"d{n}/a.txt", b"%d %d" % (seed, n))
            project.add(f"d{n}", force=True)

    world.during(None, work)
    calm = len(world.proxy.log.asked)
    world.during(lambda asked: Status(503) if chance.random() < 0.3 else None, work)
    log = world.proxy.log
    assert len(log.faults) > calm // 5
    assert len(log.asked) <= 2 * calm
    world.sound()


def test_every_reply_lost_once(world: World) -> None:
    """No false failure, and nothing twice."""
    world.during(once_each(lambda asked: Lose()), lambda project: everything(world, project))
    assert len(world.proxy.log.faults) > 20
    complete(world)


def test_every_write_whose_reply_is_lost_is_made_once(world: World) -> None:
    world.during(once_each(lambda asked: Lose(), writes=True), lambda project: everything(world, project))
    log = world.proxy.log
    puts = [a.path for a in log.served if a.method == "PUT"]
    lost = {a.path for a, _ in log.faults if a.method == "PUT"}
    created = [p for p in puts if "/packs/" in p or "/snapshots/" in p or "/live/" in p]
    assert len(created) > 3
    assert lost >= set(created)
    assert len(created) == len(set(created)), "what was applied is not sent again"
    complete(world)


@pytest.mark.parametrize(
    "fault",
    [
        Status(409, s3_code="ConditionalRequestConflict"),
        Status(412, s3_code="PreconditionFailed"),
        Status(429, retry_after=7),
        Status(500, s3_code="InternalError"),
        Status(503, retry_after=30),
        CutUpload(0),
        CutUpload(1000),
    ],
    ids=lambda f: f"{f.code}" if isinstance(f, Status) else f"cut at {f.after}",
)
def test_every_write_refused_once(world: World, fault: Fault) -> None:
    world.during(once_each(lambda asked: fault, writes=True), lambda project: everything(world, project))
    assert len(world.proxy.log.faults) > 10
    complete(world)


@pytest.mark.parametrize("after", [0, 1, 700, 100_000])
def test_every_reply_cut_once(world: World, after: int) -> None:
    """A half of a reply is never taken for the whole."""
    everything(world, world.opened())
    for name in ("b.bin", "a.txt"):
        (world.root / "data" / name).unlink()
    (world.root / ".rote" / "cache" / "known.db").unlink(missing_ok=True)
    world.during(
        once_each(lambda asked: CutReply(after) if asked.method == "GET" else None),
        lambda project: project.checkout(force=True),
    )
    assert world.proxy.log.faults
    assert (world.root / "data/b.bin").read_bytes() == random.Random(1).randbytes(300_000)
    complete(world)


def test_a_store_that_stays_away_is_given_up_and_nothing_is_broken(world: World) -> None:
    everything(world, world.opened())
    world.write("data/c.bin", b"new")
    with pytest.raises(StoreUnavailable, match="tried"):
        world.during(lambda asked: Status(503), lambda project: project.add("data"))
    assert len(world.proxy.log.asked) < 60
    assert world.wiring.clock.monotonic() <= 300
    complete(world)


@pytest.mark.parametrize("stride", [12, pytest.param(1, marks=pytest.mark.heavy)])
def test_one_cut_costs_one_pack_at_most(world: World, stride: int) -> None:
    """One cut of the upload, at every 64 KiB of it: what is sent again is less than was sent up to there, and it is all in one
    request."""
    size = 3 * MIB
    for n, at in enumerate(range(0, size + STEP, STEP * stride)):
        world.write(f"f{n}", random.Random(n).randbytes(size))
        cuts = []

        def plan(asked: Asked, at: int = at, cuts: list[int] = cuts) -> Fault | None:
            if not cuts and asked.method == "PUT" and asked.before <= at < asked.before + asked.length:
                cuts.append(asked.length)
                return CutUpload(at - asked.before)
            return None

        world.during(plan, lambda project, n=n: project.add(f"f{n}"))  # type: ignore[misc]  # bound on purpose
        log = world.proxy.log
        assert len(cuts) == 1, at
        bodies = sum(a.length for a in log.asked if a.writes)
        assert bodies - cuts[0] <= size * 1.01 + 20_000
        assert log.uploaded <= bodies - cuts[0] + at + 1
    world.sound()


def test_many_cuts_cost_one_pack_each_at_most(world: World, pack: int) -> None:
    """Every pack is cut five times, each time 64 KiB (times an odd number) further on."""
    size = 2 * pack + 3 * MIB // 2
    world.write("big", random.Random(0).randbytes(size))
    tries: dict[str, int] = {}

    def plan(asked: Asked) -> Fault | None:
        if asked.method != "PUT" or asked.length < MIB // 2:
            return None
        tries[asked.path] = tries.get(asked.path, 0) + 1
        return CutUpload(STEP * (2 * tries[asked.path] + 1)) if tries[asked.path] <= 5 else None

    world.during(plan, lambda project: project.add("big"))
    log = world.proxy.log
    assert len(log.faults) == 5 * len(tries) >= 15
    assert log.uploaded <= size * 1.01 + len(log.faults) * (pack + MIB)
    assert (
        log.uploaded <= size * 1.01 + sum(f.after for _, f in log.faults if isinstance(f, CutUpload)) + 50_000
    )
    world.sound()


def test_what_was_sent_before_the_network_went_away_is_not_sent_again(world: World, pack: int) -> None:
    """The upload is broken off for good in the middle of a pack; the next command sends the rest."""
    size = 2 * pack + 3 * MIB // 2
    world.write("big", random.Random(0).randbytes(size))
    whole: list[int] = []

    def plan(asked: Asked) -> Fault | None:
        if asked.method == "PUT" and asked.length > MIB // 2 and not whole:
            whole.append(asked.length)
            return None
        return CutUpload(STEP) if whole and asked.length > MIB // 2 else None

    with pytest.raises((StoreUnavailable, Unknown)):
        world.during(plan, lambda project: project.add("big"))
    world.during(None, lambda project: project.add("big"))
    assert world.proxy.log.uploaded <= size - whole[0] + 100_000
    world.sound()


def test_a_stale_listing_is_found_out_and_nothing_is_collected(world: World) -> None:
    """A store whose listings lack what was just written: the probe sees it, and gc deletes nothing."""
    everything(world, world.opened())
    probed = world.during(lambda asked: Hide("probe/"), lambda project: project.store.probe())
    assert not probed.abilities.lists  # type: ignore[attr-defined]  # what the work returned
    with pytest.raises(Refused):
        world.during(
            lambda asked: Hide("/data/"), lambda project: project.store.gc(delete=True, grace_hours=0)
        )
    assert not [a for a in world.proxy.log.served if a.method == "DELETE"]
    complete(world)


def test_what_is_counted_is_what_went_over_the_wire(world: World) -> None:
    """By kind, to the request, also with tries again."""

    def passed(project: Project) -> None:
        usage = project.usage().get(world.url)
        assert usage is not None
        asked = world.proxy.log.asked
        seen = {
            "list": sum(a.lists for a in asked),
            "get": sum(a.method == "GET" and not a.lists for a in asked),
            "head": sum(a.method == "HEAD" for a in asked),
            "delete": sum(a.method == "DELETE" for a in asked),
        }
        for kind, count in seen.items():
            assert usage.requests.get(kind, 0) == count, kind
        puts = sum(a.method == "PUT" for a in asked)
        assert usage.requests.get("create", 0) + usage.requests.get("replace", 0) == puts
        assert usage.sent == sum(a.length for a in asked if a.method == "PUT")
        assert usage.writes == puts + seen["list"]
        assert usage.reads == seen["get"] + seen["head"]
        assert {*WRITES, *READS, "delete"} >= usage.requests.keys()

    def add(project: Project) -> None:
        world.write("data/a.txt", b"b\na\n")
        for n in range(300):
            world.write(f"data/n/{n}", random.Random(n).randbytes(n * 10))
        project.add("data")
        passed(project)

    def read(project: Project) -> None:
        for n in range(0, 300, 2):
            (world.root / f"data/n/{n}").unlink()
        project.checkout(force=True)
        passed(project)
        project.store.check(read_data=True)
        passed(project)
        project.store.gc(delete=True, grace_hours=0)
        passed(project)

    world.during(None, add)
    chance = random.Random(4)
    world.during(lambda asked: Status(503) if chance.random() < 0.3 else None, read)
    assert world.wiring.wrapping.usage()[world.url].retries == len(world.proxy.log.faults) > 0
