"""GitHub Releases, at github.com and at GitHub Enterprise (https://docs.github.com/rest/releases)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated
from urllib.parse import quote

import msgspec

from rote.adapters.forges.host import ForgeHost
from rote.adapters.forges.sending import Look, delivered
from rote.adapters.forges.talk import PAGE
from rote.adapters.forges.vendor import Answer
from rote.errors import Corrupt, StoreUnavailable
from rote.laws.publishing.releasetags import any_tag
from rote.ports.hosting import HostedAsset, HostedRelease, Sending
from rote.words.ids import shown

_API = "2022-11-28"
_KNOWN_ALL = 30
"""So many assets a release surely tells whole; beyond, its pages are asked."""


class _Asset(msgspec.Struct, frozen=True):
    id: int
    name: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    state: str = "uploaded"
    digest: str | None = None


class _Release(msgspec.Struct, frozen=True):
    id: int
    tag_name: str
    draft: bool
    prerelease: bool = False
    name: str | None = None
    body: str | None = None
    html_url: str = ""
    upload_url: str = ""
    assets: list[_Asset] = []


class GitHubHost(ForgeHost):
    """The releases of one repository at GitHub."""

    maker = "GitHub"
    scope = "`contents: write` (fine-grained; in a job of Actions `permissions: contents: write`) or `repo` (classic)"

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag; a draft only with a token that may write. Raises Refused, StoreUnavailable."""
        found = self._find(any_tag(tag))
        return self._told(found) if found else None

    def latest(self) -> HostedRelease | None:
        """The release that GitHub calls latest: no draft, no pre-release, and so no channel."""
        answer = self._ask("GET", self._repo("releases/latest"), fine=(200, 404))
        return self._told(self._release(answer)) if answer.status == 200 else None

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """The draft with this tag, made if there is none. Raises Conflict if the release is public already; Refused
        if the tag is there and names another commit."""
        any_tag(tag)
        self._talk.vendor.need_token()
        found = self._find(tag)
        if found is None:
            commit = self._at_commit(tag, commit)
            found = self._create(tag, title, notes, commit)
        if not found.draft:
            raise self._published(tag)
        return self._told(found)

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Upload one asset, and compare what GitHub says of it. Raises Conflict, Refused, StoreUnavailable, Corrupt."""
        self._fits(file)
        look = Look(self, release, file)
        there = release.asset(file.name)
        if there is not None:
            return look.same(there)
        name = quote(file.name, safe="")
        url = f"{self._uploads}{self._repo_path(f'releases/{release.key}/assets')}?name={name}"
        return delivered(self._talk, "POST", url, file, look)

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Remove an asset."""
        self._ask("DELETE", self._repo(f"releases/assets/{asset.key}"), fine=(204, 404))

    def finish(self, release: HostedRelease, *, notes: str) -> HostedRelease:
        """Make the draft public. Raises Refused where GitHub does not make the tag (an unknown commit, a tag that is
        protected)."""
        now = self._release(self._ask("GET", self._repo(f"releases/{release.key}")))
        if not now.draft:
            return self._told(now)
        early = "-" in release.tag.rpartition("@v")[2] and "@v" in release.tag
        body = {
            "tag_name": release.tag,
            "body": notes,
            "draft": False,
            "prerelease": early,
            "make_latest": "false" if early else "true",
        }
        answer = self._ask("PATCH", self._repo(f"releases/{release.key}"), body=body)
        done = self._release(answer)
        if done.draft or done.tag_name != release.tag:
            raise Corrupt(
                f"GitHub did not make {shown(release.tag)} public", where=self.url, next="try again"
            )
        return self._told(done)

    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of an asset. Where no token is needed the public address is read, which costs none of the 60
        requests an hour that GitHub's interface serves to whoever has no token."""
        if self._talk.token is None:
            tag, name = quote(release.tag, safe=""), quote(asset.name, safe="")
            url = f"{self._at.page}/releases/download/{tag}/{name}"
        else:
            url = self._repo(f"releases/assets/{asset.key}")
        return self._reader.read(url, asset.name, asset.size, start, length)

    def page(self, tag: str, headers: Mapping[str, str]) -> Answer:
        """A channel's release."""
        return self._ask(
            "GET", self._repo(f"releases/tags/{quote(tag, safe='')}"), headers=headers, fine=(200, 304, 404)
        )

    def description(self, answer: Answer) -> str:
        """What a release says of itself."""
        return self._release(answer).body or ""

    def make(self, tag: str, title: str, text: str) -> bool:
        """Make a channel's release: a pre-release, which is never the latest."""
        body = {"tag_name": tag, "name": title, "body": text, "prerelease": True, "make_latest": "false"}
        answer = self._ask("POST", self._repo("releases"), body=body, fine=(201, 422), repeat=False)
        if answer.status == 422 and b"already_exists" not in answer.data:
            raise self._talk.vendor.refused(answer)
        return answer.status == 201

    def edit(self, answer: Answer, text: str) -> None:
        """Change a channel's release: its description is what may change even where releases are immutable."""
        self._ask("PATCH", self._repo(f"releases/{self._release(answer).id}"), body={"body": text})

    def copies(self, release: HostedRelease, name: str) -> list[tuple[HostedAsset, bool]]:
        """The asset of this name, whole or in part."""
        return [(_hosted(a), a.state == "uploaded") for a in self._assets(int(release.key)) if a.name == name]

    def uploaded(self, answer: Answer) -> HostedAsset | None:
        """The asset that an upload made; None if one of this name is there already."""
        if answer.status == 201:
            return _hosted(self._talk.decoded(answer, _Asset))
        if answer.status == 422 and b"already_exists" in answer.data:
            return None
        raise self._talk.vendor.refused(answer)

    def _find(self, tag: str) -> _Release | None:
        answer = self._ask("GET", self._repo(f"releases/tags/{quote(tag, safe='')}"), fine=(200, 404))
        if answer.status == 200:
            found = self._release(answer)
            if found.tag_name != tag:
                raise Corrupt(
                    f"GitHub gave the release {shown(found.tag_name)} for {shown(tag)}", where=self.url
                )
            return found
        if self._talk.token:
            return self._draft(tag)
        # Whether it is the release that is missing, or the repository, or a token for it, only this tells.
        self._ask("GET", f"{self._repo('releases')}?per_page=1")
        return None

    def _draft(self, tag: str) -> _Release | None:
        """The oldest draft with this tag: it is not found by its tag, and there may be several."""
        releases = self._talk.listed(self._pages("releases"), list[_Release])
        found = [r for r in releases if r.draft and r.tag_name == tag]
        return min(found, key=lambda r: r.id, default=None)

    def _create(self, tag: str, title: str, notes: str, commit: str | None) -> _Release:
        body = {"tag_name": tag, "name": title, "body": notes, "draft": True}
        if commit:
            body["target_commitish"] = commit
        try:
            answer = self._ask("POST", self._repo("releases"), body=body, fine=(201,), repeat=False)
            made = self._release(answer)
        except StoreUnavailable:
            found = self._find(tag)  # the reply may have been lost, not the draft
            if found is None:
                raise
            return found
        first = self._draft(tag)
        if first is not None and first.id < made.id:  # somebody was faster by a moment: go on with theirs
            self._ask("DELETE", self._repo(f"releases/{made.id}"), fine=(204, 404))
            return first
        return made

    def _tagged(self, tag: str) -> str | None:
        return self._commit(f"tags/{tag}")

    def _commit(self, ref: str) -> str | None:
        answer = self._ask("GET", self._repo(f"commits/{quote(ref, safe='')}"), fine=(200, 404, 409, 422))
        return self._talk.decoded(answer, _Commit).sha if answer.status == 200 else None

    def _told(self, release: _Release) -> HostedRelease:
        assets = release.assets
        if len(assets) >= _KNOWN_ALL:
            assets = self._assets(release.id)
        return HostedRelease(
            tag=release.tag_name,
            draft=release.draft,
            assets=[_hosted(a) for a in assets if a.state == "uploaded"],
            title=release.name or "",
            notes=release.body or "",
            page=release.html_url,
            key=str(release.id),
        )

    def _assets(self, release: int) -> list[_Asset]:
        return list(self._talk.listed(self._pages(f"releases/{release}/assets"), list[_Asset]))

    def _pages(self, rest: str) -> Callable[[int], Answer]:
        return lambda page: self._ask("GET", f"{self._repo(rest)}?per_page={PAGE}&page={page}")

    # The addresses of the interfaces follow from the server's. They are not taken from what a server says, so that the
    # token goes nowhere else.

    @cached_property
    def _api(self) -> str:
        return f"https://api.{self._at.host}" if self._is_githubs else f"{self._at.server}/api/v3"

    @cached_property
    def _uploads(self) -> str:
        return f"https://uploads.{self._at.host}" if self._is_githubs else f"{self._at.server}/api/uploads"

    @property
    def _is_githubs(self) -> bool:
        """Whether GitHub itself keeps the server, and not somebody who bought one."""
        return self._at.host == "github.com" or self._at.host.endswith(".ghe.com")

    def _release(self, answer: Answer) -> _Release:
        return self._talk.decoded(answer, _Release)

    def _repo_path(self, rest: str) -> str:
        return f"/repos/{self._at.path}/{rest}"

    def _repo(self, rest: str) -> str:
        return self._api + self._repo_path(rest)

    def _ask(
        self,
        method: str,
        url: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        fine: tuple[int, ...] = (200,),
        repeat: bool = True,
    ) -> Answer:
        heads = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _API, **(headers or {})}
        return self._talk.ask(method, url, body=body, headers=heads, fine=fine, repeat=repeat)


class _Commit(msgspec.Struct, frozen=True):
    sha: str


def _hosted(asset: _Asset) -> HostedAsset:
    kind, _, digest = (asset.digest or "").partition(":")
    known = kind == "sha256" and len(digest) == 64
    return HostedAsset(asset.name, asset.size, digest.lower() if known else None, str(asset.id))
