"""A test server that does what GitHub documents of releases. GitHub's own description holds every request and answer to
account (`openapi`); what is asserted at the end of a test is that nothing broke it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from servers import openapi
from servers.forge import Answer, Forge, Request, told

WHEN = "2026-11-21T11:00:00Z"
DOCS = "https://docs.github.com/rest"


class GitHub(Forge):
    """One repository, `owner/repo`, at a server of one's own (`/api/v3`, `/api/uploads`)."""

    kind = "github"
    token = "ghp_writer"
    repository = "owner/repo"

    def __init__(self, files: Path) -> None:
        super().__init__(files)
        self.owner, self.repo = "owner", "repo"
        self.private = False
        self.immutable = False
        self.digests = True
        self.writers = {self.token}
        self.readers = {"ghp_reader"}
        self.commits = ["c0ffee" + "0" * 34]
        """The last one is the newest of the default branch."""
        self.tags: dict[str, str] = {}
        self.releases: list[dict[str, Any]] = []
        self.paths: dict[int, Path] = {}
        """Asset -> where its bytes lie."""
        self.good_links: set[str] = set()
        self.expire_links = False
        self.latest: int | None = None

    @property
    def login(self) -> dict[str, str]:
        return {"GH_HOST": self.host, "GH_ENTERPRISE_TOKEN": self.token, "GH_TOKEN": "", "GITHUB_TOKEN": ""}

    def uploads(self, method: str, path: str) -> bool:
        return method == "POST" and path.startswith("/api/uploads/")

    def answer(self, request: Request) -> Answer:
        parts = request.path.split("/")
        if parts[1:3] not in (["api", "v3"], ["api", "uploads"]):
            return self._download(request)
        path = "/" + "/".join(parts[3:])
        at = openapi.github().find(request.method, path)
        if at is None:
            self.wrong.append(f"{request.method} {request.path} is no path of the interface")
            return told(404, {"message": "Not Found"})
        what = f"{request.method} {path}"
        body = None if request.file else request.body
        kind = request.headers.get("content-type", "")
        problems = openapi.github().request(at, request.query, kind, body)
        self.wrong += [f"{what}: {problem}" for problem in problems]
        if problems:
            return told(422, {"message": "Invalid request", "documentation_url": DOCS})
        if not request.headers.get("user-agent"):
            self.wrong.append(f"{what}: GitHub refuses requests without a User-Agent")
        answer = self._refused(request) or self._done(request, path)
        assert isinstance(answer.body, bytes | Path)
        if isinstance(answer.body, bytes) and answer.status not in (
            304,
            401,
            403,
        ):  # those are said of all paths at once
            # GitHub's prose knows the state `starter`, its description forgot it.
            seen = answer.body.replace(b'"state": "starter"', b'"state": "open"')
            kind = answer.headers.get("Content-Type", "")
            for problem in openapi.github().answer(at, answer.status, kind, seen):
                self.wrong.append(f"{what} -> {answer.status}: {problem}")
        return self._tagged(request, answer)

    def give(self, request: Request) -> Answer:
        if request.path not in self.good_links:
            return Answer(403, b"AuthenticationFailed")
        path = self.paths.get(int(request.names[-1]))
        if self.expire_links:
            self.good_links.discard(request.path)
        return Answer(200, path, {"Content-Type": "application/octet-stream"}) if path else Answer(404)

    def lost(self, request: Request) -> None:
        """Half an asset stays, in the state `starter`."""
        found = re.match(r"/api/uploads/repos/[^/]+/[^/]+/releases/(\d+)/assets", request.path)
        release = self._by_id(int(found[1])) if found else None
        with self.lock:
            if release is not None and not self._named(release, self.renamed(request.query["name"])):
                self._asset(release, request, "starter")

    # what a test plants and looks at

    def commit(self, start: str) -> str:
        """The commit that begins so."""
        return next((c for c in self.commits if len(start) >= 7 and c.startswith(start)), "")

    def release(self, tag: str) -> dict[str, Any]:
        """The release of this tag."""
        return next(r for r in self.releases if r["tag_name"] == tag)

    def bytes_of(self, tag: str, name: str) -> Path:
        """Where the bytes of an asset lie."""
        return self.paths[next(a["id"] for a in self.release(tag)["assets"] if a["name"] == name)]

    @staticmethod
    def renamed(name: str) -> str:
        """What becomes of a name: other characters are dots, and none is at the beginning or the end."""
        name = re.sub(r"[^A-Za-z0-9._+-]", ".", name)
        return ("default" + name if name.startswith(".") else name).rstrip(".")

    # who may

    def _refused(self, request: Request) -> Answer | None:
        token = request.token
        if token and token not in self.writers | self.readers:
            return told(401, {"message": "Bad credentials", "documentation_url": DOCS, "status": "401"})
        names = request.names[2:]
        here = [n.lower() for n in names[1:3]] == [self.owner, self.repo]
        if not here or (self.private and not token):
            return self._missing()
        if request.method != "GET" and token not in self.writers:
            if not token:
                return self._missing()
            message = "Resource not accessible by personal access token"
            return told(403, {"message": message, "documentation_url": DOCS, "status": "403"})
        return None

    def _missing(self) -> Answer:
        return told(404, {"message": "Not Found", "documentation_url": DOCS, "status": "404"})

    def _invalid(self, resource: str, code: str, what: str, message: str = "") -> Answer:
        error = {"resource": resource, "code": code, "field": what} | (
            {"message": message} if message else {}
        )
        return told(422, {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS})

    # what is done

    def _done(self, request: Request, path: str) -> Answer:
        names = request.names[5:]  # behind api/v3/repos/OWNER/REPO
        match [request.method, *names]:
            case ["GET", "releases"]:
                return self._listed(request)
            case ["POST", "releases"]:
                return self._create(request)
            case ["GET", "releases", "latest"]:
                found = [r for r in self.releases if r["id"] == self.latest]
                return told(200, self._shown(found[0])) if found else self._missing()
            case ["GET", "releases", "tags", tag]:
                public = [r for r in self.releases if r["tag_name"] == tag and not r["draft"]]
                return told(200, self._shown(public[0])) if public else self._missing()
            case ["GET", "releases", "assets", number]:
                return self._asset_asked(request, int(number))
            case ["DELETE", "releases", "assets", number]:
                return self._asset_gone(int(number))
            case [method, "releases", number]:
                return self._one(request, method, int(number))
            case [method, "releases", number, "assets"]:
                release = self._by_id(int(number))
                if release is None or (release["draft"] and request.token not in self.writers):
                    return self._missing()
                return (
                    self._upload(request, release)
                    if method == "POST"
                    else self._paged(request, release["assets"])
                )
            case ["GET", "commits", ref]:
                sha = self.tags.get(ref.removeprefix("tags/")) or self.commit(ref)
                return told(200, self._commit(sha)) if sha else self._unknown_commit(ref)
        raise AssertionError(path)

    def _one(self, request: Request, method: str, number: int) -> Answer:
        release = self._by_id(number)
        if release is None or (release["draft"] and request.token not in self.writers):
            return self._missing()
        if method == "PATCH":
            return self._change(request, release)
        if method == "DELETE":
            self.releases.remove(release)
            return Answer(204)
        return told(200, self._shown(release))

    def _listed(self, request: Request) -> Answer:
        seen = [
            self._shown(r) for r in reversed(self.releases) if not r["draft"] or request.token in self.writers
        ]
        return self._paged(request, seen)

    def _paged(self, request: Request, values: list[Any]) -> Answer:
        each, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        each = min(each, 100)
        return told(200, values[(page - 1) * each : page * each])

    def _create(self, request: Request) -> Answer:
        asked = request.json()
        if not asked.get("tag_name"):
            return self._invalid("Release", "missing_field", "tag_name")
        release: dict[str, Any] = {
            "id": self.next(), "tag_name": asked["tag_name"], "name": asked.get("name", ""), "body": asked.get("body", ""),
            "target_commitish": asked.get("target_commitish", "main"), "draft": True,
            "prerelease": asked.get("prerelease", False), "assets": [], "immutable": False, "published_at": None,
        }  # fmt: skip
        if not asked.get("draft", False):
            refused = self._publish(release, asked.get("make_latest", "true"))
            if refused:
                return refused
        self.releases.append(release)
        return told(201, self._shown(release))

    def _change(self, request: Request, release: dict[str, Any]) -> Answer:
        asked = request.json()
        for name in ("name", "body", "prerelease", "target_commitish"):
            if name in asked:
                release[name] = asked[name]
        if "tag_name" in asked and asked["tag_name"] != release["tag_name"]:
            if release["immutable"]:
                return self._invalid(
                    "Release", "custom", "tag_name", "tag_name cannot be changed on an immutable release"
                )
            release["tag_name"] = asked["tag_name"]
        if asked.get("draft") is False and release["draft"]:
            refused = self._publish(release, asked.get("make_latest", "true"))
            if refused:
                # This answer is not described, but given: what GitHub does of all validation.
                return refused
        return told(200, self._shown(release))

    def _publish(self, release: dict[str, Any], latest: str) -> Answer | None:
        tag = release["tag_name"]
        if any(r is not release and r["tag_name"] == tag and not r["draft"] for r in self.releases):
            return self._invalid("Release", "already_exists", "tag_name")
        if tag not in self.tags:
            target = release["target_commitish"]
            if target != "main" and target not in self.commits:
                return self._invalid("Release", "invalid", "target_commitish")
            self.tags[tag] = self.commits[-1] if target == "main" else target
        release["draft"], release["published_at"], release["immutable"] = False, WHEN, self.immutable
        if latest == "true" and not release["prerelease"]:
            self.latest = release["id"]
        return None

    def _upload(self, request: Request, release: dict[str, Any]) -> Answer:
        name = self.renamed(request.query["name"])
        if release["immutable"]:
            return self._invalid(
                "ReleaseAsset", "custom", "name", "Cannot upload assets to an immutable release"
            )
        if request.size >= 2 << 30:
            return self._invalid("ReleaseAsset", "custom", "size", "size must be less than 2147483648")
        if self._named(release, name):
            return self._invalid("ReleaseAsset", "already_exists", "name")
        return told(201, self._asset(release, request, "uploaded"))

    def _asset(self, release: dict[str, Any], request: Request, state: str) -> dict[str, Any]:
        number = self.next()
        name = self.renamed(request.query["name"])
        api = f"{self.url}/api/v3/repos/{self.owner}/{self.repo}"
        digest = f"sha256:{request.headers['sha256']}" if self.digests and state == "uploaded" else None
        asset = {
            "id": number, "node_id": f"RA_{number}", "name": name, "label": "", "state": state, "digest": digest,
            "content_type": request.headers["content-type"], "size": request.size if state == "uploaded" else 0,
            "download_count": 0, "created_at": WHEN, "updated_at": WHEN, "uploader": self._user(),
            "url": f"{api}/releases/assets/{number}",
            "browser_download_url": f"{self.url}/{self.owner}/{self.repo}/releases/download/{quote(release['tag_name'])}/{quote(name)}",
        }  # fmt: skip
        release["assets"].append(asset)
        assert request.file is not None
        self.paths[number] = request.file
        return asset

    def _asset_asked(self, request: Request, number: int) -> Answer:
        for release in self.releases:
            for asset in release["assets"]:
                if asset["id"] == number and (not release["draft"] or request.token in self.writers):
                    if request.headers.get("accept") == "application/octet-stream":
                        asset["download_count"] += 1
                        return self._led(number)
                    return told(200, asset)
        return self._missing()

    def _asset_gone(self, number: int) -> Answer:
        for release in self.releases:
            for asset in release["assets"]:
                if asset["id"] == number:
                    release["assets"].remove(asset)
                    del self.paths[number]
                    return Answer(204)
        return self._missing()

    def _download(self, request: Request) -> Answer:
        names = request.names
        if names[2:4] == ["releases", "download"] and len(names) == 6 and not self.private:
            for release in self.releases:
                if release["tag_name"] == names[4] and not release["draft"]:
                    for asset in release["assets"]:
                        if asset["name"] == names[5] and asset["state"] == "uploaded":
                            asset["download_count"] += 1
                            return self._led(asset["id"])
        return Answer(404, b"Not Found", {"Content-Type": "text/html"})

    def _led(self, number: int) -> Answer:
        link = f"/signed-{self.next()}/{number}"
        self.good_links.add(link)
        return Answer(302, b"", {"Location": f"{self.elsewhere}{link}"})

    def _by_id(self, number: int) -> dict[str, Any] | None:
        return next((r for r in self.releases if r["id"] == number), None)

    def _named(self, release: dict[str, Any], name: str) -> bool:
        return any(a["name"] == name for a in release["assets"])

    def _tagged(self, request: Request, answer: Answer) -> Answer:
        limits = {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4999",
            "X-RateLimit-Reset": "1795262400",
        }
        answer.headers.update(limits)
        if request.method == "GET" and answer.status == 200 and isinstance(answer.body, bytes):
            etag = f'W/"{hashlib.sha256(answer.body).hexdigest()}"'
            answer.headers["ETag"] = etag
            if request.headers.get("if-none-match") == etag:
                return Answer(304, b"", {"ETag": etag, **limits})
        return answer

    def _shown(self, release: dict[str, Any]) -> dict[str, Any]:
        api = f"{self.url}/api/v3/repos/{self.owner}/{self.repo}"
        number = release["id"]
        page = f"untagged-{number}" if release["draft"] else quote(release["tag_name"])
        return {
            **release, "assets": [dict(a) for a in release["assets"]], "node_id": f"RE_{number}", "author": self._user(),
            "url": f"{api}/releases/{number}", "assets_url": f"{api}/releases/{number}/assets",
            "html_url": f"{self.url}/{self.owner}/{self.repo}/releases/tag/{page}",
            "upload_url": f"{self.url}/api/uploads/repos/{self.owner}/{self.repo}/releases/{number}/assets{{?name,label}}",
            "tarball_url": None, "zipball_url": None, "created_at": WHEN,
        }  # fmt: skip

    def _user(self) -> dict[str, Any]:
        at = f"{self.url}/users/octocat"
        return {
            "login": "octocat", "id": 1, "node_id": "U_1", "avatar_url": at, "gravatar_id": "", "url": at, "html_url": at,
            "followers_url": at, "following_url": at, "gists_url": at, "starred_url": at, "subscriptions_url": at,
            "organizations_url": at, "repos_url": at, "events_url": at, "received_events_url": at, "type": "User",
            "site_admin": False,
        }  # fmt: skip

    def _unknown_commit(self, ref: str) -> Answer:
        return told(422, {"message": f"No commit found for SHA: {ref}", "documentation_url": DOCS})

    def _commit(self, sha: str) -> dict[str, Any]:
        at = f"{self.url}/commit/{sha}"
        who = {"name": "T", "email": "t@example.org", "date": WHEN}
        return {
            "url": at, "sha": sha, "node_id": f"C_{sha}", "html_url": at, "comments_url": at, "author": self._user(),
            "committer": self._user(), "parents": [],
            "commit": {
                "url": at, "author": who, "committer": who, "message": "m", "comment_count": 0,
                "tree": {"sha": sha, "url": at},
            },
        }  # fmt: skip


def described(server: GitHub, channel: bytes, tag: str) -> None:
    """Give a release a description behind everybody's back."""
    server.release(tag)["body"] = channel.decode()
    json.dumps(server.release(tag))
