"""A Hugging Face Hub on loopback: what the real huggingface_hub asks for models, commits with their parents, branches and
tags, LFS with its second server, pages of listings, and answers with the Hub's own error codes.

It is strict: a commit whose parent is not the newest is refused with 412, one with an LFS object that nobody uploaded
with 400, and whatever writes without the token with 401.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import yaml

from servers.forge import Answer, Forge, Request, told

PAGE = 5
"""Entries in one page of a listing: so few that every test turns pages."""
TOKEN = "hf_of-the-tests"


@dataclass(frozen=True)
class Blob:
    """A file of a commit: its bytes in git, or an LFS object."""

    oid: str
    size: int
    sha256: str = ""


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def error(status: int, code: str, said: str) -> Answer:
    headers = {"X-Error-Code": code} if code else {}
    return Answer(
        status, json.dumps({"error": said}).encode(),
        {"Content-Type": "application/json", "X-Error-Message": said, **headers},
    )  # fmt: skip


class Hub(Forge):
    """One repository, `repo`. `lfs` are the patterns of its .gitattributes; `gitignore` is what it ignores."""

    def __init__(self, files: Path, repo: str = "owner/name", private: bool = False) -> None:
        super().__init__(files)
        self.repo = repo
        self.private = private
        self.lfs = ["*.onnx", "*.safetensors", "*.bin"]
        self.lfs_above = 1 << 20
        self.gitignore: list[str] = []
        self.refuses = ""
        self.blobs: dict[str, bytes] = {}
        self.objects: dict[str, Path] = {}
        self.commits: dict[str, dict[str, Blob]] = {}
        self.titles: dict[str, str] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.honours_etags = True
        self.commit("main", {}, "initial commit")

    def commit(self, branch: str, tree: dict[str, Blob], title: str) -> str:
        """A new commit on top of a branch."""
        oid = hashlib.sha1(f"{self.next()} {title}".encode()).hexdigest()
        self.commits[oid] = tree
        self.titles[oid] = title
        self.branches[branch] = oid
        return oid

    def put(self, path: str, data: bytes | None) -> None:
        """A commit by somebody else: a file with these bytes, or without the file."""
        with self.lock:
            tree = dict(self.commits[self.branches["main"]])
            tree.pop(path, None)
            if data is not None:
                tree[path] = self.blob(data)
            self.commit("main", tree, f"by hand: {path}")

    def blob(self, data: bytes) -> Blob:
        oid = git_oid(data)
        self.blobs[oid] = data
        return Blob(oid, len(data))

    def uploads(self, method: str, path: str) -> bool:
        return method == "PUT"

    # the second server

    def give(self, request: Request) -> Answer:
        sha256 = request.names[-1]
        if request.method == "PUT":
            if request.headers["sha256"] != sha256:
                return Answer(400)
            assert request.file is not None
            with self.lock:
                self.objects[sha256] = request.file
            return Answer(200)
        return Answer(200, self.objects[sha256], {"Content-Type": "binary/octet-stream"})

    # the interface

    def answer(self, request: Request) -> Answer:
        names = request.names
        if request.token not in ("", TOKEN):
            return error(401, "", "Invalid credentials in Authorization header")
        writes = request.method not in ("GET", "HEAD") and "paths-info" not in names
        if (writes or self.private) and request.token != TOKEN:
            return error(401, "RepoNotFound" if self.private else "", "Invalid username or password.")
        at = request.path.strip("/")
        if at == f"{self.repo}.git/info/lfs/objects/batch":
            return self.batch(request)
        if at.startswith(f"{self.repo}/resolve/"):
            return self.resolve(request, names[3], "/".join(names[4:]))
        if names == ["api", "validate-yaml"]:
            return self.looked_at(request.json()["content"])
        if names[:4] != ["api", "models", *self.repo.split("/")]:
            return error(404 if request.token else 401, "RepoNotFound", "Repository not found")
        what, rest = names[4], names[5:]
        if what == "refs":
            return self.refs()
        if what == "branch":
            return self.branch(request, rest[0])
        oid = self.revision(rest[0])
        if oid is None:
            return error(404, "RevisionNotFound", f"Invalid rev id: {rest[0]}")
        if what == "tree":
            return self.tree(request, oid, "/".join(rest[1:]))
        if what == "paths-info":
            wanted = parse_qs(request.body.decode())["paths"]
            return told(200, [self.entry(p, self.commits[oid][p]) for p in wanted if p in self.commits[oid]])
        if what == "preupload":
            return self.preupload(request, oid)
        if what == "commit":
            return self.committed(request, rest[0])
        if what == "tag":
            tag = request.json()["tag"]
            if tag in self.tags:
                return error(409, "", f"Tag {tag} already exists")
            self.tags[tag] = oid
            return Answer(200)
        self.wrong.append(f"nobody knows {request.method} {request.path}")
        return error(404, "", "Sorry, we can't find the page you are looking for.")

    def looked_at(self, text: str) -> Answer:
        """What the Hub says of the front matter of a README.md; `refuses` is what it says no to."""
        _, _, rest = text.partition("---\n")
        head = yaml.safe_load(rest.partition("\n---\n")[0])
        bad = (
            []
            if isinstance(head, dict) and not self.refuses
            else [{"message": f"{self.refuses} is not allowed"}]
        )
        return told(400 if bad else 200, {"errors": bad, "warnings": []})

    def revision(self, name: str) -> str | None:
        return self.branches.get(name) or self.tags.get(name) or (name if name in self.commits else None)

    def refs(self) -> Answer:
        def listed(kind: str, refs: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": c} for n, c in refs.items()]

        return told(
            200,
            {"branches": listed("heads", self.branches), "tags": listed("tags", self.tags), "converts": []},
        )

    def branch(self, request: Request, name: str) -> Answer:
        if request.method == "DELETE":
            if name == "main" or name not in self.branches:
                return error(404 if name != "main" else 403, "RevisionNotFound", "no such branch")
            del self.branches[name]
            return Answer(200)
        if name in self.branches:
            return error(409, "", f"Branch {name} already exists")
        start = self.revision(request.json().get("startingPoint", "main"))
        if start is None:
            return error(404, "RevisionNotFound", "Invalid rev id")
        self.branches[name] = start
        return Answer(200)

    def entry(self, path: str, blob: Blob) -> dict[str, object]:
        found: dict[str, object] = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
        if blob.sha256:
            found["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": 130}
        return found

    def tree(self, request: Request, oid: str, under: str) -> Answer:
        assert request.query["recursive"].lower() == "true", "rote lists folders whole"
        files = {p: b for p, b in self.commits[oid].items() if p.startswith(f"{under}/" if under else "")}
        if under and not files:
            return error(404, "EntryNotFound", f"{under} does not exist on this revision")
        folders = {p.rpartition("/")[0] for p in files} - {under, ""}
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": p} for p in folders]
        entries += [self.entry(p, b) for p, b in files.items()]
        entries.sort(key=lambda e: str(e["path"]))
        start = int(request.query.get("cursor", "0"))
        answer = told(200, entries[start : start + PAGE])
        if start + PAGE < len(entries):
            more = f"{self.url}{request.path}?recursive=true&expand=false&cursor={start + PAGE}"
            answer.headers["Link"] = f'<{more}>; rel="next"'
        return answer

    def preupload(self, request: Request, oid: str) -> Answer:
        asked = request.json()
        ignored = self.gitignore if asked.get("gitIgnore") is None else asked["gitIgnore"].split("\n")
        found = []
        for file in asked["files"]:
            name = file["path"].rpartition("/")[2]
            large = file["size"] > self.lfs_above or any(fnmatch.fnmatch(name, p) for p in self.lfs)
            there = self.commits[oid].get(file["path"])
            found.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if large else "regular",
                    "shouldIgnore": any(p and fnmatch.fnmatch(name, p) for p in ignored),
                    **({"oid": there.oid} if there else {}),
                }
            )
        return told(200, {"files": found, "commitOid": oid})

    def batch(self, request: Request) -> Answer:
        asked = request.json()
        assert asked["operation"] == "upload"
        objects = []
        for one in asked["objects"]:
            if one["oid"] not in self.objects:
                href = f"{self.elsewhere}/put/{one['oid']}"
                objects.append(
                    {**one, "authenticated": True, "actions": {"upload": {"href": href, "header": {}}}}
                )
            else:
                objects.append(dict(one))
        return Answer(
            200,
            json.dumps({"transfer": "basic", "objects": objects}).encode(),
            {"Content-Type": "application/vnd.git-lfs+json"},
        )

    def committed(self, request: Request, branch: str) -> Answer:
        head, *lines = [json.loads(line) for line in request.body.splitlines()]
        if branch not in self.branches:
            return error(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        if head["value"].get("parentCommit") != self.branches[branch]:
            return error(412, "", "A commit has happened since. Please refresh and try again.")
        tree = dict(self.commits[self.branches[branch]])
        for line in lines:
            key, value = line["key"], line["value"]
            path = value["path"]
            if key == "file":
                tree[path] = self.blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                file = self.objects.get(value["oid"])
                if file is None:
                    return error(400, "", f"LFS pointer pointed to a file that does not exist: {path}")
                size = file.stat().st_size
                pointer = (
                    f"version https://git-lfs.github.com/spec/v1\noid sha256:{value['oid']}\nsize {size}\n"
                )
                tree[path] = Blob(git_oid(pointer.encode()), size, value["oid"])
            elif key == "deletedFile":
                if path not in tree:
                    return error(404, "EntryNotFound", "A file with this name doesn't exist")
                del tree[path]
            else:
                self.wrong.append(f"an operation that nobody knows: {key}")
        oid = self.commit(branch, tree, head["value"]["summary"])
        return told(
            200, {"success": True, "commitOid": oid, "commitUrl": f"{self.url}/{self.repo}/commit/{oid}"}
        )

    def resolve(self, request: Request, revision: str, path: str) -> Answer:
        oid = self.revision(revision)
        if oid is None:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        blob = self.commits[oid].get(path)
        if blob is None:
            return error(404, "EntryNotFound", "Entry not found")
        if blob.sha256:
            where = f"{self.elsewhere}/get/{blob.sha256}"
            linked = {"X-Linked-Size": str(blob.size), "X-Linked-Etag": f'"{blob.sha256}"'}
            return Answer(302, b"", {"Location": where, "X-Repo-Commit": oid, **linked})
        etag = f'"{blob.oid}"'
        headers = {"ETag": etag, "X-Repo-Commit": oid, "Content-Type": "text/plain; charset=utf-8"}
        if self.honours_etags and request.headers.get("if-none-match") == etag:
            return Answer(304, b"", headers)
        file = self.files / f"blob-{blob.oid}"
        if not file.exists():
            file.write_bytes(self.blobs[blob.oid])
        return Answer(200, file, headers)
