"""Publishing: whole or not at all, once, never otherwise, and looked at again."""

from __future__ import annotations

import hashlib
import threading

import msgspec
import pytest
from modelbench import Bench, noise

from rote.adapters.stores.memory import MemoryStore
from rote.adapters.targets.bucket import BucketHost
from rote.adapters.targets.memory import MemoryHost
from rote.errors import (
    Changed,
    Conflict,
    Corrupt,
    Missing,
    Refused,
    RoteError,
    StoreFull,
    StoreUnavailable,
    TooNew,
)
from rote.laws.publishing import manifests
from rote.ports.hosting import Sending
from rote.services.data.snapshots import Snapshots
from rote.services.models.channels import decoded
from rote.services.publishing.delivering import Delivering
from rote.services.publishing.publishing import THREADS, Content, Publishing, Stored, content_of
from rote.services.publishing.shipping import IN_MEMORY
from rote.testing.faults import CountingStore, Crashed, Fault, FaultyStore, at, on
from rote.testing.host_contract.parts import found, sending, whole
from rote.words.channel import Channel
from rote.words.encoding import digest_of
from rote.words.ids import SnapshotId
from rote.words.publication import MANIFEST, PublishedManifest, PublishedOrigin
from rote.words.verdict import GateVerdict
from rote.words.version import DataUsed, VersionFile

ONE = {"net": noise(300_000), "sub": {"a": b"a", "with space": b"b", "empty": b""}}
FLAT = {"net": ONE["net"], "sub/a": b"a", "sub/empty": b"", "sub/with space": b"b"}
TWO = {"net": noise(300_000, 2), "sub": {"a": b"a"}}
BELOW = "models/digits/published/1.0.0/"


@pytest.fixture(scope="module")
def bench():
    made = Bench()
    made.release(ONE, version="1.0.0", promote="prod")
    made.release(TWO, version="1.1.0")
    return made


def publish(bench, host, version="1.0.0", **how):
    found = bench.registry.get("digits", version)
    publishing = Publishing(host, threads=how.pop("threads", THREADS))
    return publishing.publish(content_of(found), Stored(Snapshots(bench.store), found.snapshot), **how)


def unsealed(channel, former):
    return channel


def deliver(bench, host, alias="prod"):
    delivering = Delivering(bench.registry, host, unsealed)
    return delivering.deliver("digits", alias, lambda version: publish(bench, host, version).manifest)


def plain(store, below=BELOW):
    """What lies there: key below the version -> bytes."""
    return {m.key.removeprefix(below): store.get(m.key).data for m in store.list(below)}


def is_whole(store, below=BELOW):
    """Whether a public reader finds a version, which then must be whole."""
    there = plain(store, below)
    if MANIFEST not in there:
        return False
    manifest = manifests.decoded(there[MANIFEST], "here")
    for file in manifest.files:
        data = b"".join(there[asset.name] for asset in file.assets)
        assert digest_of(data) == file.digest
        assert [hashlib.sha256(there[a.name]).hexdigest() for a in file.assets] == [
            a.sha256 for a in file.assets
        ]
    return True


# what is published


@pytest.mark.parametrize("make", [MemoryHost, lambda: BucketHost(MemoryStore())], ids=["memory", "bucket"])
def test_a_version_is_published_whole_and_only_once(bench, make):
    host = make()
    done = publish(bench, host, notes=lambda: "# notes\n")
    assert (done.created, done.sent, done.bytes) == (True, 4, sum(map(len, FLAT.values())))
    release = found(host, "digits@v1.0.0")
    assert (release.draft, release.notes) == (False, "# notes\n")
    manifest = manifests.decoded(whole(host, release, MANIFEST), "there")
    version = bench.registry.get("digits", "1.0.0")
    assert manifest.snapshot == version.snapshot.id
    assert (manifest.run, manifest.commit, manifest.released) == (
        version.run,
        version.commit,
        version.released,
    )
    assert [file.path for file in manifest.files] == sorted(FLAT)
    for file in manifest.files:
        assert b"".join(whole(host, release, asset.name) for asset in file.assets) == FLAT[file.path]
        assert sum(length for _, length in file.chunks) in (0, file.size)
    again = publish(bench, host, notes=lambda: pytest.fail("nobody asks for notes"))
    assert (again.created, again.sent, again.bytes, again.repaired) == (False, 0, 0, [])
    assert again.manifest == done.manifest


def test_the_manifest_is_the_same_at_every_target(bench):
    refs = {publish(bench, BucketHost(MemoryStore()), threads=n).manifest for n in (1, 2, 7)}
    assert len(refs) == 1


def test_the_manifest_says_where_the_version_comes_from(bench):
    """As much as fits: what is too large is named, and the version is published all the same."""
    version = bench.registry.get("digits", "1.0.0")
    told = msgspec.structs.replace(
        version,
        params={"params.yaml": {"lr": 0.1}},
        metrics={"m.json": {"acc": 0.9}},
        gates=[GateVerdict(gate="acc >= 0.8", value=0.9, threshold=0.8, passed=True)],
        data=[DataUsed("data", SnapshotId(digest_of(b"data")))],
    )
    store = MemoryStore()
    source = Stored(Snapshots(bench.store), version.snapshot)
    Publishing(BucketHost(store)).publish(content_of(told), source)
    said = manifests.decoded(store.get(BELOW + MANIFEST).data, "here")
    assert said.run == version.run
    assert said.origin.params == {"params.yaml": {"lr": 0.1}}
    assert said.origin.data == {"data": digest_of(b"data")}
    assert [(g.gate, g.passed) for g in said.origin.gates] == [("acc >= 0.8", True)]
    large = msgspec.structs.replace(told, params={"params.yaml": {"x": "y" * manifests.ORIGIN_BYTES}})
    cut = manifests.origin_of(large)
    assert cut.left_out == ["params"]
    assert cut.metrics == told.metrics
    huge = msgspec.structs.replace(
        told, data=[DataUsed(f"data/{n}", SnapshotId(digest_of(b""))) for n in range(2000)]
    )
    assert manifests.origin_of(huge).left_out == ["params", "metrics", "gates", "data"]
    nothing = msgspec.structs.replace(version, params={}, metrics={}, gates=[], data=[], environment=None)
    assert manifests.origin_of(nothing) is msgspec.UNSET


def test_publishing_again_reads_no_file_and_costs_a_look(bench):
    store = CountingStore(MemoryStore())
    publish(bench, BucketHost(store))
    store.reset()
    bench.store.reset()
    publish(bench, BucketHost(store))
    assert store.requests == {"list": 1, "get_ranges": 1}
    assert bench.store.total <= 1  # the registry's own look at the version


def test_other_files_under_one_number_are_refused(bench):
    store = MemoryStore()
    publish(bench, BucketHost(store))
    before = plain(store)
    other = msgspec.structs.replace(content_of(bench.registry.get("digits", "1.1.0")), version="1.0.0")
    ref = bench.registry.get("digits", "1.1.0").snapshot
    with pytest.raises(Refused) as caught:
        Publishing(BucketHost(store)).publish(other, Stored(Snapshots(bench.store), ref), fresh=True)
    assert "never changes" in caught.value.what
    assert "--bump" in (caught.value.next or "")
    assert plain(store) == before


def test_what_somebody_deleted_is_sent_again(bench):
    store = MemoryStore()
    host = BucketHost(store)
    first = publish(bench, host)
    before = plain(store)
    store.delete(BELOW + "sub/a")
    store.delete(BELOW + "net")
    again = publish(bench, host)
    assert (again.created, again.repaired, again.sent) == (False, ["net", "sub/a"], 2)
    assert again.manifest == first.manifest
    assert plain(store) == before


def test_what_somebody_changed_is_told(bench):
    store = MemoryStore()
    publish(bench, BucketHost(store))
    store.delete(BELOW + "sub/a")
    store.create(BELOW + "sub/a", b"another")
    with pytest.raises(Corrupt) as caught:
        publish(bench, BucketHost(store))
    assert "sub/a" in caught.value.what
    assert "delete it there" in (caught.value.next or "")


def test_other_bytes_of_the_same_size_are_told_by_a_host_that_knows_digests(bench):
    host = MemoryHost()
    publish(bench, host)
    release = found(host, "digits@v1.0.0")
    host.drop(release, release.asset("sub/a"))
    host.send(release, sending("sub/a", b"x"))
    with pytest.raises(Corrupt, match=r"sub/a of digits@1\.0\.0 has other bytes") as caught:
        publish(bench, host)
    assert "delete it there" in (caught.value.next or "")


def test_a_manifest_that_somebody_deleted_comes_back(bench):
    host = MemoryHost()
    first = publish(bench, host)
    before = dict(host.bytes)
    release = found(host, "digits@v1.0.0")
    host.drop(release, release.asset(MANIFEST))
    again = publish(bench, host)
    assert (again.created, again.repaired, again.manifest) == (False, [MANIFEST], first.manifest)
    assert host.bytes == before


def test_a_release_that_was_made_by_hand_stays_what_it_is(bench):
    host = MemoryHost()
    release = host.begin("digits@v1.0.0", title="", notes="")
    for name in ("net", "theirs"):
        host.send(release, sending(name, b"x"))
    host.finish(release, notes="")
    before = dict(host.bytes)
    with pytest.raises(Missing, match="was not published by rote") as caught:
        publish(bench, host)
    assert (caught.value.safe, bool(caught.value.next)) == ("nothing was changed there", True)
    assert host.bytes == before


@pytest.mark.parametrize("document", [b"", b"hello", b"x" * 4096], ids=["empty", "words", "long"])
def test_a_channel_that_somebody_damaged_is_told_and_can_be_made_anew(bench, document):
    host = MemoryHost()
    publish(bench, host)
    host.move("digits", "prod", document, None)
    with pytest.raises(Corrupt, match="the channel there is damaged") as caught:
        deliver(bench, host)
    assert caught.value.next == "delete it there, then rote publish digits@prod"
    del host.channels["digits", "prod"]
    assert deliver(bench, host).moved


@pytest.mark.parametrize("kind", ["rotten", "hostile", "other"])
def test_a_manifest_that_somebody_changed_is_told(bench, kind):
    store = MemoryStore()
    publish(bench, BucketHost(store))
    data = store.get(BELOW + MANIFEST).data
    changed = {"rotten": data[:-9], "hostile": data.replace(b'"path":"net"', b'"path":"../net"'),
               "other": data.replace(b'"1.0.0"', b'"1.0.1"')}[kind]  # fmt: skip
    store.delete(BELOW + MANIFEST)
    store.create(BELOW + MANIFEST, changed)
    with pytest.raises(Corrupt):
        publish(bench, BucketHost(store))


# large files


class SmallHost(MemoryHost):
    """A host that takes no more than 100,000 bytes at once."""

    largest = 100_000


def test_a_file_that_is_too_large_is_split_and_can_be_joined(bench):
    host = SmallHost()
    publish(bench, host)
    release = found(host, "digits@v1.0.0")
    manifest = manifests.decoded(whole(host, release, MANIFEST), "there")
    net = next(file for file in manifest.files if file.path == "net")
    assert [(a.name, a.size) for a in net.assets] == [
        ("net.001", 100_000),
        ("net.002", 100_000),
        ("net.003", 100_000),
    ]
    assert b"".join(whole(host, release, a.name) for a in net.assets) == ONE["net"]
    assert publish(bench, host).sent == 0


def test_a_part_that_was_deleted_is_sent_again_alone(bench):
    host = SmallHost()
    publish(bench, host)
    host.drop(found(host, "digits@v1.0.0"), found(host, "digits@v1.0.0").asset("net.002"))
    again = publish(bench, host)
    assert (again.repaired, again.sent, again.bytes) == (["net"], 1, 100_000)
    assert whole(host, found(host, "digits@v1.0.0"), "net.002") == ONE["net"][100_000:200_000]


def test_large_files_wait_on_disk_and_few_at_a_time():
    """Never more files are open than are sent at once and as many again; never more bytes in memory than they may have."""
    bench = Bench()
    bench.release({f"f{n:02}": noise(IN_MEMORY // 4 + n, n) for n in range(20)}, version="1.0.0")
    held = [0, 0]
    lock = threading.Lock()

    class Watched(MemoryHost):
        def send(self, release, file: Sending):
            with lock:
                held[0] += 1
                held[1] = max(held)
            try:
                return super().send(release, file)
            finally:
                with lock:
                    held[0] -= 1

    publish(bench, Watched(), threads=3)
    assert 1 < held[1] <= 3


# faults


def requests_of(bench, store):
    counting = CountingStore(store)
    publish(bench, BucketHost(counting), threads=1, notes=lambda: "notes")
    return counting.total


FAULTS = [
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.LOST_BEFORE,
    Fault.LOST_AFTER,
    Fault.FULL,
    Fault.UNAVAILABLE,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_killed_at_every_request_it_is_whole_or_a_draft_and_goes_on(bench, fault):
    clean = MemoryStore()
    count = requests_of(bench, clean)
    expected = plain(clean)
    assert count >= 12
    for n in range(count):
        store = MemoryStore()
        faulty = FaultyStore(store, at(n, fault))
        try:
            publish(bench, BucketHost(faulty), threads=1, notes=lambda: "notes")
        except (Crashed, RoteError):
            pass
        is_whole(store)
        sent = {key for key in plain(store) if key not in (MANIFEST, "rote-notes.md")}
        done = publish(bench, BucketHost(store), threads=1, notes=lambda: "notes")
        assert is_whole(store)
        assert {k: v for k, v in plain(store).items() if k != "rote-notes.md"} == {
            k: v for k, v in expected.items() if k != "rote-notes.md"
        }, n
        assert done.sent == (0 if not done.created else 4)
        assert sent <= expected.keys()


def test_what_was_sent_before_is_not_sent_again(bench):
    store = MemoryStore()
    faulty = FaultyStore(store, on("create", BELOW + "sub/with", Fault.CRASH_BEFORE))
    with pytest.raises(Crashed):
        publish(bench, BucketHost(faulty), threads=1)
    counting = CountingStore(store)
    publish(bench, BucketHost(counting), threads=1)
    created = [key for kind, key in counting.journal if kind == "create"]
    assert BELOW + "net" not in created
    assert BELOW + "sub/a" not in created


def test_what_arrives_otherwise_stays_a_draft(bench):
    store = MemoryStore()
    faulty = FaultyStore(store, on("get_ranges", BELOW + "net", Fault.ROT))
    with pytest.raises(Corrupt) as caught:
        publish(bench, BucketHost(faulty))
    assert "net" in caught.value.what
    assert "--fresh" in (caught.value.next or "")
    assert not is_whole(store)


def test_a_rotten_draft_is_refused_and_removed_by_fresh(bench):
    store = MemoryStore()
    store.create(BELOW + "net", b"of another attempt")
    with pytest.raises(Refused) as caught:
        publish(bench, BucketHost(store))
    assert "--fresh" in (caught.value.next or "")
    assert not is_whole(store)
    assert publish(bench, BucketHost(store), fresh=True).created
    assert is_whole(store)


def test_what_else_lies_in_a_draft_does_not_come_out_with_it(bench):
    store = MemoryStore()
    store.create(BELOW + "stranger", b"?")
    with pytest.raises(Refused) as caught:
        publish(bench, BucketHost(store))
    assert "stranger" in caught.value.what
    assert not is_whole(store)


def test_a_source_that_is_rotten_publishes_nothing(bench):
    version = bench.registry.get("digits", "1.0.0")
    rotten = FaultyStore(bench.store, on("get_ranges", "packs/", Fault.ROT, 100))
    store = MemoryStore()
    with pytest.raises(Corrupt):
        Publishing(BucketHost(store)).publish(
            content_of(version), Stored(Snapshots(rotten), version.snapshot)
        )
    assert not is_whole(store)


def test_a_full_disk_in_the_middle_of_a_large_file_is_told():
    """The error holds a piece of the mapped copy; it must come through all the same."""
    bench = Bench()
    bench.release({"net": noise(IN_MEMORY + 5)}, version="1.0.0")

    class Full(MemoryStore):
        def create(self, key, data):
            rest = memoryview(data)[5:]
            raise StoreFull(f"no space left for {len(rest)} bytes")

    with pytest.raises(StoreFull):
        publish(bench, BucketHost(Full()))
    store = MemoryStore()
    publish(bench, BucketHost(store))
    assert is_whole(store)


def test_the_target_goes_away_and_comes_back(bench):
    store = MemoryStore()
    gone = FaultyStore(store, on("create", BELOW, Fault.UNAVAILABLE, 100))
    with pytest.raises(StoreUnavailable):
        publish(bench, BucketHost(gone))
    assert publish(bench, BucketHost(store)).created


def test_many_publish_the_same_at_once(bench):
    store = MemoryStore()
    start = threading.Barrier(4)
    outcomes = []

    def one():
        start.wait(60)
        outcomes.append(publish(bench, BucketHost(store)))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 4
    assert is_whole(store)
    assert {done.manifest for done in outcomes} == {outcomes[0].manifest}


@pytest.mark.parametrize("seed", range(8))
def test_two_with_other_files_at_once_never_mix(bench, seed):
    store = MemoryStore()
    start = threading.Barrier(2)
    ended = []

    def one(version):
        stored = bench.registry.get("digits", version)
        content = msgspec.structs.replace(content_of(stored), version="1.0.0")
        start.wait(60)
        try:
            publishing = Publishing(BucketHost(store), threads=1 + seed % 3)
            publishing.publish(content, Stored(Snapshots(bench.store), stored.snapshot))
            ended.append(version)
        except Refused:
            pass

    threads = [threading.Thread(target=one, args=[v]) for v in ("1.0.0", "1.1.0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ended) <= 1
    assert is_whole(store) == bool(ended)


# channels


def document(store, alias="prod"):
    body, _, _ = store.get(f"models/digits/aliases/{alias}").data.rpartition(b"\nblake3:")
    return msgspec.json.decode(body, type=Channel)


@pytest.fixture
def own():
    made = Bench()
    made.release(ONE, version="1.0.0", promote="prod")
    made.release(TWO, version="1.1.0")
    return made


def test_the_channel_follows_the_store(own):
    store = MemoryStore()
    host = BucketHost(store)
    first = deliver(own, host)
    assert (first.version, first.seq, first.moved) == ("1.0.0", 1, True)
    told = document(store)
    assert told.manifest == publish(own, host).manifest
    assert told.snapshot.id == own.registry.get("digits", "1.0.0").snapshot.id
    assert not deliver(own, host).moved
    own.registry.promote("digits", "1.1.0", "prod")
    assert (deliver(own, host).version, document(store).seq) == ("1.1.0", 2)
    own.registry.rollback("digits", "prod")
    assert (deliver(own, host).version, document(store).seq) == ("1.0.0", 3)
    assert is_whole(store, "models/digits/published/1.1.0/")


def test_the_version_is_there_before_the_channel_names_it(own):
    """A reader that sees the channel always finds the version, wherever the publisher dies."""
    counting = CountingStore(MemoryStore())
    deliver(own, BucketHost(counting))
    for n in range(counting.total):
        for fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_AFTER):
            store = MemoryStore()
            try:
                deliver(own, BucketHost(FaultyStore(store, at(n, fault))))
            except (Crashed, RoteError):
                pass
            if list(store.list("models/digits/aliases/")):
                assert is_whole(store)
            assert deliver(own, BucketHost(store)).version == "1.0.0"
            assert is_whole(store)
            assert document(store).seq == 1


def test_a_channel_is_never_moved_back(own):
    """Of two that deliver, the later move wins, whoever comes last."""
    store = MemoryStore()
    older = own.registry.channels.read("digits", "prod").channel
    own.registry.promote("digits", "1.1.0", "prod")
    deliver(own, BucketHost(store))

    class Late:
        def __init__(self, registry):
            self.channels, self._registry = self, registry

        def read(self, model, alias):
            return type("Held", (), {"channel": older})

        def history(self, model, alias):
            return self._registry.channels.history(model, alias)

    late = Delivering(Late(own.registry), BucketHost(store), unsealed)
    done = late.deliver("digits", "prod", lambda version: pytest.fail("nothing is published for it"))
    assert (done.moved, done.version) == (False, "1.1.0")


def test_a_manifest_that_was_written_anew_is_the_one_that_the_channel_names(own):
    """Somebody deleted one that an older rote had written, which says less: with the channel as it was, no application
    would take the new one."""
    store = MemoryStore()
    host = BucketHost(store)
    version = own.registry.get("digits", "1.0.0")
    older = msgspec.structs.replace(content_of(version), origin=PublishedOrigin(system="older"))
    Publishing(host).publish(older, Stored(Snapshots(own.store), version.snapshot))
    assert deliver(own, host).moved
    was = store.get(BELOW + MANIFEST).data
    store.delete(BELOW + MANIFEST)
    done = deliver(own, host)
    assert done.moved
    assert done.seq == 1
    assert store.get(BELOW + MANIFEST).data != was
    named = decoded("digits", "prod", host.channel("digits", "prod").data).manifest
    assert named == manifests.ref_of(store.get(BELOW + MANIFEST).data)
    assert not deliver(own, host).moved
    store.delete(BELOW + MANIFEST)
    Publishing(host).publish(older, Stored(Snapshots(own.store), version.snapshot))

    def expiring(channel, former):
        return msgspec.structs.replace(channel, expires="2030-01-01T00:00:00Z")

    there = host.channel("digits", "prod").data
    with pytest.raises(Refused, match="expires is not what it was"):
        Delivering(own.registry, host, expiring).deliver(
            "digits", "prod", lambda version: publish(own, host, version).manifest
        )
    assert host.channel("digits", "prod").data == there


def test_two_stores_do_not_share_a_channel(own):
    store = MemoryStore()
    deliver(own, BucketHost(store))
    other = Bench(seed=1)
    other.release(ONE, version="1.0.0")
    other.release(TWO, version="1.1.0", promote="prod")
    other.registry.promote("digits", "1.0.0", "prod")
    with pytest.raises(Refused) as caught:
        deliver(other, BucketHost(store))
    assert "another store" in caught.value.what
    assert document(store).seq == 1


def test_a_long_history_is_cut_to_what_fits(own):
    store = MemoryStore()
    for n in range(30):
        own.registry.promote("digits", ("1.1.0", "1.0.0")[n % 2], "prod", why=f"{n} " + "x" * 100)
    assert deliver(own, BucketHost(store)).seq == 31
    assert len(store.get("models/digits/aliases/prod").data) <= 4096
    own.registry.promote("digits", "1.1.0", "prod", why="y" * 500)
    assert deliver(own, BucketHost(store)).moved
    assert document(store).history[0].why == "y" * 500


def test_a_target_that_missed_moves_gets_the_last_one(own):
    store = MemoryStore()
    deliver(own, BucketHost(store))
    for n in range(40):
        own.registry.promote("digits", ("1.1.0", "1.0.0")[n % 2], "prod", why="z" * 90)
    assert deliver(own, BucketHost(store)).seq == 41


def test_nobody_holds_the_alias(own):
    with pytest.raises(Refused) as caught:
        deliver(own, BucketHost(MemoryStore()), "staging")
    assert "rote promote digits@VERSION staging" in (caught.value.next or "")


# manifests


def test_a_manifest_that_says_what_none_may_say_is_refused(bench):
    store = MemoryStore()
    publish(bench, BucketHost(store))
    data = store.get(BELOW + MANIFEST).data
    good = manifests.decoded(data, "here")
    assert manifests.encoded(good) == data

    def changed(n=0, **what):
        files = list(good.files)
        files[n] = msgspec.structs.replace(files[n], **what)
        return manifests.encoded(msgspec.structs.replace(good, files=files))

    asset = good.files[0].assets[0]
    bad = [
        b"", b"{}", b"[" * 100_000, data[:100], data.replace(b'"1.0.0"', b'"01.0.0"'),
        changed(path="../net"), changed(path="/net"), changed(path="a\\b"), changed(path="sub/a"), changed(path="sub"),
        changed(path="NUL"), changed(size=-1), changed(size=1 << 60), changed(size=1), changed(digest="x"),
        changed(executable=True), changed(assets=[]), changed(path="zzz"),
        changed(assets=[msgspec.structs.replace(asset, size=-5), msgspec.structs.replace(asset, size=asset.size + 5)]),
        changed(assets=[msgspec.structs.replace(asset, sha256="0")]),
        changed(chunks=[(asset.sha256, 1)]), changed(chunks=[("x", asset.size)]),
        manifests.encoded(msgspec.structs.replace(good, model="../x")),
        manifests.encoded(msgspec.structs.replace(good, files=[*good.files, good.files[0]])),
        manifests.encoded(msgspec.structs.replace(good, snapshot="0" * 64)),
    ]  # fmt: skip
    for each in bad:
        with pytest.raises(Corrupt):
            manifests.decoded(each, "here")
    with pytest.raises(TooNew):
        manifests.decoded(manifests.encoded(msgspec.structs.replace(good, format=2)), "here")
    with pytest.raises(Corrupt):
        manifests.decoded(b" " * (manifests.MAX_BYTES + 1), "here")


def test_names_are_given_once():
    names = manifests.Names(["rote-manifest.json"])
    given = [
        names.take(n)
        for n in ("a.txt", "A.txt", "a.txt", "d/a.txt", "rote-manifest.json", "x", "x", ".x", ".x")
    ]
    assert given == [
        "a.txt",
        "A-2.txt",
        "a-3.txt",
        "d/a.txt",
        "rote-manifest-2.json",
        "x",
        "x-2",
        ".x",
        ".x-2",
    ]


def test_a_release_without_a_manifest_is_named(bench):
    host = MemoryHost()
    release = host.begin("digits@v1.0.0", title="", notes="")
    host.send(release, sending("a", b"by hand"))
    host.finish(release, notes="")
    with pytest.raises(Missing) as caught:
        publish(bench, host)
    assert MANIFEST in caught.value.what


def test_a_source_that_gives_more_than_it_said_is_refused():
    class Growing:
        def give(self, sink, only):
            sink.file("a", 3, False, bytes(32), [b"abcd"])

    content = Content(model="m", version="1.0.0", files=[VersionFile(path="a", size=3, digest="0" * 64)])
    with pytest.raises(Changed):
        Publishing(MemoryHost()).publish(content, Growing())


def test_a_move_that_others_keep_winning_is_given_up(own):
    class Busy(MemoryHost):
        def move(self, model, alias, document, after):
            raise Conflict(alias)

    with pytest.raises(Conflict):
        deliver(own, Busy())


def test_an_empty_version_has_a_manifest():
    assert manifests.snapshot_of([]) != manifests.snapshot_of(
        [VersionFile(path="a", size=0, digest="0" * 64)]
    )
    assert isinstance(
        PublishedManifest(model="m", version="1.0.0", snapshot="0" * 64, files=[]), msgspec.Struct
    )
