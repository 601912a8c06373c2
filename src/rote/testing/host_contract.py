"""The contract of hosting.ReleaseHost as a test suite. A host passes with a test file of a few lines:

    class TestMyHost(HostContract):
        def make(self, place):                  # a new, empty host; `place` is an empty folder of the test's own
            return MyHost(...)

        def again(self, host, place):           # another client of the same host, which may write as well
            return MyHost(...)

        def public(self, host, place):          # a client that may only read; by default as `again`
            return MyHost(...)

        def raw_asset(self, host, place, tag, name, data):     # behind the port's back: other bytes; None: gone
            ...

        def raw_channel(self, host, place, model, alias, data):   # the same with a channel document
            ...

Whoever writes a host whose drafts are real says `drafts = True`. No subclass may override a test.
"""

from __future__ import annotations

import hashlib
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from rote.encoding import digest_of
from rote.errors import Changed, Conflict, Corrupt, NotFound, Refused, RoteError, UsageError
from rote.hosting import CHANNEL_BYTES, HostedAsset, HostedRelease, ReleaseHost, Sending, Told
from rote.ids import SnapshotId
from rote.publication import MANIFEST, PublishedAsset, PublishedFile, PublishedManifest

MODEL = "keyboard"
TAG = "keyboard@v1.0.0"

PATHS = [
    "model.onnx", "labels.txt", "vocabulary/words.txt", "a/b/c/d.bin", "README.md", "weights.safetensors",
    "with space.bin", "ümläut/größe.txt", ".hidden", "a/.hidden/b", "step=5/model.pt", "a=20b", "a+b@c,d", "=_x",
    "%2e%2e.txt", "=2Ehidden", "quote'\"$(id)`.txt", "#1?x=y&z.txt", "日本語.txt", "x" * 255, "rote-notes.md",
    "/".join(["deep" * 20] * 12), "CON_.txt", "a..b", "trailing-", "~tilde",
]  # fmt: skip
"""Paths of files, as a snapshot may hold them."""

HOSTILE_TAGS = [
    "",
    "..",
    "../x@v1.0.0",
    "a\nb@v1.0.0",
    "a b@v1.0.0",
    "x@v1.0.0/../..",
    "x@v1.0.0\0",
    "@v1.0.0",
    "x@v\ud800",
]
"""Tags that every host refuses, before anything moves."""


def sending(name: str, data: bytes, piece: int = 65_536) -> Sending:
    """A Sending of these bytes."""

    def read(start: int) -> Iterator[bytes]:
        for begin in range(start, len(data), piece):
            yield data[begin : begin + piece]

    return Sending(name, len(data), hashlib.sha256(data).hexdigest(), read)


def manifest(tag: str, files: dict[str, bytes], released: str = "2026-11-21T11:00:00Z") -> bytes:
    """A manifest of assets: name -> bytes."""
    model, _, version = tag.partition("@v")
    return msgspec.json.encode(
        PublishedManifest(
            model=model,
            version=version,
            snapshot=SnapshotId(digest_of(b"snapshot")),
            files=[
                PublishedFile(
                    path=name,
                    size=len(data),
                    digest=digest_of(data),
                    assets=[PublishedAsset(name, len(data), hashlib.sha256(data).hexdigest())],
                )
                for name, data in files.items()
            ],
            released=released,
        )
    )


def publish(
    host: ReleaseHost,
    tag: str,
    files: dict[str, bytes],
    *,
    notes: str = "notes",
    released: str = "2026-11-21T11:00:00Z",
) -> HostedRelease:
    """Everything in the right order: begin, send, the manifest last, finish."""
    release = host.begin(tag, title=tag, notes=notes)
    for name, data in files.items():
        host.send(release, sending(name, data))
    host.send(release, sending(MANIFEST, manifest(tag, files, released)))
    return host.finish(release, notes=notes)


def whole(host: ReleaseHost, release: HostedRelease, name: str) -> bytes:
    """All bytes of an asset."""
    asset = release.asset(name)
    assert asset is not None, f"{name} is not there"
    return b"".join(host.read(release, asset))


def found(host: ReleaseHost, tag: str) -> HostedRelease:
    """The release, which is there."""
    release = host.find(tag)
    assert release is not None
    return release


class HostContract(ABC):
    """One test a clause of the contract."""

    drafts = False
    """Say True if a draft is kept before it has an asset, and is hidden from the public whatever it holds."""
    exact_moves = True
    """Say False for a host without a compare-and-swap: of two that move a channel at once both may win then."""
    notes_for_all = True
    """Say False if a client that may only read does not get the notes."""

    @abstractmethod
    def make(self, place: Path) -> ReleaseHost:
        """A new, empty host."""

    @abstractmethod
    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        """Another client of the same host."""

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        """A client that may only read."""
        return self.again(host, place)

    @abstractmethod
    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        """Give an asset other bytes behind the port's back; None takes it away."""

    @abstractmethod
    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        """Put a channel document behind the port's back."""

    def __init_subclass__(cls) -> None:
        for name in vars(cls):
            if name.startswith("test_") and hasattr(HostContract, name):
                raise TypeError(f"{cls.__name__} overrides {name}: the contract is the same for every host")

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the host may put things."""
        return tmp_path

    @pytest.fixture
    def host(self, place: Path) -> ReleaseHost:
        """The host under test."""
        return self.make(place)

    # what is there

    def test_an_empty_host_has_nothing(self, host: ReleaseHost) -> None:
        assert host.url
        assert host.largest >= 1
        assert host.find(TAG) is None
        assert host.latest() is None
        with pytest.raises(NotFound):
            host.channel(MODEL, "prod")

    def test_its_address_is_shown(self, host: ReleaseHost, place: Path) -> None:
        assert host.url == self.again(host, place).url

    @pytest.mark.parametrize("tag", HOSTILE_TAGS, ids=ascii)
    def test_hostile_tags_are_refused(self, host: ReleaseHost, tag: str) -> None:
        with pytest.raises(UsageError):
            host.begin(tag, title="", notes="")
        with pytest.raises(UsageError):
            host.find(tag)

    @pytest.mark.parametrize(
        ("model", "alias"),
        [("../x", "prod"), ("", "prod"), (MODEL, "../x"), (MODEL, "a/b"), (MODEL, "a\nb"), (MODEL, "")],
    )
    def test_hostile_channels_are_refused(self, host: ReleaseHost, model: str, alias: str) -> None:
        with pytest.raises(UsageError):
            host.channel(model, alias)
        with pytest.raises(UsageError):
            host.move(model, alias, b"{}", None)

    # names

    def test_plain_names_stay(self, host: ReleaseHost) -> None:
        for name in ("model.onnx", "labels.txt", "weights-1.2_a.safetensors"):
            assert host.asset_name(name) == name

    def test_every_path_has_a_name_under_which_it_is_found(self, host: ReleaseHost, place: Path) -> None:
        names = {path: host.asset_name(path) for path in PATHS}
        assert names == {path: self.again(host, place).asset_name(path) for path in PATHS}
        assert MANIFEST not in names.values()
        files = {name: path.encode() for path, name in names.items()}
        publish(host, TAG, files)
        release = found(self.public(host, place), TAG)
        assert {asset.name for asset in release.assets} == {*files, MANIFEST}
        for name, data in files.items():
            assert whole(self.public(host, place), release, name) == data

    # drafts

    def test_a_draft_is_hidden_until_it_is_finished(self, host: ReleaseHost, place: Path) -> None:
        release = host.begin(TAG, title="keyboard 1.0.0", notes="first")
        assert (release.draft, release.tag, list(release.assets)) == (True, TAG, [])
        host.send(release, sending("a", b"one"))
        mine = found(host, TAG)
        assert mine.draft
        assert [(a.name, a.size) for a in mine.assets] == [("a", 3)]
        theirs = self.public(host, place).find(TAG)
        assert theirs is None or theirs.draft
        assert host.latest() is None
        host.send(release, sending(MANIFEST, manifest(TAG, {"a": b"one"})))
        done = host.finish(release, notes="last")
        assert not done.draft
        seen = found(self.public(host, place), TAG)
        assert not seen.draft
        assert {(a.name, a.size) for a in seen.assets} == {(a.name, a.size) for a in done.assets}
        assert found(host, TAG).notes == "last"
        if self.notes_for_all:
            assert seen.notes == "last"

    def test_a_draft_is_taken_up_again(self, host: ReleaseHost, place: Path) -> None:
        release = host.begin(TAG, title="t", notes="n")
        host.send(release, sending("a", b"one"))
        other = self.again(host, place)
        again = other.begin(TAG, title="t", notes="n")
        assert again.draft
        assert again.key == release.key
        assert [a.name for a in again.assets] == ["a"]
        assert whole(other, again, "a") == b"one"
        if self.drafts:
            assert found(other, TAG).key == release.key

    def test_an_empty_draft_is_kept_where_there_are_drafts(self, host: ReleaseHost, place: Path) -> None:
        release = host.begin(TAG, title="t", notes="n")
        mine = self.again(host, place).find(TAG)
        if self.drafts:
            assert mine is not None
            assert (mine.draft, mine.key) == (True, release.key)
        else:
            assert mine is None or mine.draft

    def test_what_is_finished_is_not_begun_again(self, host: ReleaseHost, place: Path) -> None:
        done = publish(host, TAG, {"a": b"one"})
        for client in (host, self.again(host, place)):
            with pytest.raises(Conflict):
                client.begin(TAG, title="t", notes="n")
            assert not client.finish(done, notes="notes").draft
        assert whole(host, found(host, TAG), "a") == b"one"

    def test_without_a_manifest_nothing_is_finished_where_that_tells(
        self, host: ReleaseHost, place: Path
    ) -> None:
        release = host.begin(TAG, title="t", notes="n")
        host.send(release, sending("a", b"one"))
        if self.drafts:
            assert not host.finish(release, notes="n").draft
            return
        try:
            host.finish(release, notes="n")
        except Refused:
            assert self.public(host, place).find(TAG) is None

    def test_releases_are_kept_apart(self, host: ReleaseHost) -> None:
        tags = [
            f"{model}@v{version}"
            for model in ("a", "b", "a.b")
            for version in ("1.0.0", "1.0.0-rc.1", "1.0.10")
        ]
        for tag in tags:
            publish(host, tag, {"f": tag.encode()})
        for tag in tags:
            assert whole(host, found(host, tag), "f") == tag.encode()
        assert host.find("a@v1.0.1") is None
        assert host.find("c@v1.0.0") is None

    def test_the_latest_is_the_newest_that_is_finished(self, host: ReleaseHost) -> None:
        publish(host, "a@v1.0.0", {"f": b"1"}, released="2026-11-21T11:00:00Z")
        publish(host, "b@v0.1.0", {"f": b"2"}, released="2026-11-21T12:00:00Z")
        draft = host.begin("c@v9.0.0", title="t", notes="n")
        host.send(draft, sending("f", b"3"))
        host.move("b", "prod", b"{}", None)
        latest = host.latest()
        assert latest is not None
        assert latest.tag == "b@v0.1.0"
        assert whole(host, latest, "f") == b"2"

    # sending and reading

    @pytest.mark.parametrize("size", [0, 1, 4096, 9_000_001])
    def test_what_is_sent_is_read(self, host: ReleaseHost, place: Path, size: int) -> None:
        data = random.Random(size).randbytes(size)
        if size > host.largest:
            data = data[: host.largest]
        release = host.begin(TAG, title="t", notes="n")
        sent = host.send(release, sending("a", data))
        assert (sent.name, sent.size) == ("a", len(data))
        assert sent.sha256 in (None, hashlib.sha256(data).hexdigest())
        asset = found(host, TAG).asset("a")
        assert asset is not None
        assert asset.sha256 in (None, hashlib.sha256(data).hexdigest())
        assert whole(self.again(host, place), found(host, TAG), "a") == data

    def test_parts_are_read(self, host: ReleaseHost) -> None:
        data = random.Random(5).randbytes(100_000)
        publish(host, TAG, {"a": data})
        release = found(host, TAG)
        asset = release.asset("a")
        assert asset is not None
        for start, length in [
            (0, None),
            (1, None),
            (99_999, None),
            (0, 10),
            (50_000, 1),
            (99_990, 10),
            (0, 100_000),
            (7, 0),
        ]:
            end = len(data) if length is None else start + length
            assert b"".join(host.read(release, asset, start, length)) == data[start:end]

    def test_the_same_again_is_no_error_and_other_bytes_are(self, host: ReleaseHost, place: Path) -> None:
        release = host.begin(TAG, title="t", notes="n")
        host.send(release, sending("a", b"one"))
        for client in (host, self.again(host, place)):
            client.send(found(client, TAG), sending("a", b"one"))
            client.send(release, sending("a", b"one"))
            for other in (b"two", b"", b"one more"):
                with pytest.raises(Conflict):
                    client.send(found(client, TAG), sending("a", other))
        assert [a.name for a in found(host, TAG).assets] == ["a"]
        assert whole(host, found(host, TAG), "a") == b"one"

    def test_what_was_dropped_may_be_sent_otherwise(self, host: ReleaseHost) -> None:
        release = host.begin(TAG, title="t", notes="n")
        asset = host.send(release, sending("a", b"one"))
        host.send(release, sending("b", b"two"))
        host.drop(release, asset)
        host.drop(release, asset)
        assert [a.name for a in found(host, TAG).assets] == ["b"]
        with pytest.raises(NotFound):
            b"".join(host.read(release, asset))
        host.send(found(host, TAG), sending("a", b"other"))
        assert whole(host, found(host, TAG), "a") == b"other"

    @pytest.mark.parametrize("at", [0, 1, 150_000])
    def test_what_breaks_off_is_not_there_or_replaced(self, host: ReleaseHost, at: int) -> None:
        data = random.Random(at).randbytes(300_000)
        good = sending("a", data)

        class BrokeOff(RoteError):
            pass

        def read(start: int) -> Iterator[bytes]:
            yield data[start:at]
            raise BrokeOff("the source went away")

        release = host.begin(TAG, title="t", notes="n")
        with pytest.raises(BrokeOff):
            host.send(release, msgspec.structs.replace(good, read=read))
        host.send(host.begin(TAG, title="t", notes="n"), good)
        assert [a.name for a in found(host, TAG).assets] == ["a"]
        assert whole(host, found(host, TAG), "a") == data

    @pytest.mark.parametrize("kind", ["shorter", "longer", "other"])
    def test_bytes_that_are_not_what_was_said_are_refused(self, host: ReleaseHost, kind: str) -> None:
        data = random.Random(3).randbytes(200_000)
        wrong = {"shorter": data[:-1], "longer": data + b"!", "other": data[:-1] + bytes([data[-1] ^ 1])}[
            kind
        ]
        good = sending("a", data)
        release = host.begin(TAG, title="t", notes="n")
        with pytest.raises(Changed):
            host.send(release, msgspec.structs.replace(good, read=sending("a", wrong).read))
        host.send(host.begin(TAG, title="t", notes="n"), good)
        assert whole(host, found(host, TAG), "a") == data

    def test_many_are_sent_at_once(self, host: ReleaseHost) -> None:
        chance = random.Random(11)
        files = {f"f{n}": chance.randbytes(chance.randrange(100_000)) for n in range(12)}
        release = host.begin(TAG, title="t", notes="n")
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda f: host.send(release, sending(*f)), files.items()))
        host.send(release, sending(MANIFEST, manifest(TAG, files)))
        host.finish(release, notes="n")
        done = found(host, TAG)
        assert {a.name for a in done.assets} == {*files, MANIFEST}
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(lambda name: whole(host, done, name), files)) == list(files.values())

    def test_the_name_of_another_release_s_asset_is_free(self, host: ReleaseHost) -> None:
        publish(host, "a@v1.0.0", {"f": b"1"})
        publish(host, "a@v2.0.0", {"f": b"2"})
        assert whole(host, found(host, "a@v1.0.0"), "f") == b"1"

    def test_an_asset_that_somebody_deleted_is_not_found(self, host: ReleaseHost, place: Path) -> None:
        publish(host, TAG, {"a": b"one", "b": b"two"})
        before = found(host, TAG)
        self.raw_asset(host, place, TAG, "a", None)
        for client in (host, self.public(host, place)):
            asset = before.asset("a")
            assert asset is not None
            with pytest.raises(NotFound):
                b"".join(client.read(before, asset))
            assert whole(client, before, "b") == b"two"

    def test_an_asset_that_somebody_cut_short_is_told(self, host: ReleaseHost, place: Path) -> None:
        """Never fewer bytes than the asset was said to have, and no silence about it."""
        publish(host, TAG, {"a": b"0123456789"})
        before = found(host, TAG)
        asset = before.asset("a")
        assert asset is not None
        self.raw_asset(host, place, TAG, "a", b"01234")
        with pytest.raises((Corrupt, NotFound)):
            b"".join(host.read(before, asset))

    def test_an_unknown_asset_is_not_found(self, host: ReleaseHost) -> None:
        release = publish(host, TAG, {"a": b"one"})
        with pytest.raises(NotFound):
            b"".join(host.read(release, HostedAsset("nothing", 1, key="0")))

    # channels

    def test_a_channel_is_moved_and_read(self, host: ReleaseHost, place: Path) -> None:
        first = host.move(MODEL, "prod", b'{"seq":1}', None)
        assert first.data == b'{"seq":1}'
        client = self.public(host, place)
        told = client.channel(MODEL, "prod")
        assert told is not None
        assert told.data == b'{"seq":1}'
        assert client.channel(MODEL, "prod", told.etag) is None
        host.move(MODEL, "prod", b'{"seq":2}', host.channel(MODEL, "prod"))
        moved = client.channel(MODEL, "prod", told.etag)
        assert moved is not None
        assert moved.data == b'{"seq":2}'
        assert client.channel(MODEL, "prod", moved.etag) is None

    def test_a_move_begins_where_the_last_one_ended(self, host: ReleaseHost, place: Path) -> None:
        told: Told | None = None
        for seq in range(1, 8):
            told = (host, self.again(host, place))[seq % 2].move(MODEL, "prod", b'{"seq":%d}' % seq, told)
        read = host.channel(MODEL, "prod")
        assert read is not None
        assert read.data == b'{"seq":7}'

    def test_channels_are_kept_apart(self, host: ReleaseHost) -> None:
        names = [(model, alias) for model in ("a", "b") for alias in ("prod", "staging", "prod-eu")]
        for model, alias in names:
            host.move(model, alias, f"{model} {alias}".encode(), None)
        for model, alias in names:
            told = host.channel(model, alias)
            assert told is not None
            assert told.data == f"{model} {alias}".encode()
        with pytest.raises(NotFound):
            host.channel("a", "pro")

    def test_a_move_from_elsewhere_is_refused(self, host: ReleaseHost, place: Path) -> None:
        first = host.move(MODEL, "prod", b'{"seq":1}', None)
        with pytest.raises(Conflict):
            host.move(MODEL, "prod", b'{"seq":1,"by":"another"}', None)
        host.move(MODEL, "prod", b'{"seq":2}', first)
        with pytest.raises(Conflict):
            self.again(host, place).move(MODEL, "prod", b'{"seq":2,"by":"another"}', first)
        told = host.channel(MODEL, "prod")
        assert told is not None
        assert told.data == b'{"seq":2}'

    def test_of_many_moves_at_once_one_wins(self, host: ReleaseHost, place: Path) -> None:
        first = host.move(MODEL, "prod", b'{"seq":1}', None)
        clients = [host, *(self.again(host, place) for _ in range(3))]
        start = threading.Barrier(len(clients))

        def move(n: int) -> bool:
            start.wait(60)
            try:
                clients[n].move(MODEL, "prod", b'{"seq":2,"by":%d}' % n, first)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(len(clients)) as pool:
            won = [n for n, yes in enumerate(pool.map(move, range(len(clients)))) if yes]
        told = host.channel(MODEL, "prod")
        assert told is not None
        assert told.data in [b'{"seq":2,"by":%d}' % n for n in won]
        if self.exact_moves:
            assert len(won) == 1

    def test_a_document_that_is_too_large_is_neither_written_nor_read(
        self, host: ReleaseHost, place: Path
    ) -> None:
        with pytest.raises(Refused):
            host.move(MODEL, "prod", b"x" * (CHANNEL_BYTES + 1), None)
        told = host.move(MODEL, "prod", b"x" * CHANNEL_BYTES, None)
        assert host.channel(MODEL, "prod", told.etag) is None
        self.raw_channel(host, place, MODEL, "prod", b"y" * (CHANNEL_BYTES + 1))
        with pytest.raises(Corrupt):
            self.public(host, place).channel(MODEL, "prod")

    def test_a_channel_is_no_release(self, host: ReleaseHost) -> None:
        host.move(MODEL, "prod", b"{}", None)
        assert host.latest() is None
        assert host.find(TAG) is None
