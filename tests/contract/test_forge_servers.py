"""The test servers of forges hold what they promise: clients that are not ours work with them, and what breaks the
contract is seen."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import github
import gitlab
import pytest

from rote.adapters.forges import opening
from rote.releases import Releases
from rote.testing.clock import StillClock
from servers import openapi
from servers.github import GitHub
from servers.gitlab import GitLab


def ours(server, token):
    return opening.host(server.address, clock=StillClock(), environ={}, token=token)


def test_pygithub_reads_what_we_publish_and_we_read_what_it_publishes(tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"model" * 1000)
    with GitHub(tmp_path / "forge") as server:
        Releases(server.address, token="ghp_writer").publish("v1.0.0", [model], notes="ours")
        auth = github.Auth.Token("ghp_writer")
        client = github.Github(base_url=f"{server.url}/api/v3", auth=auth, lazy=True, retry=0)
        repository = client.get_repo("owner/repo")
        release = repository.get_release("v1.0.0")
        assert (release.name, release.body, release.draft) == ("v1.0.0", "ours", False)
        assert {a.name: a.size for a in release.get_assets()}["model.bin"] == 5000
        theirs = repository.create_git_release("v2.0.0", "second", "theirs", draft=True)
        theirs.update_release("second", "theirs", draft=False, tag_name="v2.0.0")
        found = ours(server, None).find("v2.0.0")
        assert found is not None
        assert (found.title, found.notes, found.draft) == ("second", "theirs", False)
        assert server.wrong == []


def test_python_gitlab_reads_what_we_publish_and_we_read_what_it_publishes(tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"model" * 1000)
    with GitLab(tmp_path / "forge") as server:
        Releases(server.address, token="glpat-writer").publish("keyboard@v1.0.0", [model], notes="ours")
        client = gitlab.Gitlab(server.url, oauth_token="glpat-writer")
        project = client.projects.get("group/project", lazy=True)
        release = project.releases.get("keyboard@v1.0.0")
        assert release.description == "ours"
        links = {link["name"]: link["url"] for link in release.assets["links"]}
        assert set(links) == {"model.bin", "rote-manifest.json"}
        with urllib.request.urlopen(links["model.bin"]) as reply:
            assert reply.read() == model.read_bytes()
        [package] = project.packages.list(package_name="keyboard", get_all=True)
        assert {f.file_name for f in package.package_files.list(get_all=True)} == {
            "model.bin",
            "rote-manifest.json",
            "rote-draft.json",
        }
        assert project.generic_packages.download("keyboard", "v1.0.0", "model.bin") == model.read_bytes()
        project.generic_packages.upload("_releases", "v2.0.0", "model.bin", str(model))
        project.releases.create({"tag_name": "v2.0.0", "ref": "main", "description": "theirs"})
        done = Releases(server.address).download("v2.0.0", tmp_path / "to")
        assert done.files == ["model.bin"]
        assert (tmp_path / "to" / "model.bin").read_bytes() == model.read_bytes()
        assert server.wrong == []


@pytest.mark.parametrize(
    ("method", "path", "body", "wrong"),
    [
        ("POST", "releases", {"tag": "v1"}, "tag is not known"),
        ("POST", "releases", {"name": "x"}, "'tag_name' is a required property"),
        ("POST", "releases", {"tag_name": 1}, "is not of type 'string'"),
        ("POST", "releases", {"tag_name": "v1", "make_latest": True}, "make_latest"),
        ("GET", "releases?page=x", None, "page is no number"),
        ("GET", "releases?tag=v1", None, "query parameter tag is not known"),
        ("GET", "releases/by-tag/v1", None, "is no path"),
        ("PUT", "releases/1", {}, "is no path"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_seen(tmp_path: Path, method, path, body, wrong) -> None:
    with GitHub(tmp_path / "forge") as server:
        request = urllib.request.Request(
            f"{server.url}/api/v3/repos/owner/repo/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": "Bearer ghp_writer", "Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError as e:
            e.close()
        assert any(wrong in problem for problem in server.wrong), server.wrong


def test_an_answer_that_breaks_the_contract_is_seen() -> None:
    description = openapi.github()
    at = description.find("GET", "/repos/o/r/releases/tags/v1")
    assert at is not None
    assert at.values == {"owner": "o", "repo": "r", "tag": "v1"}
    assert any(
        "required" in problem for problem in description.answer(at, 200, "application/json", b'{"id": 1}')
    )
    assert description.answer(at, 418, "application/json", b"{}") == ["status 418 is not described"]
    latest = description.find("GET", "/repos/o/r/releases/latest")
    assert latest is not None
    assert "release_id" not in latest.values
