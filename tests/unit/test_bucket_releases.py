"""The two calls with a folder or a bucket, and no project around them."""

from __future__ import annotations

import pytest

from rote.client import Model
from rote.errors import BadName, Missing, Refused
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


def test_what_is_no_tag_and_what_is_not_there(made, tmp_path):
    bucket = Bucket(str(tmp_path / "site"))
    for tag in ("v1.0.0", "digits", "../x@v1.0.0"):
        with pytest.raises(BadName):
            bucket.publish(tag, made)
    with pytest.raises(Missing):
        bucket.download("digits@v1.0.0", to=tmp_path / "here")
    with pytest.raises(Missing):
        bucket.download("latest", to=tmp_path / "here")


def test_nothing_of_the_client_is_in_the_way(made, tmp_path):
    Bucket(str(tmp_path / "site")).publish("digits@v1.0.0", made)
    model = Model(str(tmp_path / "site"), "digits", cache=tmp_path / "cache")
    with pytest.raises(Missing):  # a version without a channel: nobody said which one applications shall use
        model.path()
