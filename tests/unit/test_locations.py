"""Addresses of clouds: one spelling each, and no secret in any of them."""

from __future__ import annotations

import pytest

from rote.adapters.stores import address, locations
from rote.adapters.stores.cloud import profiles
from rote.errors import StoreUnavailable, UsageError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://b", "s3://b"),
        ("S3://b/", "s3://b"),
        ("s3://b/p/q/", "s3://b/p/q"),
        ("s3://b/p?region=eu&endpoint=https://h:1", "s3://b/p?endpoint=https://h:1&region=eu"),
        ("gs://b/p", "gs://b/p"),
        ("az://c/p?account=me", "az://c/p?account=me"),
        ("https://host:8443/a/b", "https://host:8443/a/b"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1:80/a"),
        ("http://localhost/a", "http://localhost/a"),
    ],
)
def test_one_spelling(url: str, shown: str) -> None:
    assert locations.parse(url).url == shown
    assert address.canonical(url) == shown
    assert locations.parse(shown) == locations.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3:///p", "s3://a b/p", "s3://b/../p", "s3://b/.p", "s3://b/a//b", "s3://b/" + "x" * 121, "s3://b?x=1",
        "s3://b?path-style=", "s3://b?endpoint=ftp://h", "s3://b?endpoint=https://h h", "s3://k:s@b", "https://u:p@h/",
        "http://example.org", "http://localhost.example.org", "http://127.0.0.1.example.org", "s3://b?token=1", "swift://b",
    ],
)  # fmt: skip
def test_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        locations.parse(url)
    assert caught.value.next


@pytest.fixture
def aws(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = A1\naws_secret_access_key = S1\n[team]\naws_access_key_id = A2\n"
        "aws_secret_access_key = S2\naws_session_token = T2\n"
    )
    (tmp_path / ".aws/config").write_text(
        "[default]\nregion = eu-west-1\n[profile team]\nregion = us-west-2\nendpoint_url = https://minio\n"
        "[profile single]\nsso_session = x\n"
    )
    return tmp_path


def test_profiles(aws) -> None:
    home = {"HOME": str(aws)}
    default = profiles.read(None, home)
    assert (default.region, default.keys) == ("eu-west-1", {"access_key_id": "A1", "secret_access_key": "S1"})
    for team in (profiles.read("team", home), profiles.read(None, {**home, "AWS_PROFILE": "team"})):
        assert (team.region, team.endpoint, team.keys["token"]) == ("us-west-2", "https://minio", "T2")
        assert "S2" not in repr(team)
    with pytest.raises(UsageError, match="temm") as caught:
        profiles.read("temm", home)
    assert "team" in str(caught.value.next)


def test_no_profile_is_no_trouble(tmp_path) -> None:
    assert profiles.read(None, {"HOME": str(tmp_path)}) == profiles.Profile()


def test_a_profile_that_boto3_must_read(aws, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(StoreUnavailable) as caught:
        profiles.read("single", {"HOME": str(aws)})
    assert "pip install boto3" in str(caught.value.next)
    assert not caught.value.retry


def test_a_damaged_file_is_named_and_not_quoted(aws) -> None:
    (aws / ".aws/credentials").write_text("aws_secret_access_key = S1\n")
    with pytest.raises(UsageError) as caught:
        profiles.read(None, {"HOME": str(aws)})
    assert "credentials" in str(caught.value)
    assert "S1" not in "".join(caught.value.lines())
    assert caught.value.__cause__ is None
