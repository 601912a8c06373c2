"""Git as it really is: each test makes a repository of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rote.adapters.vcs import DIFF_CAP, Git
from rote.errors import Missing, RoteError, UsageError
from rote.words.run import Commit


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(
        '[user]\nname = Ada\nemail = ada@mill\n[init]\ndefaultBranch = main\n[protocol "file"]\nallow = always\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *words: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith("GIT_CONFIG_")}
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env=env, text=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("a = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def test_no_repository_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # there is no git here
    here = Git(str(tmp_path))
    assert not here.present
    assert (here.commit(), here.ls_files(), here.is_ignored(["x"]), here.origin(), here.shallow) == (
        Commit(),
        [],
        set(),
        "",
        False,
    )
    with pytest.raises(UsageError, match="no git repository"):
        here.show("HEAD", "x")


def test_a_repository_without_git_says_so(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RoteError, match="no git to ask"):
        Git(str(repo)).commit()


def test_clean_dirty_and_detached(repo: Path) -> None:
    here = Git(str(repo))
    head = git(repo, "rev-parse", "HEAD")
    assert here.commit() == Commit(id=head, branch="main")
    (repo / "untracked").write_text("x")
    assert not here.commit().dirty
    (repo / "train.py").write_text("a = 2\n")
    (repo / "staged.py").write_text("b = 1\n")
    git(repo, "add", "staged.py")
    found = here.commit()
    assert (found.id, found.branch, found.dirty, found.diff_cut) == (head, "main", True, False)
    assert "-a = 1\n+a = 2\n" in found.diff
    assert "+b = 1\n" in found.diff
    git(repo, "stash", "-q")
    git(repo, "checkout", "-q", "--detach")
    assert here.commit() == Commit(id=head, branch=None)


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "new")
    repo = tmp_path / "new"
    assert Git(str(repo)).commit() == Commit(id=None, branch="main")
    (repo / "a").write_text("first\n")
    git(repo, "add", "a")
    (repo / "a").write_text("second\n")
    found = Git(str(repo)).commit()
    assert (found.id, found.dirty) == (None, True)
    assert "+second\n" in found.diff
    with pytest.raises(Missing, match="no commit yet"):
        Git(str(repo)).resolve("HEAD")


def test_a_folder_inside_of_the_repository(repo: Path) -> None:
    (repo / "sub").mkdir()
    (repo / "sub" / "x").write_text("1")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "two")
    (repo / "train.py").write_text("a = 3\n")
    inside = Git(str(repo / "sub"))
    assert "a = 3" in inside.commit().diff
    assert inside.ls_files() == ["x"]
    assert inside.show("HEAD", "x") == b"1"
    assert inside.read("HEAD", lambda name: True) == {"x": b"1"}


def test_a_shallow_clone_says_so(repo: Path, tmp_path: Path) -> None:
    first = git(repo, "rev-parse", "HEAD")
    (repo / "train.py").write_text("a = 2\n")
    git(repo, "commit", "-qam", "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", "shallow")
    here = Git(str(tmp_path / "shallow"))
    assert here.commit().shallow
    assert not Git(str(repo)).commit().shallow
    with pytest.raises(Missing, match="shallow") as caught:
        here.show(first, "train.py")
    assert caught.value.next == "git fetch --unshallow"


def test_a_linked_worktree_and_a_submodule(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert Git(str(tmp_path / "side")).commit().branch == "side"
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(repo), "lib")
    git(outer, "commit", "-qm", "with a submodule")
    assert not Git(str(outer)).commit().dirty
    assert Git(str(outer)).ls_files() == [".gitmodules", "lib"]
    assert sorted(Git(str(outer)).read("HEAD", lambda name: True)) == [".gitmodules"]
    assert Git(str(outer / "lib")).commit().id == git(repo, "rev-parse", "main")
    (outer / "lib" / "train.py").write_text("changed\n")
    assert Git(str(outer)).commit().dirty


def test_a_hostile_environment_and_configuration_change_nothing(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trapped"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", str(other))
    for key, value in {
        "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(tmp_path / "none"),
        "GIT_EXTERNAL_DIFF": str(script), "GIT_OBJECT_DIRECTORY": str(tmp_path), "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": str(script), "GIT_LITERAL_PATHSPECS": "0",
        "GIT_CEILING_DIRECTORIES": str(tmp_path), "GIT_TRACE": "1", "GIT_DIFF_OPTS": "-u0", "LC_ALL": "de_DE.UTF-8",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    git(repo, "config", "core.fsmonitor", str(script))
    git(repo, "config", "diff.external", str(script))
    git(repo, "config", "color.ui", "always")
    git(repo, "config", "diff.noprefix", "true")
    (repo / ".gitattributes").write_text("*.py diff=trap\n")
    git(repo, "config", "diff.trap.textconv", str(script))
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "attributes")
    trap.unlink(missing_ok=True)
    (repo / "train.py").write_text("a = 2\n")
    found = Git(str(repo)).commit()
    assert found.branch == "main"
    assert "diff --git a/train.py b/train.py\n" in found.diff
    assert "\x1b" not in found.diff
    assert not trap.exists()


def test_reading_leaves_the_index_alone(repo: Path) -> None:
    os.utime(repo / "train.py", (1, 1))
    (repo / ".git" / "index.lock").write_text("")
    before = (repo / ".git" / "index").read_bytes()
    assert not Git(str(repo)).commit().dirty
    assert (repo / ".git" / "index").read_bytes() == before


def test_names_of_every_kind(repo: Path) -> None:
    names = [
        "line\nfeed",
        "tab\there",
        "quote\"'",
        " space ",
        "ü",
        "*.py",
        ":(top)x",
        "-dash",
    ]
    if sys.platform == "linux":  # other systems refuse names that are not UTF-8 themselves
        names.append(os.fsdecode(b"\xff\xfe"))
    for name in names:
        (repo / name).write_text(name, errors="surrogateescape")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "names")
    here = Git(str(repo))
    assert here.ls_files() == sorted([*names, "train.py"])
    assert here.ls_files(["*.py", ":(top)x"]) == ["*.py", ":(top)x"]
    for name in names:
        assert here.show("HEAD", name) == os.fsencode(name)
    found = here.read("HEAD", lambda name: name != "train.py")
    assert {name: os.fsencode(name) for name in names} == found
    (repo / ".gitignore").write_text("*.log\n")
    assert here.is_ignored(["a.log", "line\nfeed.log", "b", "sub/c.log"]) == {
        "a.log",
        "line\nfeed.log",
        "sub/c.log",
    }
    assert here.is_ignored([]) == set()
    assert here.is_ignored(["b"]) == set()


def test_old_files(repo: Path) -> None:
    os.symlink("train.py", repo / "link")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "two")
    git(repo, "tag", "v1")
    (repo / "train.py").write_text("now\n")
    here = Git(str(repo))
    assert here.show("v1", "train.py") == b"a = 1\n"
    assert here.read("v1", lambda name: True, below="train.py") == {"train.py": b"a = 1\n"}
    assert here.read("v1", lambda name: True, below="nowhere") == {}
    for path in ("link", "nowhere"):
        with pytest.raises(Missing, match="no file"):
            here.show("v1", path)
    with pytest.raises(Missing, match="no revision 'v2'"):
        here.show("v2", "train.py")
    for rev in ("--output=x", "", "-h", "a\nb", "a\0b"):
        with pytest.raises(UsageError):
            here.resolve(rev)


def test_a_large_diff_is_cut_and_bytes_are_made_text(repo: Path) -> None:
    (repo / "train.py").write_bytes(b"\xe9\n" * DIFF_CAP)
    found = Git(str(repo)).commit()
    assert found.diff_cut
    assert DIFF_CAP // 2 < len(found.diff.encode()) <= DIFF_CAP
    (repo / "train.py").write_bytes(b"\xe9t\xe9\n")
    found = Git(str(repo)).commit()
    assert not found.diff_cut
    assert "+�t�\n" in found.diff


def test_the_origin_shows_no_password(repo: Path) -> None:
    assert Git(str(repo)).origin() == ""
    git(repo, "remote", "add", "origin", "https://bob:hunter2@host/x.git")
    assert Git(str(repo)).origin() == "https://bob:***@host/x.git"


def test_a_broken_repository_is_told(repo: Path) -> None:
    (repo / ".git" / "index").write_bytes(b"junk")
    with pytest.raises(RoteError, match="git status failed"):
        Git(str(repo)).commit()


def test_tags_in_the_order_they_were_made_with_the_commits_they_lead_to(repo: Path) -> None:
    head = git(repo, "rev-parse", "HEAD")
    git(repo, "tag", "m@v1.0.0")
    git(repo, "tag", "-a", "-m", "words\nmore words", "m#prod#1")
    git(repo, "tag", "-a", "-m", "of a tag", "nested", "m#prod#1")
    git(repo, "tag", "of-a-tree", "HEAD^{tree}")
    git(repo, "tag", "folder/m@v1.0.0")
    found = {tag.name: tag for tag in Git(str(repo)).tags()}
    assert set(found) == {"m@v1.0.0", "m#prod#1", "nested", "folder/m@v1.0.0"} or set(found) == {
        "m@v1.0.0", "m#prod#1", "folder/m@v1.0.0",
    }  # fmt: skip  # an older git peels a tag once
    assert {tag.commit for tag in found.values()} == {head}
    assert found["m@v1.0.0"].id == head
    assert found["m#prod#1"].id == git(repo, "rev-parse", "m#prod#1")
    assert Git(str(repo.parent)).tags() == []


def test_what_changed_between_two_commits(repo: Path) -> None:
    here = Git(str(repo))
    before = git(repo, "rev-parse", "HEAD")
    (repo / "deep").mkdir()
    (repo / "deep" / "n\u00e4w").write_text("1")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two")
    after = git(repo, "rev-parse", "HEAD")
    assert here.changed(before, after) == ["deep/n\u00e4w"] == here.changed(after, before)
    assert here.changed(after, after) == []
    assert here.changed("0" * 40, after) is None
    assert Git(str(repo / "deep")).changed(before, after) == ["n\u00e4w"]
