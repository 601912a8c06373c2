"""The two calls with a folder or a bucket, and no project around them."""

from __future__ import annotations

import pytest

from rote.adapters.clock import SystemClock
from rote.client import Model
from rote.errors import BadName, Corrupt, Missing, Refused
from rote.releases import Bucket


@pytest.fixture
def made(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights" * 50_000)
    (tmp_path / "labels.txt").write_text("a\nb\n")
    return [tmp_path / "model.bin", tmp_path / "labels.txt"]


def test_there_and_back(made, tmp_path):
    bucket = Bucket(str(tmp_path / "site"))
    done = bucket.publish("digits@v1.0.0", made, notes="# The first")
    assert (done.created, done.sent) == (True, 2)
    again = bucket.publish("digits@v1.0.0", made)
    assert (again.created, again.sent) == (False, 0)
    got = Bucket(str(tmp_path / "site")).download("digits@v1.0.0", to=tmp_path / "here")
    assert sorted(got.files) == ["labels.txt", "model.bin"]
    assert (tmp_path / "here" / "model.bin").read_bytes() == made[0].read_bytes()
    only = bucket.download("digits@v1.0.0", to=tmp_path / "one", files=["labels.txt"])
    assert only.files == ["labels.txt"]
    assert (
        (tmp_path / "site/models/digits/published/1.0.0/rote-notes.md").read_text().startswith("# The first")
    )


def test_other_files_under_one_tag(made, tmp_path):
    bucket = Bucket(str(tmp_path / "site"))
    bucket.publish("digits@v1.0.0", made)
    made[1].write_text("c\n")
    with pytest.raises(Refused):
        bucket.publish("digits@v1.0.0", made)
    bucket.publish("digits@v1.0.1", made)
    for tag in ("digits@v1.0.0", "digits@v1.0.1"):
        bucket.download(tag, to=tmp_path / tag)
    assert (tmp_path / "digits@v1.0.0" / "labels.txt").read_text() == "a\nb\n"
    assert (tmp_path / "digits@v1.0.1" / "labels.txt").read_text() == "c\n"


@pytest.mark.parametrize("tag", ["v1.0.0", "release/2026-11", "nightly", "digits@v1", "a#b+c=d"])
def test_any_tag(made, tmp_path, tag):
    site = tmp_path / "site"
    assert Bucket(str(site)).publish(tag, made, notes="new").created
    assert not Bucket(str(site)).publish(tag, made).created
    got = Bucket(str(site)).download(tag, to=tmp_path / "here")
    assert sorted(got.files) == ["labels.txt", "model.bin"]
    assert (tmp_path / "here" / "model.bin").read_bytes() == made[0].read_bytes()
    assert Bucket(str(site)).download(to=tmp_path / "here").tag == tag
    made[1].write_text("c\n")
    with pytest.raises(Refused, match="with other files"):
        Bucket(str(site)).publish(tag, made)


def test_the_latest_is_the_one_that_was_published_last(made, tmp_path, monkeypatch):
    moments = iter(range(1_800_000_000, 1_900_000_000, 60))
    monkeypatch.setattr(SystemClock, "now", lambda self: float(next(moments)))
    bucket = Bucket(str(tmp_path / "site"))
    for tag in ("v2.0.0", "digits@v9.0.0", "v10.0.0", "v1.9.0"):
        bucket.publish(tag, made)
        assert bucket.download(to=tmp_path / "here").tag == tag
    bucket.publish("v10.0.0", made)
    assert bucket.download(to=tmp_path / "here").tag == "v1.9.0"


def test_what_somebody_changed_is_told_to_who_publishes_it_again(made, tmp_path):
    site = tmp_path / "site"
    Bucket(str(site)).publish("v1.0.0", made)
    changed = site / "releases/v1.0.0/model.bin"
    changed.chmod(0o644)
    with changed.open("ab") as file:
        file.write(b"more")
    with pytest.raises(Missing, match="somebody changed the release"):
        Bucket(str(site)).download("v1.0.0", to=tmp_path / "here")
    with pytest.raises(Corrupt, match="350,004 bytes there, not 350,000") as told:
        Bucket(str(site)).publish("v1.0.0", made)
    assert "delete it there" in told.value.next
    changed.unlink()
    assert Bucket(str(site)).publish("v1.0.0", made).sent == 1
    Bucket(str(site)).download("v1.0.0", to=tmp_path / "here")


@pytest.mark.parametrize("tag", ["v1.0.0", "digits@v1.0.0"])
def test_a_draft_that_was_left_before_the_list_of_files_goes_on(made, tmp_path, tag):
    """Without the list there is no release; the next attempt takes up what lies there."""
    site = tmp_path / "site"
    Bucket(str(site)).publish(tag, made)
    (listed,) = site.rglob("rote-*.json")
    listed.unlink()
    with pytest.raises(Missing):
        Bucket(str(site)).download(tag, to=tmp_path / "here")
    made[1].write_text("other\n")
    with pytest.raises(Refused, match="left other bytes there"):
        Bucket(str(site)).publish(tag, made)
    assert Bucket(str(site)).publish(tag, made, fresh=True).created
    Bucket(str(site)).download(tag, to=tmp_path / "here")
    assert (tmp_path / "here" / "labels.txt").read_text() == "other\n"


def test_what_is_no_tag_and_what_is_not_there(made, tmp_path):
    bucket = Bucket(str(tmp_path / "site"))
    for tag in ("digits@prod", "a b", "../x@v1.0.0", "ü" * 100):
        with pytest.raises(BadName):
            bucket.publish(tag, made)
    with pytest.raises(Missing, match="no folder"):
        bucket.download("digits@v1.0.0", to=tmp_path / "here")
    assert not (tmp_path / "site").exists()
    with pytest.raises(BadName, match="newest"):
        bucket.publish("latest", made)
    bucket = Bucket(str(tmp_path / "site"))
    with pytest.raises(Missing):
        bucket.download("digits@v1.0.0", to=tmp_path / "here")
    with pytest.raises(Missing):
        bucket.download("latest", to=tmp_path / "here")


def test_nothing_of_the_client_is_in_the_way(made, tmp_path):
    Bucket(str(tmp_path / "site")).publish("digits@v1.0.0", made)
    model = Model(str(tmp_path / "site"), "digits", cache=tmp_path / "cache")
    with pytest.raises(Missing):  # a version without a channel: nobody said which one applications shall use
        model.path()
