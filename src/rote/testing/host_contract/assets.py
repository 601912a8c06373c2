"""Clauses of the contract: sending and reading."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from rote.errors import Changed, Conflict, Corrupt, NotFound, RoteError
from rote.ports.hosting import HostedAsset, ReleaseHost
from rote.testing.host_contract.parts import (
    TAG,
    found,
    manifest,
    publish,
    sending,
    whole,
)
from rote.testing.host_contract.place import HostPlace
from rote.words.publication import MANIFEST


class AssetClauses(HostPlace):
    """One test a clause."""

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
