"""Clauses of the contract: what is there, the names of assets, drafts and what is finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.errors import Conflict, NotFound, Refused, UsageError
from rote.ports.hosting import ReleaseHost
from rote.testing.host_contract.parts import (
    HOSTILE_TAGS,
    MODEL,
    PATHS,
    TAG,
    found,
    manifest,
    publish,
    sending,
    whole,
)
from rote.testing.host_contract.place import HostPlace
from rote.words.publication import MANIFEST


class ReleaseClauses(HostPlace):
    """One test a clause."""

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
