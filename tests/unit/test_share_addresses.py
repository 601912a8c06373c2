"""Addresses of shares, what opendal is told of them, and what is said where it is not installed. Google Drive and Dropbox
cannot be reached from tests: their operators are made, and never used."""

from __future__ import annotations

import sys

import pytest

from rote.adapters.stores import address, locations
from rote.adapters.stores.shares.drive import DriveFiles, configuration
from rote.errors import MissingExtra, NotFound, StoreFull, StoreUnavailable, Unknown, UsageError
from servers.canned import canned

REFRESH = {
    "GDRIVE_REFRESH_TOKEN": "canary-r",
    "GDRIVE_CLIENT_ID": "canary-i",
    "GDRIVE_CLIENT_SECRET": "canary-s",
}
DROPBOX = {name.replace("GDRIVE", "DROPBOX"): value for name, value in REFRESH.items()}


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("webdav://cloud.example.org/remote.php/dav/files/team/rote", "webdav://cloud.example.org/remote.php/dav/files/team/rote"),
        ("webdav://nas:5005/home/rote/?tls=false", "webdav://nas:5005/home/rote?tls=false"),
        ("sftp://box/srv/rote", "sftp://box/srv/rote"),
        ("sftp://ann@box.example.org:2222/~/rote/", "sftp://ann@box.example.org:2222/~/rote"),
        ("sftp://[::1]:22/srv/rote", "sftp://[::1]:22/srv/rote"),
        ("gdrive://rote/project", "gdrive://rote/project"),
        ("dropbox://rote", "dropbox://rote"),
    ],
)  # fmt: skip
def test_an_address(url: str, canonical: str) -> None:
    assert address.canonical(url) == canonical
    assert address.canonical(canonical) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "webdav://u:canary-7@h/x", "webdav://u@h/x", "sftp://u:canary-7@h/x", "webdav://h/x?password=canary-7",
        "gdrive://f?access_token=canary-7", "dropbox://canary-7@f",
    ],
)  # fmt: skip
def test_a_secret_in_an_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        address.at(url, environ={})
    assert "canary" not in " ".join(caught.value.lines())


@pytest.mark.parametrize(
    "url",
    [
        "webdav://h", "webdav:///x", "sftp://h", "sftp://h/~/", "sftp://-oProxyCommand=x/y", "sftp://-x/y", "sftp://a@-x/y",
        "sftp://h/a b", "sftp://h/../x", "sftp://h/~bob/x", "webdav://h/~/x", "gdrive://", "dropbox:///x", "webdav://h/x?tls=maybe",
        "webdav://h/x?tsl=false", "sftp://h:x/y",
    ],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError):
        address.at(url, environ={**REFRESH})


@pytest.mark.parametrize(
    ("typed", "meant"), [("ssh://h/x", "sftp"), ("davs://h/x", "webdav"), ("scp://h/x", "sftp")]
)
def test_a_near_miss_is_told(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        address.at(typed)
    assert caught.value.next == f"write {meant}://"


class TestWhatOpendalIsTold:
    def test_webdav(self) -> None:
        env = {"WEBDAV_USERNAME": "u", "WEBDAV_PASSWORD": "p"}
        place = locations.parse("webdav://nas:5006/home/rote")
        assert configuration(place, env) == {
            "endpoint": "https://nas:5006", "root": "/home/rote/", "username": "u", "password": "p",
        }  # fmt: skip
        place = locations.parse("webdav://nas/x?tls=false")
        assert configuration(place, {"WEBDAV_TOKEN": "t"}) == {
            "endpoint": "http://nas",
            "root": "/x/",
            "token": "t",
        }

    def test_google_drive(self) -> None:
        place = locations.parse("gdrive://rote/project")
        assert configuration(place, REFRESH) == {
            "root": "/rote/project/", "refresh_token": "canary-r", "client_id": "canary-i", "client_secret": "canary-s",
        }  # fmt: skip
        assert configuration(place, {"GDRIVE_ACCESS_TOKEN": "a", "GDRIVE_CLIENT_ID": "i"}) == {
            "root": "/rote/project/", "access_token": "a",
        }  # fmt: skip

    def test_dropbox(self) -> None:
        assert configuration(locations.parse("dropbox://rote"), DROPBOX)["root"] == "/rote/"

    @pytest.mark.parametrize(("url", "env"), [("gdrive://rote", REFRESH), ("dropbox://rote/x", DROPBOX)])
    def test_a_store_is_made_and_shows_no_secret(self, url: str, env: dict[str, str]) -> None:
        store = address.at(url, environ=env)
        assert store.url == url
        assert "canary" not in repr(store) + repr(vars(store))

    @pytest.mark.parametrize("scheme", ["gdrive", "dropbox"])
    def test_credentials_that_are_not_all_there(self, scheme: str) -> None:
        for env in ({}, {f"{scheme.upper()}_REFRESH_TOKEN": "canary-r"}):
            with pytest.raises(UsageError) as caught:
                address.at(f"{scheme}://rote", environ=env)
            assert f"{scheme.upper()}_REFRESH_TOKEN" in (caught.value.next or "")
            assert "canary" not in " ".join(caught.value.lines())

    def test_without_opendal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [n for n in sys.modules if n.partition(".")[0] == "opendal"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "opendal", None)
        with pytest.raises(MissingExtra) as caught:
            address.at("webdav://h/x", environ={})
        assert caught.value.next == "pip install 'rote[opendal]'"

    def test_ssh_needs_no_opendal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "opendal", None)
        assert address.at("sftp://h/x", environ={}).url == "sftp://h/x"


@pytest.mark.parametrize(
    ("status", "write", "kind", "retry"),
    [
        (401, False, StoreUnavailable, False), (403, True, StoreUnavailable, False), (429, True, StoreUnavailable, True),
        (503, False, StoreUnavailable, True), (507, True, StoreFull, True), (500, True, Unknown, True), (502, False, StoreUnavailable, True),
        (405, False, StoreUnavailable, False), (400, False, StoreUnavailable, False),
    ],
)  # fmt: skip
def test_what_a_server_says(status: int, write: bool, kind: type[Exception], retry: bool) -> None:
    with canned(status) as url:
        place = locations.parse(f"webdav://{url.partition('://')[2]}/x?tls=false")
        files = DriveFiles(place, {"WEBDAV_USERNAME": "u", "WEBDAV_PASSWORD": "canary-p"})
        with (
            pytest.raises(kind) as caught,
            files._told("writing a" if write else "reading a", "a", write=write),
        ):
            files._operator.delete("a") if write else files._operator.read("a")
    told = " ".join(caught.value.lines())  # type: ignore[attr-defined]  # all are errors of rote's
    assert "canary" not in told
    assert "secret-words" not in told
    assert caught.value.retry == retry  # type: ignore[attr-defined]


def test_what_is_not_there() -> None:
    with canned(404) as url:
        store = address.at(f"webdav://{url.partition('://')[2]}/x?tls=false", environ={})
        with pytest.raises(NotFound):
            store.get("a")
