"""A model repository at the Hugging Face Hub passes the contract of ReleaseHost: the real huggingface_hub at a server on
loopback that answers as the Hub does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rote.adapters.targets.bucket import channel_key
from rote.adapters.targets.hub import HubHost, host
from rote.errors import Corrupt, Refused, StoreUnavailable, UsageError
from rote.laws.publishing.releasetags import parse
from rote.ports.hosting import ReleaseHost
from rote.testing.host_contract import HostContract
from rote.testing.host_contract.parts import MODEL, TAG, found, manifest, publish, sending, whole
from rote.words.publication import MANIFEST
from servers.forge import Answer, Request
from servers.hub import TOKEN, Hub

BELOW = "models/keyboard/published/1.0.0/"


def hosted(server: Hub, token: str | None = TOKEN) -> HubHost:
    return HubHost(server.repo, endpoint=server.url, token=token)


@pytest.fixture
def hub(tmp_path: Path):
    with Hub(tmp_path / "hub") as server:
        yield server
        assert server.wrong == []


class TestHub(HostContract):
    @pytest.fixture(autouse=True)
    def server(self, hub: Hub):
        self.hub = hub

    def make(self, place: Path) -> ReleaseHost:
        return hosted(self.hub)

    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return hosted(self.hub)

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return hosted(self.hub, token=None)

    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        model, version = parse(tag)
        self.hub.put(f"models/{model}/published/{version}/{name}", data)

    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        self.hub.put(channel_key(model, alias), data)


class TestHubWithAllInLfs(TestHub):
    """A repository whose .gitattributes puts every file into LFS, channels too."""

    def make(self, place: Path) -> ReleaseHost:
        self.hub.lfs = ["*"]
        return hosted(self.hub)


def test_a_version_is_one_commit_on_main_and_a_tag(hub: Hub) -> None:
    before = len(hub.commits)
    main = hub.branches["main"]
    release = hosted(hub).begin(TAG, title="keyboard 1.0.0", notes="n")
    files = {"model.onnx": b"weights" * 1000, "labels.txt": b"a\nb\n"}
    for name, data in files.items():
        hosted(hub).send(release, sending(name, data))
    hosted(hub).send(release, sending(MANIFEST, manifest(TAG, files)))
    assert hub.branches["main"] == main
    done = hosted(hub).finish(release, notes="what is new")
    assert hub.tags == {TAG: hub.branches["main"]}
    assert list(hub.branches) == ["main"]
    assert len(hub.commits) == before + len(files) + 2
    tree = hub.commits[hub.tags[TAG]]
    assert set(tree) == {BELOW + name for name in (*files, MANIFEST, "rote-notes.md")}
    assert tree[BELOW + "model.onnx"].sha256 == hashlib.sha256(files["model.onnx"]).hexdigest()
    assert tree[BELOW + "labels.txt"].sha256 == ""
    assert done.page == f"{hub.url}/owner/name/tree/main/models/keyboard/published/1.0.0"


def readme(hub: Hub) -> str | None:
    """The README.md on `main`."""
    blob = hub.commits[hub.branches["main"]].get("README.md")
    return hub.blobs[blob.oid].decode() if blob else None


def with_card(hub: Hub) -> HubHost:
    """A host that gives every version a card with front matter."""
    return HubHost(
        hub.repo, endpoint=hub.url, token=TOKEN, card=lambda tag: f"---\ntags:\n- rote\n---\n\n# {tag}\n"
    )


def test_the_card_is_the_first_page_of_a_repository_that_has_none(hub: Hub) -> None:
    """In the version's own commit; that of a higher version takes its place, and never that of another model."""
    before = len(hub.commits)
    publish(with_card(hub), TAG, {"a": b"a"})
    assert len(hub.commits) == before + 3  # a file, the manifest, and one on `main`
    assert "# keyboard@v1.0.0" in (readme(hub) or "")
    publish(with_card(hub), "keyboard@v1.1.0", {"a": b"b"})
    assert "# keyboard@v1.1.0" in (readme(hub) or "")
    publish(with_card(hub), "keyboard@v1.0.1", {"a": b"c"})
    publish(with_card(hub), "mouse@v2.0.0", {"a": b"d"})
    publish(hosted(hub), "keyboard@v1.2.0", {"a": b"e"})
    assert "# keyboard@v1.1.0" in (readme(hub) or "")


@pytest.mark.parametrize("change", ["written by hand", "changed by hand", "far too large", "no text"])
def test_a_first_page_of_somebody_else_stays(hub: Hub, change: str) -> None:
    publish(with_card(hub), TAG, {"a": b"a"})
    ours = (readme(hub) or "").encode()
    theirs = {
        "written by hand": b"# Mine\n",
        "changed by hand": ours.replace(b"# keyboard", b"# Our keyboard"),
        "far too large": b"x" * (1 << 20) + ours,
        "no text": b"\xff\n<!-- rote card keyboard \xff " + b"0" * 64 + b" -->\n",
    }[change]
    hub.put("README.md", theirs)
    publish(with_card(hub), "keyboard@v1.1.0", {"a": b"b"})
    blob = hub.commits[hub.branches["main"]]["README.md"]
    assert hub.blobs[blob.oid] == theirs


def test_a_card_that_the_hub_refuses_holds_up_no_version(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.refuses = "this licence"
    assert not publish(with_card(hub), TAG, {"a": b"a"}).draft
    assert readme(hub) is None
    assert "this licence is not allowed" in caplog.text


def test_large_files_are_sent_once_and_led_to_without_the_token(hub: Hub) -> None:
    data = b"w" * 100_000
    publish(hosted(hub), "a@v1.0.0", {"m.onnx": data})
    publish(hosted(hub), "a@v1.0.1", {"m.onnx": data})
    assert len(hub.requests(of="files", method="PUT")) == 1
    release = found(hosted(hub), "a@v1.0.1")
    hub.forget()
    assert whole(hosted(hub), release, "m.onnx") == data
    assert [r.token for r in hub.requests()] == [TOKEN]
    assert [r.token for r in hub.requests(of="files")] == [""]


@pytest.mark.parametrize("honours", [True, False], ids=["304", "the document again"])
def test_a_poll_is_one_request(hub: Hub, honours: bool) -> None:
    hub.honours_etags = honours
    one = hosted(hub)
    told = one.move(MODEL, "prod", b'{"seq":1}', None)
    hub.forget()
    assert one.channel(MODEL, "prod", told.etag) is None
    assert [(r.method, r.path) for r in hub.requests()] == [
        ("GET", "/owner/name/resolve/main/models/keyboard/aliases/prod")
    ]


def test_what_the_repository_ignores_is_published(hub: Hub) -> None:
    hub.gitignore = ["*"]
    publish(hosted(hub), TAG, {"a.txt": b"one"})
    assert whole(hosted(hub), found(hosted(hub), TAG), "a.txt") == b"one"
    hosted(hub).move(MODEL, "prod", b"{}", None)
    assert hosted(hub).channel(MODEL, "prod") is not None


def test_a_file_that_was_lost_is_sent_again(hub: Hub) -> None:
    one = hosted(hub)
    publish(one, TAG, {"a.txt": b"one"})
    hub.put(BELOW + "a.txt", None)
    release = found(one, TAG)
    assert release.asset("a.txt") is None
    one.send(release, sending("a.txt", b"one"))
    assert whole(one, found(one, TAG), "a.txt") == b"one"


def test_a_move_whose_reply_is_lost_was_made(hub: Hub) -> None:
    def lose(request: Request, answer: Answer) -> Answer | None:
        if "/commit/" in request.path:
            hub.after.clear()
            return Answer(200, cut=-1)
        return None

    hub.after.append(lose)
    told = hosted(hub).move(MODEL, "prod", b'{"seq":1}', None)
    assert hub.after == []
    assert hosted(hub).channel(MODEL, "prod", told.etag) is None


@pytest.mark.parametrize(
    ("what", "which"), [("/branch/", 1), ("/branch/", 2), ("/commit/", 1), ("/commit/", 3), ("/tag/", 1)]
)
def test_whose_reply_is_lost_goes_on(hub: Hub, what: str, which: int) -> None:
    seen = []

    def lose(request: Request, answer: Answer) -> Answer | None:
        if what in request.path:
            seen.append(request.method)
        return Answer(200, cut=-1) if what in request.path and len(seen) == which else None

    hub.after.append(lose)
    try:
        publish(hosted(hub), TAG, {"a": b"one"})
    except StoreUnavailable:
        there = hosted(hub).find(TAG)
        if there is None or there.draft:
            publish(hosted(hub), TAG, {"a": b"one"})
        else:
            hosted(hub).finish(there, notes="notes")
    assert len(seen) >= which
    assert whole(hosted(hub), found(hosted(hub), TAG), "a") == b"one"
    assert (list(hub.tags), list(hub.branches)) == ([TAG], ["main"])


def test_a_tag_that_was_not_set_is_set_by_the_next(hub: Hub) -> None:
    def refuse(request: Request) -> Answer | None:
        return Answer(503) if "/tag/" in request.path else None

    hub.before.append(refuse)
    with pytest.raises(StoreUnavailable):
        publish(hosted(hub), TAG, {"a": b"one"})
    hub.before.clear()
    release = found(hosted(hub), TAG)
    assert not release.draft
    hosted(hub).finish(release, notes="n")
    assert list(hub.tags) == [TAG]
    assert list(hub.branches) == ["main"]


@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_who_may_not_write_is_told_what_to_do(hub: Hub, token: str | None) -> None:
    with pytest.raises(Refused, match="refused access") as caught:
        hosted(hub, token).begin(TAG, title="t", notes="n")
    assert "HF_TOKEN" in (caught.value.next or "")
    assert "hf_wrong" not in str(caught.value)
    assert list(hub.branches) == ["main"]


def test_a_repository_that_is_private_is_read_with_the_token(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", private=True) as hub:
        publish(hosted(hub), TAG, {"a": b"one"})
        assert whole(hosted(hub), found(hosted(hub), TAG), "a") == b"one"
        with pytest.raises(Refused):
            hosted(hub, token=None).find(TAG)
        assert hub.wrong == []


def test_a_download_that_breaks_off_is_told(hub: Hub) -> None:
    publish(hosted(hub), TAG, {"a.onnx": b"w" * 50_000})
    release = found(hosted(hub), TAG)

    def cut(request: Request, answer: Answer) -> Answer | None:
        answer.cut = 100 if request.server == "files" else None
        return None

    hub.after.append(cut)
    with pytest.raises((StoreUnavailable, Corrupt)):
        whole(hosted(hub), release, "a.onnx")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub") as hub:
        gone = hosted(hub)
    with pytest.raises(StoreUnavailable):
        gone.channel(MODEL, "prod")


def test_the_token_is_that_of_the_environment(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    made = host(hub.repo, {"HF_ENDPOINT": hub.url + "/", "HF_TOKEN": TOKEN})
    assert made.url == "hf:owner/name"
    publish(made, TAG, {"a": b"one"})
    assert {r.token for r in hub.requests()} == {TOKEN}
    assert TOKEN not in repr(made)


def test_a_token_goes_over_https_only() -> None:
    with pytest.raises(UsageError, match="https"):
        host("owner/name", {"HF_ENDPOINT": "http://hub.example.org", "HF_TOKEN": TOKEN})
