"""Data from outside: what is fetched, what is asked, what is refused, and what a cut leaves. The clock is held."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import rote
from rote.errors import (
    BadPath,
    Changed,
    ConfigError,
    Missing,
    RoteError,
    SourceUnavailable,
    Unsaved,
    UsageError,
)
from rote.laws.data import sourcelist
from rote.laws.data.sourcelist import SourceItem
from rote.ports import Silence
from rote.testing.clock import StillClock
from rote.wiring.parts import Wiring
from rote.wiring.project import Project
from rote.words.pointer import Pointer, parse
from servers.site import Site

BIG = random.Random(5).randbytes(3_000_000)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    rote.init(".")
    return opened(root)


def opened(root: Path) -> Project:
    wiring = Wiring(str(root), store=None, progress=Silence(), cwd=str(root))
    wiring.__dict__["clock"] = StillClock()
    return Project(str(root), wiring=wiring)


def pointer(project: Project, path: str) -> Pointer:
    return parse((project.root / f"{path}.rote").read_text(), path)


class TestTheWeb:
    def test_a_file_is_fetched_and_its_source_recorded(self, project: Project, site: Site) -> None:
        url = site.put("/data/big.bin", BIG, etag='"one"')
        added = project.add("in/big.bin", source=url)[0]
        assert (project.root / "in/big.bin").read_bytes() == BIG
        assert (added.path, added.changed, added.saved, added.ref.size) == (
            "in/big.bin",
            True,
            True,
            len(BIG),
        )
        said = pointer(project, "in/big.bin").source
        assert said is not None
        assert (said.url, said.etag, said.list) == (url, '"one"', None)
        assert said.time.endswith("Z")
        assert site.since() == ["HEAD", "GET"]
        assert project.status().clean

    def test_the_name_comes_from_the_address(self, project: Project, site: Site) -> None:
        assert project.add(source=site.put("/a%20b/c%20d.csv?x=1", b"1"))[0].path == "c d.csv"

    def test_nothing_new_is_one_request_without_a_body(self, project: Project, site: Site) -> None:
        project.add("x", source=site.put("/x", BIG))
        site.since()
        before, text = site.sent, (project.root / "x.rote").read_bytes()
        done = project.update()
        assert [(d.path, d.state) for d in done] == [("x", "unchanged")]
        assert site.since() == ["HEAD"]
        assert site.sent == before
        assert (project.root / "x.rote").read_bytes() == text

    def test_what_changed_is_fetched_once(self, project: Project, site: Site) -> None:
        project.add("x", source=site.put("/x", b"one"))
        site.put("/x", b"two!")
        looked = project.update("x", dry_run=True)[0]
        assert (looked.state, looked.changed, looked.bytes) == ("changed", ["file"], 4)
        assert (project.root / "x").read_bytes() == b"one"
        done = project.update("x.rote")[0]
        assert (done.state, done.changed, done.bytes) == ("changed", ["file"], 4)
        assert (project.root / "x").read_bytes() == b"two!"
        assert project.update()[0].state == "unchanged"
        assert project.status().clean

    def test_a_new_etag_over_the_same_bytes(self, project: Project, site: Site) -> None:
        first = project.add("x", source=site.put("/x", b"one", etag='"1"'))[0]
        site.put("/x", b"one", etag='"2"')
        assert project.update()[0].state == "same"
        assert pointer(project, "x").snapshot == first.ref.id
        assert project.update()[0].state == "unchanged"

    def test_a_server_that_knows_dates_only(self, project: Project, site: Site) -> None:
        date = "Sat, 21 Nov 2026 10:44:34 GMT"
        project.add("x", source=site.put("/x", b"one", etag="", modified=date))
        said = pointer(project, "x").source
        assert said is not None
        assert said.etag == f"modified {date}"
        site.since()
        assert project.update()[0].state == "unchanged"
        assert site.since() == ["HEAD"]

    def test_a_server_that_knows_nothing_is_fetched_each_time(self, project: Project, site: Site) -> None:
        project.add("x", source=site.put("/x", b"one", etag=""))
        assert project.update()[0].state == "same"
        site.put("/x", b"two", etag="")
        assert project.update()[0].state == "changed"
        assert (project.root / "x").read_bytes() == b"two"

    def test_a_server_without_head(self, project: Project, site: Site) -> None:
        project.add("x", source=site.put("/x", b"one", head=False))
        site.since()
        assert project.update()[0].state == "unchanged"
        assert site.since() == ["HEAD", "GET"]

    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_fetch_that_is_cut_goes_on(self, project: Project, site: Site, ranges: bool) -> None:
        site.cut = lambda number: 1_000_000 if number <= 2 else None
        project.add("x", source=site.put("/x", BIG, ranges=ranges))
        assert (project.root / "x").read_bytes() == BIG
        assert site.sent == (len(BIG) if ranges else 2_000_000 + len(BIG))

    def test_a_fetch_that_was_given_up_goes_on_when_typed_again(self, project: Project, site: Site) -> None:
        site.cut = lambda number: 1_000_000 if number == 1 else 0
        url = site.put("/x", BIG)
        with pytest.raises(SourceUnavailable) as caught:
            project.add("x", source=url)
        assert caught.value.retry
        assert sorted(p.name for p in project.root.iterdir() if p.name[0] != ".") == ["rote.yaml"]
        site.cut, before = lambda number: None, site.sent
        opened(project.root).add("x", source=url)
        assert site.sent - before == len(BIG) - 1_000_000
        assert (project.root / "x").read_bytes() == BIG
        assert not (project.root / ".rote/cache/intake").exists() or not any(
            (project.root / ".rote/cache/intake").iterdir()
        )

    def test_a_file_that_changes_on_the_way_is_begun_anew(self, project: Project, site: Site) -> None:
        url = site.put("/x", BIG)

        def cut(number: int) -> int | None:
            if number == 1:
                site.put("/x", BIG[::-1])
                return 1_000_000
            return None

        site.cut = cut
        project.add("x", source=url)
        assert (project.root / "x").read_bytes() == BIG[::-1]

    def test_a_file_that_never_rests(self, project: Project, site: Site) -> None:
        url = site.put("/x", b"0" * 100)

        def cut(number: int) -> int:
            site.put("/x", str(number).encode() * 100)
            return 50

        site.cut = cut
        with pytest.raises(Changed):
            project.add("x", source=url)
        assert not (project.root / "x").exists()

    def test_a_redirect_is_followed_and_not_recorded(self, project: Project, site: Site) -> None:
        target = site.put("/real?X-Amz-Signature=secret", b"one")
        url = site.put("/x", b"", redirect=target)
        project.add("x", source=url)
        assert (project.root / "x").read_bytes() == b"one"
        assert "secret" not in (project.root / "x.rote").read_text()

    @pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
    def test_a_redirect_elsewhere_is_refused(self, project: Project, site: Site, to: str) -> None:
        with pytest.raises(SourceUnavailable):
            project.add("x", source=site.put("/x", b"", redirect=to))
        assert not (project.root / "x").exists()

    def test_a_login_comes_from_netrc_and_goes_to_its_host_only(
        self, project: Project, site: Site, tmp_path: Path
    ) -> None:
        netrc = tmp_path / ".netrc"
        url = site.put("/x", b"one", login="me:canary-7")
        with pytest.raises(SourceUnavailable) as caught:
            project.add("x", source=url)
        assert ".netrc" in (caught.value.next or "")
        netrc.write_text("machine 127.0.0.1 login me password canary-7\n")
        project.add("x", source=url)
        with Site() as other:
            there = other.put("/y", b"two").replace("127.0.0.1", "localhost")
            project.add("y", source=site.put("/r", b"", redirect=there))
            assert other.logins
            assert not any(other.logins)
        for file in project.root.rglob("*"):
            assert not file.is_file() or b"canary-7" not in file.read_bytes(), file

    def test_a_damaged_netrc_is_not_quoted(self, project: Project, site: Site, tmp_path: Path) -> None:
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 canary-7 x\n")
        with pytest.raises(SourceUnavailable) as caught:
            project.add("x", source=site.put("/x", b"one"))
        assert "canary-7" not in " ".join(caught.value.lines())

    @pytest.mark.parametrize(
        ("status", "word"),
        [(404, "nothing at this address"), (403, "does not let us"), (503, "busy"), (418, "418")],
    )
    def test_what_a_server_refuses(self, project: Project, site: Site, status: int, word: str) -> None:
        with pytest.raises(SourceUnavailable, match=word) as caught:
            project.add("x", source=site.put("/x", b"", status=status))
        assert caught.value.safe
        assert caught.value.next
        assert caught.value.retry == (status == 503)

    def test_where_nothing_answers(self, project: Project, site: Site) -> None:
        with pytest.raises(SourceUnavailable, match="connection failed"):
            project.add("x", source="http://127.0.0.1:1/x")

    def test_a_body_that_is_packed_is_refused(self, project: Project, site: Site) -> None:
        with pytest.raises(SourceUnavailable, match="packed"):
            project.add("x", source=site.put("/x", b"one", packed="gzip"))

    @pytest.mark.parametrize(
        "url",
        [
            "https://me:canary-7@h/x", "https://canary-7@h/x", "https://h/x?token=canary-7", "https://h/x?sig=canary-7",
            "https://h/x?X-Amz-Credential=canary-7", "s3://canary-7@b/x", "s3://b/x?secret_key=canary-7",
            "az://c/x?sas=canary-7", "https://h/x?api_key=canary-7", "https://h/x?AWSAccessKeyId=canary-7",
        ],
    )  # fmt: skip
    def test_an_address_with_a_secret_is_refused_without_it(self, project: Project, url: str) -> None:
        with pytest.raises(UsageError) as caught:
            project.add("x", source=url)
        assert "canary-7" not in " ".join(caught.value.lines())

    @pytest.mark.parametrize(
        "url",
        ["", "ftp://h/x", "https://", "https://h:x/y", "https://h/a b", "file://other/x", "http://h/\n"],
    )
    def test_what_is_no_address(self, project: Project, url: str) -> None:
        with pytest.raises(UsageError):
            project.add("x", source=url)

    def test_of_several_one_that_fails_keeps_nobody(self, project: Project, site: Site) -> None:
        project.add("a", source=site.put("/a", b"1"))
        project.add("b", source=site.put("/b", b"1"))
        project.add("c", source=site.put("/c", b"1"))
        site.put("/b", b"", status=404)
        site.put("/c", b"2")
        done = project.update()
        assert [(d.path, d.state) for d in done] == [("a", "unchanged"), ("b", "failed"), ("c", "changed")]
        assert "nothing at this address" in done[1].problem
        with pytest.raises(SourceUnavailable):
            project.update("b")


class TestATree:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        folder = tmp_path / "outside"
        for name in ("a.txt", "sub/b.txt", "sub/c.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        return folder

    def test_a_folder_is_followed(self, project: Project, outside: Path) -> None:
        project.add("data", source=str(outside))
        assert files(project.root / "data") == files(outside)
        assert project.update()[0].state == "unchanged"
        (outside / "sub/b.txt").write_text("other")
        (outside / "new.txt").write_text("new")
        (outside / "a.txt").unlink()
        done = project.update("data")[0]
        assert (done.new, done.changed, done.gone, done.bytes) == (["new.txt"], ["sub/b.txt"], ["a.txt"], 8)
        assert files(project.root / "data") == files(outside)
        assert project.update()[0].state == "unchanged"
        assert project.status().clean
        assert project.store.check(read_data=True).ok

    def test_another_clone_follows_it_too(self, project: Project, outside: Path, tmp_path: Path) -> None:
        """What it has not checked out is brought, and only the change is fetched."""
        project.add("data", source=str(outside))
        other = tmp_path / "clone"
        other.mkdir()
        for name in ("rote.yaml", "data.rote"):
            (other / name).write_bytes((project.root / name).read_bytes())
        wiring = Wiring(
            str(other), store=str(project.root / ".rote/store"), progress=Silence(), cwd=str(other)
        )
        clone = Project(str(other), wiring=wiring)
        assert clone.update()[0].state == "unchanged"
        assert not (other / "data").exists()
        (outside / "a.txt").write_text("changed")
        done = clone.update()[0]
        assert (done.new, done.changed, done.gone) == ([], ["a.txt"], [])
        assert files(other / "data") == files(outside)

    def test_work_done_here_is_not_lost(self, project: Project, outside: Path) -> None:
        project.add("data", source=str(outside))
        (project.root / "data/sub/c.txt").write_text("mine")
        assert project.update()[0].state == "unchanged"
        (outside / "a.txt").write_text("theirs")
        for theirs in ("a.txt", "sub/c.txt"):
            (outside / theirs).write_text("theirs, too")
            with pytest.raises(Unsaved) as caught:
                project.update("data")
            assert "data/sub/c.txt" in caught.value.what
            assert (project.root / "data/sub/c.txt").read_text() == "mine"
            assert (project.root / "data/a.txt").read_text() == "a.txt"
        project.checkout("data", force=True)
        assert project.update("data")[0].state == "changed"

    def test_an_update_that_was_killed_on_the_way_is_finished(self, project: Project, outside: Path) -> None:
        project.add("data", source=str(outside))
        (outside / "a.txt").write_text("new a")
        (outside / "sub/c.txt").unlink()
        (project.root / "data/a.txt").write_text("new a")  # this one had its place already
        (project.root / "data/sub/c.txt").unlink()
        assert project.update("data")[0].state == "changed"
        assert files(project.root / "data") == files(outside)

    def test_data_added_by_hand_follows_nothing(self, project: Project, outside: Path) -> None:
        project.add("data", source=str(outside))
        assert project.add("data")[0].left == ""
        assert pointer(project, "data").source is not None
        (project.root / "data/a.txt").write_text("mine")
        assert project.add("data")[0].left == f"file://{outside}"
        assert pointer(project, "data").source is None
        assert project.update() == []
        with pytest.raises(Missing, match="follows no source"):
            project.update("data")
        project.add("data", source=str(outside))
        assert (project.root / "data/a.txt").read_text() == "a.txt"

    def test_what_is_in_the_way_is_not_touched(self, project: Project, outside: Path, site: Site) -> None:
        (project.root / "data").mkdir()
        (project.root / "data/x").write_text("mine")
        with pytest.raises(BadPath, match="something at"):
            project.add("data", source=str(outside))
        project.add("data")
        (project.root / "data/x").write_text("changed")
        with pytest.raises(Unsaved):
            project.add("data", source=str(outside))
        with pytest.raises(BadPath, match="lies in"):
            project.add("data/deep", source=str(outside))
        project.add("f", source=site.put("/f", b"1"))
        with pytest.raises(BadPath, match="is a file"):
            project.add("f", source=str(outside))
        assert (project.root / "data/x").read_text() == "changed"

    def test_nothing_is_written_through_a_link(self, project: Project, outside: Path, tmp_path: Path) -> None:
        project.add("data", source=str(outside))
        elsewhere = tmp_path / "elsewhere"
        os.rename(project.root / "data/sub", elsewhere)
        (project.root / "data/sub").symlink_to(elsewhere)
        (outside / "sub/b.txt").write_text("changed")
        with pytest.raises(RoteError):
            project.update("data")
        assert (elsewhere / "b.txt").read_text() == "sub/b.txt"

    def test_names_that_no_snapshot_holds(self, project: Project, outside: Path) -> None:
        (outside / "A.TXT").write_text("clash")
        if len(list(outside.iterdir())) == 3:
            with pytest.raises(BadPath, match="cannot both"):
                project.add("data", source=str(outside))
        (outside / "A.TXT").unlink()
        (outside / "con").write_text("x")
        with pytest.raises(BadPath, match="con"):
            project.add("data", source=str(outside))
        assert not (project.root / "data").exists()

    def test_a_source_that_is_gone_or_empty_takes_nothing_away(self, project: Project, outside: Path) -> None:
        project.add("data", source=str(outside))
        here = files(project.root / "data")
        os.rename(outside, f"{outside}.away")
        with pytest.raises(SourceUnavailable):
            project.update()
        outside.mkdir()
        with pytest.raises(SourceUnavailable, match="no files"):
            project.update()
        assert files(project.root / "data") == here

    def test_a_list_that_is_gone_costs_a_fetch(self, project: Project, outside: Path) -> None:
        project.add("data", source=str(outside))
        text = (project.root / "data.rote").read_text()
        said = pointer(project, "data").source
        assert said is not None
        assert said.list is not None
        (project.root / "data.rote").write_text(text.replace(said.list, "0" * 64))
        (outside / "a.txt").write_text("changed")
        done = project.update()[0]
        assert (done.changed, done.new) == (["a.txt", "sub/b.txt", "sub/c.txt"], [])
        assert files(project.root / "data") == files(outside)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestTheList:
    def test_it_is_read_as_it_was_written(self) -> None:
        items = [SourceItem("a b/ü.txt", 3, '"x"'), SourceItem("z", None, "")]
        text = sourcelist.text(items)
        assert sourcelist.parse(text, "here") == items
        assert text == 'rote source 1\n"x"\t3\ta b/ü.txt\n\t\tz\n'.encode()

    @pytest.mark.parametrize(
        "text", [b"", b"rote source 2\n", b"rote source 1\na\tb\n", b"rote source 1\ne\tx\tp\n", b"\xff"]
    )
    def test_anything_else_is_refused(self, text: bytes) -> None:
        with pytest.raises(RoteError):
            sourcelist.parse(text, "here")


class TestThePointer:
    HEAD = f"rote: 1\nsnapshot: {'a' * 64}\nkind: file\nfiles: 1\nbytes: 1\n"

    def test_one_without_a_source_is_read_and_written_as_before(self) -> None:
        said = parse(self.HEAD, "x")
        assert said.source is None
        assert said.text().endswith(self.HEAD)

    def test_one_with_a_source_comes_back(self) -> None:
        text = f'{self.HEAD}source: https://h/x\nsource-etag: W/"a: b"\nsource-time: 2026-11-21T10:44:34Z\nsource-list: {"b" * 64}\n'
        assert parse(text, "x").text().endswith(text)

    @pytest.mark.parametrize("line", ["source: a b", f"source: {'x' * 2001}", "source: x\nsource-list: zz"])
    def test_a_source_that_cannot_be_meant(self, line: str) -> None:
        with pytest.raises(ConfigError):
            parse(f"{self.HEAD}{line}\n", "x")
