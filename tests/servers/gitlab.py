"""A test server that does what GitLab documents of releases and of the package registry, and what its source is known to
refuse. `python-gitlab`, which is not ours, is held against it by a test."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from servers.forge import Answer, Forge, Request, told

WHEN = "2026-11-21T11:00:00.000Z"
NAME = re.compile(r"[A-Za-z0-9._+-]+")
VERSION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_+.-]+")
LINK_PATH = re.compile(r"/(?:[-.\w]+/?)*[\da-zA-Z]+", re.ASCII)


class GitLab(Forge):
    """One project, `group/project`."""

    kind = "gitlab"
    token = "glpat-writer"
    repository = "group/project"

    def __init__(self, files: Path) -> None:
        super().__init__(files)
        self.project = "group/project"
        self.private = False
        self.maintainers = {self.token}
        self.developers = {"glpat-developer"}
        """May release, and not delete files."""
        self.readers = {"glpat-reader"}
        self.jobs = {"job-token"}
        self.duplicates = True
        self.direct = False
        """Whether downloads are led to the second server."""
        self.commits = ["c0ffee" + "0" * 34]
        self.tags: dict[str, str] = {}
        self.releases: list[dict[str, Any]] = []
        self.packages: list[dict[str, Any]] = []
        self.links: set[str] = set()

    @property
    def login(self) -> dict[str, str]:
        return {"GITLAB_HOST": self.host, "GITLAB_TOKEN": self.token}

    def uploads(self, method: str, path: str) -> bool:
        return method == "PUT" and "/packages/generic/" in path

    def answer(self, request: Request) -> Answer:
        names = request.names
        if names[:3] != ["api", "v4", "projects"] or len(names) < 4:
            self.wrong.append(f"{request.method} {request.path} is no path of the interface")
            return told(404, {"error": "404 Not Found"})
        answer = self._refused(request, names[3]) or self._done(request, names[4:])
        if request.method == "GET" and answer.status == 200 and isinstance(answer.body, bytes):
            etag = f'W/"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
            answer.headers["ETag"] = etag
            if request.headers.get("if-none-match") == etag:
                return Answer(304, b"", {"ETag": etag})
        return answer

    def give(self, request: Request) -> Answer:
        if request.path not in self.links:
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        file = self._file(int(request.names[-1]))
        return Answer(200, file["at"], {"Content-Type": "application/octet-stream"}) if file else Answer(404)

    # what a test plants and looks at

    def release(self, tag: str) -> dict[str, Any]:
        """The release of this tag."""
        return next(r for r in self.releases if r["tag_name"] == tag)

    def files_of(self, package: str, version: str) -> list[dict[str, Any]]:
        """The files of a package."""
        found = [p for p in self.packages if (p["name"], p["version"]) == (package, version)]
        return found[0]["files"] if found else []

    # who may

    def _refused(self, request: Request, project: str) -> Answer | None:
        token = request.token
        everybody = self.maintainers | self.developers | self.readers | self.jobs
        if token and (token not in everybody or ("job-token" in request.headers) != (token in self.jobs)):
            return told(401, {"message": "401 Unauthorized"})
        if project != self.project or (self.private and not token):
            return told(404, {"message": "404 Project Not Found"})
        if request.method != "GET":
            if not token:
                return told(401, {"message": "401 Unauthorized"})
            if token in self.readers or (request.method == "DELETE" and token not in self.maintainers):
                return told(403, {"message": "403 Forbidden"})
        return None

    # what is done

    def _done(self, request: Request, names: list[str]) -> Answer:
        match [request.method, *names]:
            case ["GET"]:
                return told(200, {"id": 7, "path_with_namespace": self.project, "default_branch": "main" if self.commits else None,
                                  "name": "project", "web_url": f"{self.url}/{self.project}"})  # fmt: skip
            case ["GET", "releases"]:
                newest = sorted(self.releases, key=lambda r: (r["released_at"], r["number"]), reverse=True)
                return self._paged(request, [self._shown(r) for r in newest])
            case ["POST", "releases"]:
                return self._create(request)
            case [method, "releases", tag]:
                return self._one(request, method, tag)
            case ["GET", "repository", "tags", tag]:
                if tag not in self.tags:
                    return told(404, {"message": "404 Tag Not Found"})
                return told(200, {"name": tag, "commit": {"id": self.tags[tag]}})
            case ["GET", "repository", "commits", sha]:
                found = [c for c in self.commits if len(sha) >= 7 and c.startswith(sha)]
                if not found:
                    return told(404, {"message": "404 Commit Not Found"})
                return told(200, {"id": found[0], "short_id": found[0][:8], "title": "m"})
            case ["GET", "packages"]:
                return self._search(request)
            case ["GET", "packages", number, "package_files"]:
                package = self._package(int(number))
                return (
                    self._paged(request, [self._seen(f) for f in package["files"]])
                    if package
                    else self._none()
                )
            case ["DELETE", "packages", number, "package_files", file]:
                package = self._package(int(number))
                for one in package["files"] if package else []:
                    if one["id"] == int(file):
                        package["files"].remove(one)  # type: ignore[index]  # it is there, for it has a file
                        return Answer(204)
                return self._none()
            case [method, "packages", "generic", name, version, file]:
                return (self._put if method == "PUT" else self._get)(request, name, version, file)
        self.wrong.append(f"{request.method} {request.path} is no path of the interface")
        return told(404, {"error": "404 Not Found"})

    def _none(self) -> Answer:
        return told(404, {"message": "404 Not found"})

    def _paged(self, request: Request, values: list[Any]) -> Answer:
        each, page = min(100, int(request.query.get("per_page", 20))), int(request.query.get("page", 1))
        return told(200, values[(page - 1) * each : page * each], **{"X-Page": str(page)})

    def _create(self, request: Request) -> Answer:
        asked = request.json()
        tag = asked.get("tag_name")
        if not tag:
            return told(400, {"error": "tag_name is missing"})
        if any(r["tag_name"] == tag for r in self.releases):
            return told(409, {"message": "Release already exists"})
        links = asked.get("assets", {}).get("links", [])
        for link in links:
            path = link.get("direct_asset_path")
            if not link.get("name") or not re.match(r"(https?|ftp)://", link.get("url", "")):
                return told(400, {"error": "assets[links][0][name] is missing, or the url is invalid"})
            if path is not None and not LINK_PATH.fullmatch(path):
                return told(422, {"message": "Links filepath is in an invalid format"})
        if len({link["name"] for link in links}) < len(links) or len({link["url"] for link in links}) < len(
            links
        ):
            return told(422, {"message": "Validation failed: Links have duplicate values (name)"})
        if tag not in self.tags:
            ref = asked.get("ref")
            if not ref:
                return told(422, {"message": "Ref is not specified"})
            sha = self.commits[-1] if ref == "main" and self.commits else ref
            if sha not in self.commits:
                return told(422, {"message": f"Failed to create tag: Target {ref} is invalid"})
            self.tags[tag] = sha
        release = {
            "tag_name": tag, "name": asked.get("name") or tag, "description": asked.get("description"),
            "released_at": asked.get("released_at", WHEN), "number": self.next(), "links": links,
        }  # fmt: skip
        self.releases.append(release)
        return told(201, self._shown(release))

    def _one(self, request: Request, method: str, tag: str) -> Answer:
        found = [r for r in self.releases if r["tag_name"] == tag]
        if not found:
            return told(404, {"message": "404 Not Found"})
        if method == "PUT":
            found[0].update(
                {k: v for k, v in request.json().items() if k in ("name", "description", "released_at")}
            )
        return told(200, self._shown(found[0]))

    def _search(self, request: Request) -> Answer:
        name, version = request.query.get("package_name", ""), request.query.get("package_version")
        seen = [
            {k: v for k, v in p.items() if k != "files"}
            | {"package_type": "generic", "status": "default", "created_at": WHEN}
            for p in self.packages
            if name in p["name"] and version in (None, p["version"])
        ]
        return self._paged(request, seen)

    def _put(self, request: Request, name: str, version: str, file: str) -> Answer:
        if not NAME.fullmatch(name) or not VERSION.fullmatch(version) or not NAME.fullmatch(file):
            which = (
                "package_name"
                if not NAME.fullmatch(name)
                else "package_version"
                if not VERSION.fullmatch(version)
                else "file_name"
            )
            return told(400, {"error": f"{which} is invalid"})
        found = [p for p in self.packages if (p["name"], p["version"]) == (name, version)]
        package = found[0] if found else {"id": self.next(), "name": name, "version": version, "files": []}
        if not self.duplicates and any(f["file_name"] == file for f in package["files"]):
            return told(400, {"message": "Validation failed: Duplicate package is not allowed"})
        if not found:
            self.packages.append(package)
        made = {
            "id": self.next(), "package_id": package["id"], "file_name": file, "size": request.size, "created_at": WHEN,
            "file_sha256": request.headers["sha256"], "at": request.file,
        }  # fmt: skip
        package["files"].append(made)
        return told(
            201,
            self._seen(made) if request.query.get("select") == "package_file" else {"message": "201 Created"},
        )

    def _get(self, request: Request, name: str, version: str, file: str) -> Answer:
        for package in self.packages:
            if (package["name"], package["version"]) == (name, version):
                for one in reversed(package["files"]):
                    if one["file_name"] == file:
                        if self.direct:
                            link = f"/signed-{self.next()}/{one['id']}"
                            self.links.add(link)
                            return Answer(302, b"", {"Location": f"{self.elsewhere}{link}"})
                        return Answer(200, one["at"], {"Content-Type": "application/octet-stream"})
        return self._none()

    def _package(self, number: int) -> dict[str, Any] | None:
        return next((p for p in self.packages if p["id"] == number), None)

    def _file(self, number: int) -> dict[str, Any] | None:
        return next((f for p in self.packages for f in p["files"] if f["id"] == number), None)

    def _seen(self, file: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in file.items() if k != "at"} | {"file_md5": None, "file_sha1": None}

    def _shown(self, release: dict[str, Any]) -> dict[str, Any]:
        page = f"{self.url}/{self.project}/-/releases/{quote(release['tag_name'], safe='')}"
        links = [
            {"id": n, "name": link["name"], "url": link["url"], "link_type": link.get("link_type", "other"),
             "direct_asset_url": f"{page}/downloads{link.get('direct_asset_path', '')}"}
            for n, link in enumerate(release["links"])
        ]  # fmt: skip
        shown = {k: v for k, v in release.items() if k not in ("links", "number")}
        return {
            **shown, "created_at": WHEN, "author": {"id": 1, "username": "octocat"}, "upcoming_release": False,
            "commit": {"id": self.tags[release["tag_name"]]}, "assets": {"count": len(links), "sources": [], "links": links},
            "_links": {"self": page, "edit_url": f"{page}/edit"}, "evidences": [],
        }  # fmt: skip


def described(server: GitLab, tag: str, text: str) -> None:
    """Give a release a description behind everybody's back."""
    server.release(tag)["description"] = json.loads(json.dumps(text))
