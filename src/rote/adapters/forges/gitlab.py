"""GitLab Releases: the files lie in the project's package registry, and the release's page links to them
(https://docs.gitlab.com/api/releases, https://docs.gitlab.com/user/packages/generic_packages).

GitLab has no drafts. Files without a release are one: a package that a marker was put into first, so that it is there
before its files are; it is found by who has a token, and shown by no release page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from urllib.parse import quote

import msgspec

from rote.adapters.forges import naming
from rote.adapters.forges.host import ForgeHost
from rote.adapters.forges.packages import Marker, Package, PackageFile, Packages, hosted
from rote.adapters.forges.sending import Look, delivered
from rote.adapters.forges.talk import PAGE
from rote.adapters.forges.vendor import Answer
from rote.errors import Corrupt, Missing, Refused, StoreUnavailable
from rote.laws.publishing.releasetags import any_tag, is_channel
from rote.ports.hosting import HostedAsset, HostedRelease, Sending
from rote.words.ids import shown

_LONG_AGO = "2000-01-01T00:00:00Z"
"""When channels say that they were released, so that none is ever the latest."""
_LINK_PATH = re.compile(r"/(?:[-.\w]+/?)*[\da-zA-Z]+\Z", re.ASCII)


class _Links(msgspec.Struct, frozen=True):
    self: str = ""


class _Release(msgspec.Struct, frozen=True):
    tag_name: str
    name: str | None = None
    description: str | None = None
    upcoming_release: bool = False
    links: _Links = msgspec.field(name="_links", default_factory=_Links)


class _Project(msgspec.Struct, frozen=True):
    id: int
    default_branch: str | None = None


class _Commit(msgspec.Struct, frozen=True):
    id: str


class _Tag(msgspec.Struct, frozen=True):
    commit: _Commit


class GitLabHost(ForgeHost):
    """The releases of one project at GitLab."""

    maker = "GitLab"
    scope = "the scope `api` and the role Developer (a job's own token: that the project's settings allow it)"

    @cached_property
    def packages(self) -> Packages:
        """The project's package registry."""
        return Packages(self._talk, self._project_url, self._look)

    @cached_property
    def _project_url(self) -> str:
        return f"{self._at.server}/api/v4/projects/{quote(self._at.path, safe='')}"

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag with the files of its package; a draft only with a token."""
        release = self._release_of(any_tag(tag))
        if release is None and self._talk.token is None:
            return None
        package = self.packages.find(tag)
        if release is None and package is None:
            return None
        return self._told(tag, release, package)

    def latest(self) -> HostedRelease | None:
        """The release with the newest date that is neither a channel nor still to come."""
        url = f"releases?order_by=released_at&sort=desc&per_page={PAGE}"
        for release in self._talk.listed(lambda page: self._ask("GET", f"{url}&page={page}"), list[_Release]):
            tag = release.tag_name
            if not release.upcoming_release and not is_channel(tag):
                return self._told(tag, release, self.packages.find(tag))
        return None

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """The draft with this tag, made if there is none. Raises Conflict if the release is there already; Refused if
        the tag is there and names another commit."""
        any_tag(tag)
        self._talk.vendor.need_token()
        if self._release_of(tag) is not None:
            raise self._published(tag)
        package = self.packages.find(tag)
        if package is None:
            commit = self._at_commit(tag, commit)
            marker = msgspec.json.encode(Marker(title, commit))
            sha = hashlib.sha256(marker).hexdigest()
            draft = HostedRelease(tag=tag, draft=True, title=title, notes=notes)
            self.send(draft, Sending(naming.DRAFT, len(marker), sha, lambda start: iter([marker[start:]])))
            package = self.packages.find(tag)
            if package is None:
                raise Corrupt(
                    "GitLab took a file, and does not list its package", where=self.url, next="try again"
                )
        return msgspec.structs.replace(self._told(tag, None, package), title=title, notes=notes)

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Upload one file to the package, and compare what GitLab says of it. Raises Conflict, Refused, Corrupt,
        StoreUnavailable."""
        self._fits(file)
        look = Look(self, release, file)
        there = look.there() if file.name != naming.DRAFT else None
        if there is not None:
            return there
        url = f"{self.packages.url(release.tag, file.name)}?select=package_file"
        return delivered(self._talk, "PUT", url, file, look)

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Remove a file of the package, whichever copies there are of it. Raises Refused for a token that may not
        delete."""
        package = self.packages.find(release.tag)
        for file in self.packages.files(package) if package else []:
            if file.file_name == asset.name:
                url = f"packages/{package.id}/package_files/{file.id}" if package else ""
                self._ask("DELETE", url, fine=(204, 404))

    def finish(self, release: HostedRelease, *, notes: str) -> HostedRelease:
        """Make the release, with a link to each file. Raises Refused where GitLab does not make the tag."""
        there = self._release_of(release.tag)
        package = self.packages.find(release.tag)
        if there is None:
            if package is None:
                raise Missing(
                    f"there is no draft of {shown(release.tag)}", where=self.url, next="publish it again"
                )
            marker = self.packages.marker(release.tag)
            body = {
                "tag_name": release.tag,
                "name": release.title or marker.title or release.tag,
                "description": notes,
                "ref": marker.commit or self._branch(),
                "assets": {"links": [self._link(release.tag, a.name) for a in self.packages.assets(package)]},
            }
            there = self._released(release.tag, body)
        return self._told(release.tag, there, package)

    def _released(self, tag: str, body: Mapping[str, object]) -> _Release | None:
        try:
            answer = self._ask("POST", "releases", body=body, fine=(201, 409), repeat=False)
        except StoreUnavailable:
            made = self._release_of(tag)  # the reply may have been lost, not the release
            if made is None:
                raise
            return made
        return self._release_of(tag) if answer.status == 409 else self._decoded(answer)

    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of a file of the package."""
        return self._reader.read(
            self.packages.url(release.tag, asset.name), asset.name, asset.size, start, length
        )

    def page(self, tag: str, headers: Mapping[str, str]) -> Answer:
        """A channel's release."""
        answer = self._ask("GET", f"releases/{quote(tag, safe='')}", headers=headers, fine=(200, 304, 404))
        self._check_project(answer)
        return answer

    def description(self, answer: Answer) -> str:
        """What a release says of itself."""
        return self._decoded(answer).description or ""

    def make(self, tag: str, title: str, text: str) -> bool:
        """Make a channel's release, dated so that it is never the latest."""
        body = {
            "tag_name": tag,
            "name": title,
            "description": text,
            "ref": self._branch(),
            "released_at": _LONG_AGO,
        }
        return self._ask("POST", "releases", body=body, fine=(201, 409), repeat=False).status == 201

    def edit(self, answer: Answer, text: str) -> None:
        """Change a channel's release."""
        tag = quote(self._decoded(answer).tag_name, safe="")
        self._ask("PUT", f"releases/{tag}", body={"description": text})

    def copies(self, release: HostedRelease, name: str) -> list[tuple[HostedAsset, bool]]:
        """The file of this name: there are no halves."""
        found = self.packages.there(release.tag, name)
        return [(found, True)] if found else []

    def uploaded(self, answer: Answer) -> HostedAsset | None:
        """The file that an upload made; None if one of this name is there, and no second one is taken."""
        if answer.status in (200, 201):
            return hosted(self._talk.decoded(answer, PackageFile))
        if answer.status in (400, 403, 409) and b"uplicate" in answer.data:
            return None
        raise self._talk.vendor.refused(answer)

    def _release_of(self, tag: str) -> _Release | None:
        answer = self._ask("GET", f"releases/{quote(tag, safe='')}", fine=(200, 404))
        self._check_project(answer)
        if answer.status == 404:
            return None
        release = self._decoded(answer)
        if release.tag_name != tag:
            raise Corrupt(
                f"GitLab gave the release {shown(release.tag_name)} for {shown(tag)}", where=self.url
            )
        return release

    def _check_project(self, answer: Answer) -> None:
        """A missing release and a missing project both answer 404; what is said with it tells them apart."""
        if answer.status == 404 and b"project" in answer.data[:4096].lower():
            raise self._talk.vendor.refused(answer)

    def _told(self, tag: str, release: _Release | None, package: Package | None) -> HostedRelease:
        return HostedRelease(
            tag=tag,
            draft=release is None,
            assets=self.packages.assets(package) if package else [],
            title=(release.name or "") if release else "",
            notes=(release.description or "") if release else "",
            page=(release.links.self or f"{self._at.page}/-/releases/{quote(tag, safe='')}")
            if release
            else "",
            key=str(package.id) if package else "",
        )

    def _commit(self, ref: str) -> str | None:
        answer = self._look(f"repository/commits/{quote(ref, safe='')}")
        return self._talk.decoded(answer, _Commit).id if answer.status == 200 else None

    def _tagged(self, tag: str) -> str | None:
        answer = self._look(f"repository/tags/{quote(tag, safe='')}")
        return self._talk.decoded(answer, _Tag).commit.id if answer.status == 200 else None

    def _look(self, rest: str) -> Answer:
        answer = self._ask("GET", rest, fine=(200, 404))
        self._check_project(answer)
        return answer

    def _branch(self) -> str:
        project = self._talk.decoded(self._ask("GET", ""), _Project)
        if not project.default_branch:
            raise Refused(
                "the project has no commit yet, and a release needs one",
                where=self.url,
                next="git push, then again",
            )
        return project.default_branch

    def _link(self, tag: str, name: str) -> dict[str, str]:
        link = {"name": name, "url": self.packages.url(tag, name), "link_type": "package"}
        if _LINK_PATH.match(f"/{name}"):
            link["direct_asset_path"] = f"/{name}"
        return link

    def _decoded(self, answer: Answer) -> _Release:
        return self._talk.decoded(answer, _Release)

    def _ask(
        self,
        method: str,
        rest: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        fine: tuple[int, ...] = (200,),
        repeat: bool = True,
    ) -> Answer:
        url = f"{self._project_url}/{rest}" if rest else self._project_url
        return self._talk.ask(method, url, body=body, headers=headers, fine=fine, repeat=repeat)
