"""Versions published in a model repository of the Hugging Face Hub (docs/format.md, 10.10).

The layout is that of a bucket, on the branch `main`. A draft is a branch of its own. To finish it is one commit on
`main`, which takes over what lies in the draft, and a tag.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from rote.adapters.targets.bucket import (
    MANIFEST_BYTES,
    channel_key,
    key_of,
    object_name,
    prefix_of,
    released_in,
    tag_of_manifest,
)
from rote.adapters.targets.hubtalk import Files, blob_id, spooled, translated
from rote.errors import BadName, Conflict, NotFound, Refused, StoreUnavailable, Unknown, UsageError
from rote.laws.models import versions
from rote.laws.publishing import frontpage, releasetags
from rote.laws.publishing.releasetags import manifest_name
from rote.ports.hosting import CHANNEL_BYTES, HostedAsset, HostedRelease, Sending, Told
from rote.words.publication import NOTES

# isort: split
# Behind hubtalk, which says what to do where this package is not installed.
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, get_token
from huggingface_hub.hf_api import RepoFile

LARGEST: Final = 50_000_000_000
"""Bytes of one file, as the Hub takes it."""
ENDPOINT: Final = "https://huggingface.co"
MAIN: Final = "main"
_DRAFT: Final = "rote-draft-"
_NOTES_BYTES: Final = 4 << 20
_TRIES: Final = 20
_log = logging.getLogger(__name__)
_Operation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


class _BadCard(Exception):
    """The Hub refuses what stands at the head of a README.md."""


class HubHost:
    """A hosting.ReleaseHost in a model repository. Safe to share between threads."""

    def __init__(
        self,
        repo: str,
        *,
        endpoint: str = ENDPOINT,
        token: str | None = None,
        card: Callable[[str], str] | None = None,
    ) -> None:
        """`repo` is OWNER/NAME. `card` gives the card of the version with a tag; it becomes the repository's README.md
        where there is none, or one of a lower version that was written so. Nothing is asked yet."""
        self._repo = repo
        self._card = card
        # `False`: no token is looked for behind our back.
        self._api = HfApi(endpoint=endpoint.rstrip("/"), token=token or False, library_name="rote")
        self._files = Files(self._api, repo, self.url)
        self._committing = threading.Lock()

    @property
    def url(self) -> str:
        """`hf:OWNER/NAME`."""
        return f"hf:{self._repo}"

    @property
    def largest(self) -> int:
        """The Hub's own limit."""
        return LARGEST

    def asset_name(self, path: str) -> str:
        """As in a bucket."""
        return object_name(path)

    # ---- releases ----------------------------------------------------------------------------------------------

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag, or its draft. Raises BadName, Refused, StoreUnavailable."""
        below = prefix_of(tag)
        there = self._release(tag, MAIN, self._tree(below, MAIN))
        if there.asset(manifest_name(tag)) is not None:
            return there
        branch = _draft(tag)
        # A draft is for who may write, and nobody may without a token.
        if not self._api.token or branch not in self._heads():
            return None
        return self._release(tag, branch, self._tree(below, branch))

    def _release(self, tag: str, branch: str, found: Sequence[RepoFile]) -> HostedRelease:
        below = prefix_of(tag)
        assets = [
            HostedAsset(f.path.removeprefix(below), f.size, f.lfs.sha256 if f.lfs else None, key=f.path)
            for f in found
        ]
        notes = ""
        if any(asset.name == NOTES for asset in assets):
            read = self._files.small(below + NOTES, branch, _NOTES_BYTES)
            notes = read[0].decode("utf-8", "replace") if read else ""
        page = f"{self._api.endpoint}/{self._repo}/tree/{branch}/{below.rstrip('/')}"
        return HostedRelease(
            tag=tag, draft=branch != MAIN, assets=[a for a in assets if a.name != NOTES], title=tag, notes=notes,
            page=page, key=branch,
        )  # fmt: skip

    def latest(self) -> HostedRelease | None:
        """The one whose manifest says that it was released last."""
        newest: tuple[str, versions.Semver, str] | None = None
        for file in (*self._tree("models/", MAIN), *self._tree("releases/", MAIN)):
            tag = tag_of_manifest(file.path)
            if tag is None or file.size > MANIFEST_BYTES:
                continue
            read = self._files.small(file.path, MAIN, MANIFEST_BYTES)
            one = (released_in(read[0]) if read else "", releasetags.order(tag), tag)
            newest = max(newest, one) if newest else one
        return self.find(newest[2]) if newest else None

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """A draft: a branch that begins where `main` is. Raises Conflict, BadName, Refused."""
        there = self.find(tag)
        if there is not None and not there.draft:
            raise Conflict(tag, where=self.url)
        if there is None:
            with translated(tag, self.url):
                self._api.create_branch(self._repo, branch=_draft(tag), revision=MAIN, exist_ok=True)
            there = self._release(tag, _draft(tag), self._tree(prefix_of(tag), _draft(tag)))
        return there

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Upload one file and commit it to the draft; to `main` if the release is finished and has lost it. Raises
        Conflict, Changed, StoreFull, Refused, StoreUnavailable."""
        if file.name == NOTES:
            raise BadName(f"{NOTES} is the name of the notes")
        key = key_of(prefix_of(release.tag), file.name)
        branch = _branch(release)
        with spooled(file) as (spool, git):
            add = CommitOperationAdd(key, spool)

            def make(head: str) -> list[_Operation] | None:
                there = self._look(key, head)
                if there is None:
                    return [add]
                if there.size != file.size or _etag(there) not in (git, file.sha256):
                    raise Conflict(key, where=self.url)
                return None

            if make(self._head(branch, release.tag)) is not None:
                self._upload([add], branch, key)  # before it is our turn to commit: several go at once
                self._commit(branch, f"{release.tag}: {file.name}", make, release.tag)
        return HostedAsset(file.name, file.size, file.sha256, key)

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Remove a file from a draft. Raises Refused, StoreUnavailable."""
        key = key_of(prefix_of(release.tag), asset.name)

        def make(head: str) -> list[_Operation] | None:
            return [CommitOperationDelete(key)] if self._look(key, head) is not None else None

        self._commit(_branch(release), f"{release.tag}: without {asset.name}", make, release.tag)

    def finish(self, release: HostedRelease, *, notes: str) -> HostedRelease:
        """One commit on `main` with all that lies in the draft; then its tag; then the draft's branch goes. Raises
        Refused without a manifest, StoreUnavailable, and what making the card raises."""
        try:
            return self._finish(release, notes, self._card)
        except _BadCard as e:
            _log.warning("%s: no README.md was written: %s", self.url, e)
            return self._finish(release, notes, None)

    def _finish(self, release: HostedRelease, notes: str, card: Callable[[str], str] | None) -> HostedRelease:
        tag, below, branch = release.tag, prefix_of(release.tag), _draft(release.tag)
        listed = below + manifest_name(tag)

        def make(head: str) -> list[_Operation] | None:
            if self._look(listed, head) is not None:
                return None
            drafted = self._heads().get(branch)
            if drafted is None and self._look(listed, MAIN) is not None:
                return None  # another finished it this moment
            files = self._tree(below, drafted) if drafted else []
            if drafted is None or not any(file.path == listed for file in files):
                raise Refused(
                    f"{tag} has no manifest, which makes a release of what lies in a repository",
                    where=self.url,
                    safe="it stays a draft",
                )
            copies = [CommitOperationCopy(f.path, f.path, src_revision=drafted) for f in files]
            text = [_adding(below + NOTES, notes.encode())] if notes else []
            front = self._front(tag, head, card) if card else []
            return [*(copy for copy in copies if copy.path_in_repo != below + NOTES), *text, *front]

        self._commit(MAIN, f"Publish {tag}", make, tag)
        with translated(tag, self.url):
            self._api.create_tag(
                self._repo, tag=tag, tag_message=release.title or tag, revision=MAIN, exist_ok=True
            )
        if branch in self._heads():
            try:
                with translated(branch, self.url):
                    self._api.delete_branch(self._repo, branch=branch)
            except NotFound:
                pass  # another did the same this moment
        return self._release(tag, MAIN, self._tree(below, MAIN))

    def _front(self, tag: str, head: str, card: Callable[[str], str]) -> list[_Operation]:
        """What makes the card of a version the repository's README.md; nothing where that is somebody else's."""
        model, version = releasetags.parse(tag)
        there = self._look(frontpage.NAME, head)
        data = None
        if there is not None:
            if there.size > frontpage.MAX_BYTES:
                return []
            read = self._files.small(frontpage.NAME, head, frontpage.MAX_BYTES)
            data = read[0] if read else b""
        if not frontpage.gives_way(data, model, version):
            return []
        return [_adding(frontpage.NAME, frontpage.page(card(tag), model, version))]

    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of a file, in pieces. Raises NotFound, Corrupt, StoreUnavailable."""
        key = key_of(prefix_of(release.tag), asset.name)
        end = asset.size if length is None else start + length
        return self._files.range(key, _branch(release), start, end)

    # ---- channels ----------------------------------------------------------------------------------------------

    def channel(self, model: str, alias: str, etag: str | None = None) -> Told | None:
        """The channel document: one request. Raises NotFound, Corrupt, StoreUnavailable."""
        found = self._files.small(channel_key(model, alias), MAIN, CHANNEL_BYTES, etag)
        return Told(*found) if found else None

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a channel document by a commit that holds only on top of the one that was looked at. No two documents are
        ever equal, so that one whose reply was lost is known again. Raises Conflict, Refused, StoreUnavailable."""
        key = channel_key(model, alias)
        if len(document) > CHANNEL_BYTES:
            raise Refused(f"a channel document has at most {CHANNEL_BYTES} bytes", where=f"{self.url}: {key}")
        git = blob_id(len(document))
        git.update(document)
        mine = (git.hexdigest(), hashlib.sha256(document).hexdigest())  # in git, or in LFS
        tried = False

        def make(head: str) -> list[_Operation] | None:
            nonlocal tried
            now = _etag(self._look(key, head))
            if tried and now in mine:
                return None
            if now != (after.etag if after else None):
                raise Conflict(key, where=self.url)
            tried = True
            return [_adding(key, document)]

        self._commit(MAIN, f"{model}@{alias}", make, key)
        now = _etag(self._look(key, MAIN))
        return Told(document, now if now in mine else mine[0])

    # ---- commits -----------------------------------------------------------------------------------------------

    def _commit(
        self, branch: str, title: str, make: Callable[[str], list[_Operation] | None], what: str
    ) -> None:
        """Commit what `make` says on top of the commit that it looks at, again and again until nobody came between;
        nothing if it says None."""
        for _ in range(_TRIES):
            with self._committing:  # of our own threads only one is at it
                head = self._head(branch, what)
                operations = make(head)
                if operations is None:
                    return
                try:
                    self._upload(operations, branch, what)
                    with translated(what, self.url):
                        self._api.create_commit(
                            self._repo, operations, commit_message=title, revision=branch, parent_commit=head
                        )
                    return
                except Conflict:
                    continue
                except ValueError as e:
                    # The Hub is asked about the front matter of a README.md before it is committed.
                    if frontpage.NAME in str(e):
                        raise _BadCard(str(e)) from e
                    raise
                except StoreUnavailable:
                    # The reply may be lost, and the commit made: who looks again knows.
                    if self._head(branch, what) == head:
                        raise
        raise Unknown(what, where=self.url, next="try again: what was sent is not sent again")

    def _upload(self, operations: Sequence[_Operation], branch: str, what: str) -> None:
        """What goes to LFS goes there now; nothing if it has gone. A .gitignore in the repository, which would leave
        files out without a word, is not asked."""
        adds = [one for one in operations if isinstance(one, CommitOperationAdd)]
        with translated(what, self.url):
            self._api.preupload_lfs_files(
                self._repo, adds, revision=branch, num_threads=1, free_memory=False, gitignore_content=""
            )

    def _heads(self) -> dict[str, str]:
        """Branch -> its newest commit."""
        with translated("its branches", self.url):
            return {ref.name: ref.target_commit for ref in self._api.list_repo_refs(self._repo).branches}

    def _head(self, branch: str, what: str) -> str:
        head = self._heads().get(branch)
        if head is None:  # a draft that somebody finished this moment
            raise Conflict(what, where=self.url)
        return head

    def _look(self, key: str, revision: str) -> RepoFile | None:
        with translated(key, self.url):
            found = self._api.get_paths_info(self._repo, [key], revision=revision)
        return next((f for f in found if isinstance(f, RepoFile) and f.path == key), None)

    def _tree(self, below: str, revision: str) -> list[RepoFile]:
        """The files whose keys begin with `below`; none if there is no such folder."""
        try:
            with translated(below, self.url):
                found = self._api.list_repo_tree(
                    self._repo, below.rstrip("/"), recursive=True, revision=revision
                )
                return [file for file in found if isinstance(file, RepoFile)]
        except NotFound:
            return []


def host(
    repo: str,
    environ: Mapping[str, str],
    *,
    token: str | None = None,
    card: Callable[[str], str] | None = None,
) -> HubHost:
    """The repository OWNER/NAME at the Hub, or at `HF_ENDPOINT`; `card` as of HubHost. Without a `token` it is that
    which huggingface_hub finds: `HF_TOKEN`, or what `hf auth login` keeps. Raises UsageError for an `HF_ENDPOINT`
    without TLS."""
    endpoint = environ.get("HF_ENDPOINT") or ENDPOINT
    found = token or environ.get("HF_TOKEN", "").strip() or get_token()
    at = urlsplit(endpoint)
    if at.scheme != "https" and at.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise UsageError(
            "HF_ENDPOINT is not at https://, and a token goes nowhere else", next="unset HF_ENDPOINT"
        )
    return HubHost(repo, endpoint=endpoint, token=found, card=card)


def _adding(key: str, data: bytes) -> CommitOperationAdd:
    """As a reader, not as bytes: what goes to LFS goes over the LFS protocol then, which every server of the Hub's kind
    has, and never through Xet."""
    return CommitOperationAdd(key, io.BytesIO(data))


def _etag(file: RepoFile | None) -> str | None:
    """What a server says in `ETag` of this file."""
    return None if file is None else file.lfs.sha256 if file.lfs else file.blob_id


def _draft(tag: str) -> str:
    return f"{_DRAFT}{tag}"


def _branch(release: HostedRelease) -> str:
    return _draft(release.tag) if release.draft else MAIN
