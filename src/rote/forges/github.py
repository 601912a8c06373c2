"""GitHub Releases, at github.com and at GitHub Enterprise (https://docs.github.com/rest/releases)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import quote

import msgspec

from rote.errors import Conflict, Corrupt, Refused, StoreUnavailable
from rote.forges import naming
from rote.forges.address import ForgeAddress
from rote.forges.channel import ChannelPages
from rote.forges.reading import Reader
from rote.forges.sending import Look, delivered
from rote.forges.talk import Patience, Talk
from rote.forges.tokens import Token, hint
from rote.forges.vendor import Answer, Vendor
from rote.forges.wire import Wire
from rote.hosting import HostedAsset, HostedRelease, Sending, Told
from rote.ids import shown
from rote.ports import Clock
from rote.releasetags import of_channel

_log = logging.getLogger("rote.forges")
LARGEST = (2 << 30) - 1
"""GitHub takes assets below 2 GiB."""
_SCOPE = (
    "`contents: write` (fine-grained; in a job of Actions `permissions: contents: write`) or `repo` (classic)"
)
_PAGE = 100
_MOST_PAGES = 100
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


class GitHubHost:
    """A hosting.ReleaseHost: the releases of one repository. Safe to share between threads."""

    def __init__(
        self,
        at: ForgeAddress,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        token: Token | None = None,
        wire: Wire | None = None,
        patience: Patience | None = None,
        largest: int = LARGEST,
        any_commit: bool = False,
    ) -> None:
        """`environ` says only what to type for a token; `token` is what is used. With `any_commit` a release of a
        commit that is not there is tagged at the default branch, with a warning; else it is refused."""
        self._any_commit = any_commit
        self._at = at
        self._largest = largest
        self._api, self._uploads = _interfaces(at)
        vendor = Vendor(
            name="GitHub" if at.at_home else at.host,
            where=at.text,
            missing=hint(at, environ),
            scope=_SCOPE,
            token=token,
        )
        self._talk = Talk(wire or Wire(), clock, vendor, patience or Patience())
        self._reader = Reader(self._talk)
        self._channels = ChannelPages(self, at.text)

    @property
    def url(self) -> str:
        """The repository's address."""
        return self._at.text

    @property
    def largest(self) -> int:
        """Bytes that one asset may have."""
        return self._largest

    def asset_name(self, path: str) -> str:
        """The name of the asset that holds the file of this path."""
        return naming.asset(path)

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag; a draft only with a token that may write. Raises Refused, StoreUnavailable."""
        found = self._find(naming.tag(tag))
        return self._told(found) if found else None

    def latest(self) -> HostedRelease | None:
        """The release that GitHub calls latest: no draft, no pre-release, and so no channel."""
        answer = self._ask("GET", self._repo("releases/latest"), fine=(200, 404))
        return self._told(self._release(answer)) if answer.status == 200 else None

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """The draft with this tag, made if there is none. Raises Conflict if the release is public already; Refused
        if the tag is there and names another commit."""
        naming.tag(tag)
        self._talk.vendor.need_token()
        found = self._find(tag)
        if found is None:
            commit = self._at_commit(tag, commit)
            found = self._create(tag, title, notes, commit)
        if not found.draft:
            raise Conflict(
                tag, where=self.url, next="a version that is published does not change: make a new one"
            )
        return self._told(found)

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Upload one asset, and compare what GitHub says of it. Raises Conflict, Refused, StoreUnavailable, Corrupt."""
        if file.size > self._largest:
            raise Refused(
                f"{file.name} has {file.size} bytes; GitHub takes {self._largest} at most", where=self.url
            )
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

    def channel(self, model: str, alias: str, etag: str | None = None) -> Told | None:
        """The channel document: one request, which GitHub does not count if nothing is new and a token is there."""
        return self._channels.read(model, alias, etag)

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a channel document. Raises Conflict, Refused, StoreUnavailable."""
        of_channel(model, alias)
        self._talk.vendor.need_token()
        return self._channels.move(model, alias, document, after)

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

    def digest_of(self, release: HostedRelease, asset: HostedAsset) -> str:
        """SHA-256 of an asset: what GitHub says, or, where it says nothing (before 2025), of its bytes."""
        if asset.sha256 is not None:
            return asset.sha256
        sha = hashlib.sha256()
        for part in self.read(release, asset):
            sha.update(part)
        return sha.hexdigest()

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
        found = []
        for page in range(1, _MOST_PAGES + 1):
            answer = self._ask("GET", f"{self._repo('releases')}?per_page={_PAGE}&page={page}")
            releases = self._talk.decoded(answer, list[_Release])
            found += [r for r in releases if r.draft and r.tag_name == tag]
            if len(releases) < _PAGE:
                break
        return min(found, key=lambda r: r.id) if found else None

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

    def _at_commit(self, tag: str, commit: str | None) -> str | None:
        """Where the tag is made; None: at the default branch. Raises Refused if it is there at another commit, or the
        commit is not."""
        if not commit:
            return None
        known = self._commit(commit)
        if known is None and self._any_commit:
            _log.warning("%s has no commit %s: the tag is made at its default branch", self.url, commit[:12])
            return None
        if known is None:
            raise naming.unknown_commit(commit, self.url)
        there = self._commit(f"tags/{tag}")
        if there not in (None, known):
            raise naming.other_commit(tag, there, known, self.url)
        return known

    def _commit(self, ref: str) -> str | None:
        """The commit that is meant, or None if there is none."""
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
        found: list[_Asset] = []
        for page in range(1, _MOST_PAGES + 1):
            url = f"{self._repo(f'releases/{release}/assets')}?per_page={_PAGE}&page={page}"
            part = self._talk.decoded(self._ask("GET", url), list[_Asset])
            found += part
            if len(part) < _PAGE:
                break
        return found

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


def _interfaces(at: ForgeAddress) -> tuple[str, str]:
    """The addresses of the interface and of the one for uploads: they follow from the server's, and are not taken from
    what a server says, so that the token goes nowhere else."""
    host = at.host
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"https://api.{host}", f"https://uploads.{host}"
    return f"{at.server}/api/v3", f"{at.server}/api/uploads"
