"""Files of another project: got, imported, followed; from a folder and from a git URL, at every kind of revision."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chains import FILES, commit, copied, git, laid, project, released

import rote
from rote.cli import run as cli
from rote.errors import BadPath, Missing, RoteError, SourceUnavailable, Unsaved, UsageError
from rote.wiring import repoaddress
from rote.wiring.project import Project
from rote.wiring.repoaddress import RepoAddress, SourceAddress
from scenes import lay


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with two released versions: prod is the first; tags of git, and a branch of its own."""
    root = released(laid(tmp_path_factory.mktemp("repo") / "project"))
    project(root, 4).models.promote("digits@1.0.0", "prod")
    git(root, "tag", "digits@v1.0.0")
    lay(root / "data", {"1.txt": "line one\n", "sub/2.txt": "line 2\n"})
    project(root, 5).add(str(root / "data"))
    lay(root, {"train.txt": "another recipe\n", "code/run.sh": "#!/bin/sh\n"})
    (root / "code/run.sh").chmod(0o755)
    commit(root)
    released(root, 6)
    git(root, "branch", "side", "HEAD~1")
    return root


@pytest.fixture
def repo(made, tmp_path, monkeypatch):
    """A copy, a folder to work in, and a cache of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ROTE_STORE", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return copied(made, tmp_path / "repo")


@pytest.fixture
def bare(repo, tmp_path):
    """The same repository as a server has it: without a working tree. Its store is named by hand."""
    there = tmp_path / "bare.git"
    git(repo, "clone", "-q", "--bare", str(repo), str(there))
    return f"file://{there}"


def content(folder=".", *, whole=False):
    """Path -> text of every file; of a project only what is not git's or rote's own, unless `whole`."""
    top = Path(folder)
    files = [p.relative_to(top) for p in sorted(top.rglob("*")) if p.is_file()]
    kept = [p for p in files if whole or not {".git", ".rote"} & set(p.parts)]
    return {str(p): (top / p).read_bytes().decode(errors="replace") for p in kept}


# ---- get -----------------------------------------------------------------------------------------------------------


def test_data_code_and_outs(repo):
    got = rote.get(str(repo), "data", "code/order.txt", "build", "data/sub/2.txt")
    assert content() == {
        "data/0.txt": "line 0\n",
        "data/1.txt": "line one\n",
        "data/sub/2.txt": "line 2\n",
        "order.txt": "b\na\n",
        "build/model.txt": content(repo)["build/model.txt"],
        "2.txt": "line 2\n",
    }
    head = git(repo, "rev-parse", "HEAD")
    assert [(g.path, g.files, g.at, g.written) for g in got] == [
        ("data", 3, head, True),
        ("code/order.txt", 1, head, True),
        ("build", 1, head, True),
        ("data/sub/2.txt", 1, head, True),
    ]
    again = rote.get(str(repo), "data", "build")
    assert [g.written for g in again] == [False, False]


@pytest.mark.parametrize("rev", ["HEAD~1", "digits@v1.0.0", "side", "digits@1.0.0", "digits@prod"])
def test_any_revision(repo, rev):
    rote.get(str(repo), "data", "train.txt", "build/model.txt", rev=rev)
    assert content()["data/1.txt"] == "line 1\n"
    assert content()["train.txt"] == "a recipe\n"
    assert content()["model.txt"] != content(repo)["build/model.txt"]


def test_a_version_by_its_own_paths(repo):
    got = rote.get(str(repo), ".", rev="digits@1.0.0", to="all")
    assert set(content("all")) == {"build/model.txt", "labels.txt"}
    assert got[0].at == "digits@1.0.0"
    rote.get(str(repo), "labels.txt", rev="digits@1.0.1", to="l.txt")
    assert content()["l.txt"] == "zero\none\n"


def test_everything_in_git_with_the_data(repo):
    rote.get(str(repo), ".", to="all")
    found = content("all")
    assert found["data/1.txt"] == "line one\n"
    assert found["rote.yaml"] == FILES["rote.yaml"]
    assert "data.rote" not in found
    assert os.access("all/code/run.sh", os.X_OK)
    assert not os.access("all/code/order.txt", os.X_OK)


def test_what_is_committed_counts(repo):
    lay(repo, {"train.txt": "not committed\n"})
    lay(repo / "data", {"0.txt": "not saved\n"})
    rote.get(str(repo), "train.txt", "data/0.txt")
    assert content() == {"train.txt": "another recipe\n", "0.txt": "line 0\n"}


def test_from_a_folder_below_the_project(repo):
    rote.get(str(repo / "code"), "code/order.txt")
    assert content() == {"order.txt": "b\na\n"}


def test_nothing_is_written_into_the_other_project(repo):
    before = content(repo, whole=True)
    rote.get(str(repo), "data", "build", rev="digits@prod")
    assert content(repo, whole=True) == before


@pytest.mark.parametrize(
    "rev", [None, "main", "side", "digits@v1.0.0", "digits@1.0.0", "digits@prod", "full", "short"]
)
def test_from_a_git_url(repo, bare, rev):
    if rev in ("full", "short"):
        rev = git(repo, "rev-parse", "HEAD~1")[: 40 if rev == "full" else 9]
    rote.get(bare, "data", "code", rev=rev, store=str(repo / ".rote/store"))
    old = rev not in (None, "main")
    assert content()["data/1.txt"] == ("line 1\n" if old else "line one\n")
    assert ("code/run.sh" in content()) is not old


def test_several_at_once_share_a_clone(repo, bare):
    revs = ["main", "side", "digits@v1.0.0", None] * 3

    def one(number):
        rote.get(bare, "train.txt", rev=revs[number], to=f"{number}.txt")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(len(revs))))
    found = content()
    for number, rev in enumerate(revs):
        assert found[f"{number}.txt"] == ("another recipe\n" if rev in (None, "main") else "a recipe\n")


def test_a_git_url_whose_store_nobody_reaches(bare):
    with pytest.raises(UsageError, match="names no store") as caught:
        rote.get(bare, "data")
    assert "--repo-store URL" in caught.value.next
    rote.get(bare, "train.txt")  # what is in git needs no store
    assert content() == {"train.txt": "another recipe\n"}


def test_a_store_that_the_repository_names(repo, tmp_path):
    lay(repo, {"rote.yaml": f"store: {repo}/.rote/store\n" + FILES["rote.yaml"]})
    commit(repo)
    bare = tmp_path / "second.git"
    git(repo, "clone", "-q", "--bare", str(repo), str(bare))
    rote.get(f"file://{bare}", "data/0.txt")
    assert content() == {"0.txt": "line 0\n"}


def test_a_project_in_a_folder_of_its_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "mono"
    root = laid(top / "ml/digits")
    (root / ".git").rename(tmp_path / "inner.git")
    git(top, "init", "-q", "-b", "main")
    commit(top)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    rote.get(str(root), "data/0.txt")
    bare = tmp_path / "mono.git"
    git(top, "clone", "-q", "--bare", str(top), str(bare))
    rote.get(f"file://{bare}#subdirectory=ml/digits", "train.txt")
    rote.get(f"file://{bare}#subdirectory=ml/digits", "data/1.txt", store=str(root / ".rote/store"))
    assert content() == {"0.txt": "line 0\n", "train.txt": "a recipe\n", "1.txt": "line 1\n"}


def test_nothing_is_lost(repo):
    lay(Path.cwd(), {"data/mine.txt": "mine\n", "train.txt": "mine\n"})
    for path in ("data", "train.txt"):
        with pytest.raises(Unsaved, match="something else is there already"):
            rote.get(str(repo), path)
    assert content() == {"data/mine.txt": "mine\n", "train.txt": "mine\n"}
    with pytest.raises(Unsaved):
        rote.get(str(repo), "labels.txt", "train.txt")
    rote.get(str(repo), "data", "train.txt", force=True)
    assert content()["train.txt"] == "another recipe\n"
    assert "data/mine.txt" not in content()
    assert not [n for n in os.listdir(".") if n.startswith(".")]


def test_links_are_not_followed_when_something_is_replaced(repo, tmp_path):
    (tmp_path / "precious.txt").write_text("precious")
    os.symlink(tmp_path / "precious.txt", "train.txt")
    with pytest.raises(Unsaved):
        rote.get(str(repo), "train.txt")
    rote.get(str(repo), "train.txt", force=True)
    assert (tmp_path / "precious.txt").read_text() == "precious"
    assert not os.path.islink("train.txt")


def test_one_that_is_not_there_brings_none(repo):
    with pytest.raises(Missing, match="'dta' is no data") as caught:
        rote.get(str(repo), "train.txt", "dta")
    assert caught.value.next == "did you mean data?"
    assert content() == {}


def test_an_out_of_a_commit_without_a_run(repo):
    commit(repo)
    with pytest.raises(Missing, match="a finished run of exactly that commit"):
        rote.get(str(repo), "build/model.txt")
    rote.get(str(repo), "build/model.txt", rev="digits@1.0.1")


@pytest.mark.parametrize(
    ("what", "rev", "told"),
    [
        ("data", "nope", "no revision 'nope'"),
        ("data", "digits@9.0.0", "neither a revision nor a version"),
        ("data", "--upload-pack=x", "not a revision"),
        ("../x", None, "not a path in a project"),
        ("/etc/passwd", None, "not a path in a project"),
        ("a\\b", None, "not a path in a project"),
    ],
)
def test_what_is_wrong(repo, what, rev, told):
    with pytest.raises(RoteError, match=told):
        rote.get(str(repo), what, rev=rev)
    assert content() == {}


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "ext::id",
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "ftp://h/x",
        "https:///x",
        "x://y",
    ],
)
def test_addresses_that_are_none(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="not the address"):
        rote.get(url, "data")


def test_credentials_are_refused_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in (
        "https://me:hunter22@h.example/x.git",
        "ssh://me:hunter22@h.example/x.git",
        "https://hunter22@h.example/x",
    ):
        with pytest.raises(UsageError, match="credentials") as caught:
            rote.get(url, "data")
        assert "hunter22" not in "\n".join(caught.value.lines())


def test_a_repository_that_is_not_there(repo, tmp_path):
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        rote.get(f"file://{tmp_path}/nothing.git", "data")
    with pytest.raises(Missing, match="there is no folder"):
        rote.get("nowhere", "data")


def test_hooks_and_filters_of_the_repository_do_not_run(repo, bare, tmp_path):
    mark = tmp_path / "ran"
    lay(repo, {".gitattributes": "*.txt filter=evil\n"})
    for config in (
        "filter.evil.smudge",
        "filter.evil.clean",
        "core.fsmonitor",
        "diff.external",
        "core.hooksPath",
    ):
        git(repo, "config", config, f"touch {mark}")
    subprocess.run(["git", "add", "-A"], cwd=repo, check=False, capture_output=True)
    mark.unlink(missing_ok=True)
    rote.get(str(repo), "train.txt", "data")
    assert not mark.exists()


# ---- import and update ---------------------------------------------------------------------------------------------


@pytest.fixture
def app(repo, tmp_path):
    """A project without a pipeline, in a repository of its own."""
    rote.init(".")
    git(tmp_path / "work", "init", "-q")
    return Project(str(tmp_path / "work"))


def pointer(path):
    with open(f"{path}.rote", encoding="utf-8") as file:
        return dict(line.split(": ", 1) for line in file.read().splitlines() if not line.startswith("#"))


def test_import_and_update(repo, app):
    added = app.import_path(str(repo), "data", to="pictures")
    assert (added.path, added.ref.files) == ("pictures", 3)
    said = pointer("pictures")
    assert said["source"] == f"rote+file://{repo}#path=data"
    assert said["source-at"] == git(repo, "rev-parse", "HEAD")
    assert app.update()[0].state == "unchanged"
    lay(repo / "data", {"0.txt": "line zero\n", "9.txt": "line 9\n"})
    (repo / "data/1.txt").unlink()
    project(repo, 20).add(str(repo / "data"))
    assert app.update()[0].state == "unchanged"  # not committed
    second = commit(repo)
    done = app.update()[0]
    assert (done.state, done.new, done.changed, done.gone) == ("changed", ["9.txt"], ["0.txt"], ["1.txt"])
    assert content("pictures") == {"0.txt": "line zero\n", "9.txt": "line 9\n", "sub/2.txt": "line 2\n"}
    assert pointer("pictures")["source-at"] == second
    assert pointer("pictures")["snapshot"] == pointer(repo / "data")["snapshot"]


def test_an_alias_is_followed_and_a_version_is_not(repo, app):
    app.import_path(str(repo), "build/model.txt", rev="digits@prod")
    app.import_path(str(repo), "build/model.txt", rev="digits@1.0.0", to="fixed.txt")
    assert pointer("model.txt")["source-at"] == pointer("fixed.txt")["source-at"] == "digits@1.0.0"
    project(repo, 20).models.promote("digits@1.0.1", "prod")
    assert {one.path: one.state for one in app.update()} == {"model.txt": "changed", "fixed.txt": "unchanged"}
    assert pointer("model.txt")["source-at"] == "digits@1.0.1"
    assert content()["model.txt"] == content(repo)["build/model.txt"] != content()["fixed.txt"]
    assert [one.state for one in app.update()] == ["unchanged", "unchanged"]


def test_a_branch_is_followed_from_a_git_url(repo, bare, app):
    app.import_path(bare, "train.txt", rev="side")
    assert content()["train.txt"] == "a recipe\n"
    git(repo, "push", "-q", bare, "main:side")
    assert app.update()[0].state == "changed"
    assert content()["train.txt"] == "another recipe\n"


def test_a_branch_that_went_away(repo, bare, app):
    app.import_path(bare, "train.txt", rev="side")
    git(repo, "push", "-q", bare, ":side")
    with pytest.raises(Missing, match="no revision"):
        app.update()
    assert content()["train.txt"] == "a recipe\n"
    for rev in ("side", "0123abcd"):
        with pytest.raises(Missing, match="no revision"):
            rote.get(bare, "train.txt", rev=rev, to="x.txt")


def test_the_store_named_by_hand_is_kept(repo, bare, app):
    app.import_path(bare, "data", repo_store=str(repo / ".rote/store"))
    assert "store=" in pointer("data")["source"]
    assert app.update()[0].state == "unchanged"


def test_work_is_not_lost_by_an_update(repo, app):
    app.import_path(str(repo), "data")
    lay(Path.cwd(), {"data/0.txt": "mine\n"})
    lay(repo / "data", {"0.txt": "theirs\n"})
    project(repo, 20).add(str(repo / "data"))
    commit(repo)
    with pytest.raises(Unsaved):
        app.update()
    assert content()["data/0.txt"] == "mine\n"


def test_import_over_something(repo, app):
    lay(Path.cwd(), {"data/mine.txt": "mine\n"})
    with pytest.raises(BadPath, match="something at 'data' already"):
        app.import_path(str(repo), "data")
    with pytest.raises(UsageError, match="say where"):
        app.import_path(str(repo), ".")


def test_another_revision_at_the_same_place(repo, app):
    app.import_path(str(repo), "data", rev="digits@v1.0.0")
    assert content()["data/1.txt"] == "line 1\n"
    app.import_path(str(repo), "data", rev="main")
    assert content()["data/1.txt"] == "line one\n"
    assert "rev=main" in pointer("data")["source"]


def test_a_path_that_went_away(repo, app):
    app.import_path(str(repo), "train.txt")
    git(repo, "rm", "-q", "train.txt")
    commit(repo)
    with pytest.raises(Missing, match="is no data, no file in git"):
        app.update()
    assert content()["train.txt"] == "another recipe\n"


def test_many_small_files_take_few_requests(repo, app, tmp_path):
    lay(repo / "data", {f"many/{n}.txt": f"number {n}\n" for n in range(300)})
    project(repo, 20).add(str(repo / "data"))
    commit(repo)
    from rote.ports import Silence
    from rote.testing.faults import CountingStore
    from rote.wiring.repositories import Repository
    from rote.wiring.reposource import RepositorySource

    source = RepositorySource(SourceAddress(repoaddress.of_folder(str(repo)), "data/many"), Silence())
    _, items = source.look(None)
    wiring = source._repository._w
    wiring.reading = CountingStore(wiring.reading)
    del wiring.__dict__["snapshots"]
    for item in items:
        assert b"".join(source.read(item, 0)[2]) == f"number {item.path[:-4]}\n".encode()
    assert sum(wiring.reading.requests.values()) < 20
    assert Repository is not None


# ---- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url", "sub"),
    [
        ("https://h.example/o/r.git", "https://h.example/o/r.git", ""),
        ("https://h.example/o/r/#subdirectory=ml/x", "https://h.example/o/r", "ml/x"),
        ("git@h.example:o/r.git", "ssh://git@h.example/o/r.git", ""),
        ("ssh://git@h.example:2222/o/r", "ssh://git@h.example:2222/o/r", ""),
        ("file:///srv/r%20x", "file:///srv/r%20x", ""),
    ],
)
def test_addresses(text, url, sub):
    assert repoaddress.parse(text) == RepoAddress(url, sub)
    for path, rev in (("data", ""), ("a b/é&=#?.txt", "digits@prod"), (".", "feature/x#1")):
        source = SourceAddress(RepoAddress(url, sub), path, rev, "s3://b/p?region=x")
        assert source.text().startswith("rote+")
        assert not set(source.text()) & {" ", "\n"}
        assert repoaddress.parse_source(source.text()) == source


@pytest.mark.parametrize(
    "text", ["rote+https://h/x", "rote+https://h/x#path=../../etc", "rote+ext::x#path=a"]
)
def test_addresses_in_pointers_that_are_none(text):
    with pytest.raises(UsageError):
        repoaddress.parse_source(text)


# ---- the commands --------------------------------------------------------------------------------------------------


def test_the_commands(repo, app, capsys):
    assert cli(["get", str(repo), "data", "--rev", "digits@prod", "--to", "got"]) == 0
    assert capsys.readouterr().out == "data of digits@1.0.0 is in 'got': 2 files, 14 bytes\n"
    assert cli(["get", str(repo), "data", "--rev", "digits@prod", "--to", "got", "--json"]) in (0, 1)
    capsys.readouterr()
    assert cli(["import", "--rev", "main", str(repo), "data"]) == 0
    told = capsys.readouterr().out
    assert told == "data: imported, 3 files, 23 bytes; pinned by data.rote, and `rote update` follows it\n"
    assert cli(["update"]) == 0
    assert "data: unchanged at rote+file://" in capsys.readouterr().out
    assert cli(["import", str(repo)]) == 2
    assert "Missing argument 'PATH'" in capsys.readouterr().err
    assert cli(["import", "dvc"]) == 2
    assert "nothing of DVC's" in capsys.readouterr().err
