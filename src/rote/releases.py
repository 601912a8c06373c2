"""Releases at forges and hubs, or in a bucket or folder, with two calls and no project around them:

from rote.releases import GitHub

GitHub("owner", "repo").publish(tag="v1.0.0", files=["model.onnx", "labels.txt"])
GitHub("owner", "repo").download(tag="v1.0.0", to="models")

A release is whole when it can be seen, and every file is verified after it came or went. Files may be of any size. A
tag such as `digits@v1.0.0` makes a version of a model, which applications can follow (`rote.client`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rote.adapters.clock import SystemClock
from rote.adapters.forges import opening
from rote.adapters.landing.loose import gathered
from rote.adapters.landing.shelf import FolderShelf
from rote.adapters.stores import address as stores
from rote.adapters.stores import locations
from rote.adapters.stores.retry import RetryingStore
from rote.adapters.targets.bucket import BucketHost, prefix_of
from rote.errors import Missing
from rote.laws.publishing import targetnames
from rote.ports.hosting import ReleaseHost
from rote.services.publishing.bundles import Bundles, PublishedBundle
from rote.services.publishing.downloads import LATEST, THREADS, DownloadedBundle, Downloads
from rote.words.ids import shown

if TYPE_CHECKING:
    from rote.ports import Progress

__all__ = ["Bucket", "DownloadedBundle", "GitHub", "GitLab", "Hub", "PublishedBundle"]

Files = Iterable[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]


class Releases:
    """The releases of one repository."""

    def __init__(
        self, address: str, *, token: str | None = None, largest: int | None = None, threads: int = THREADS
    ) -> None:
        """`address` is `github:owner/repo`, `gitlab:group/project`, or `KIND:https://HOST/PATH`. Without a `token` it
        is looked for (docs/forges.md). `largest`: bytes of one asset, beyond which a file is split; `threads`: files
        under way at once. Raises UsageError."""
        self._host: ReleaseHost = opening.host(
            address, clock=SystemClock(), environ=os.environ, token=token, largest=largest
        )
        self._threads = threads

    @property
    def url(self) -> str:
        """The address of the repository."""
        return self._host.url

    def publish(
        self,
        tag: str,
        files: Files,
        *,
        title: str = "",
        notes: str = "",
        commit: str | None = None,
        fresh: bool = False,
        progress: Progress | None = None,
    ) -> PublishedBundle:
        """Publish files, or folders of them, under a tag, which is made if it is not there (at `commit`, or the newest
        of the default branch). `files` may be a mapping: name -> path. It is a draft until all of them are there. The
        same again changes nothing, and goes on where it was cut off; other files under the same tag are refused.
        `fresh` removes first what an attempt with other files left. Raises Refused, Missing, StoreUnavailable."""
        bundles = Bundles(
            self._for_writing(tag), threads=self._threads, progress=progress, clock=SystemClock()
        )
        return bundles.publish(tag, gathered(files), title=title, notes=notes, commit=commit, fresh=fresh)

    def download(
        self,
        tag: str = LATEST,
        to: str | os.PathLike[str] = ".",
        files: Iterable[str] = (),
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> DownloadedBundle:
        """Download a release (`latest`: the newest), or the named `files` of it, into the folder `to`. What is there
        already is not read again; what was cut off goes on. Nothing changes before everything is here and verified.
        Raises Missing, Corrupt, Unsaved (files in the way that no download brought; `overwrite` lets go of them),
        StoreUnavailable."""
        folder = os.fspath(to)
        shelf = FolderShelf(folder, overwrite=overwrite)
        names = [files] if isinstance(files, str) else list(files)
        downloads = Downloads(self._for_reading(), threads=self._threads, progress=progress)
        return downloads.download(tag, shelf, folder, names)

    def _for_writing(self, tag: str) -> ReleaseHost:
        """The place, made if it has to be, once the tag is one. Raises UsageError."""
        return self._host

    def _for_reading(self) -> ReleaseHost:
        """The place, if it is there. Raises Missing."""
        return self._host


class GitHub(Releases):
    """The releases of a repository at GitHub, or at a GitHub Enterprise server."""

    def __init__(
        self,
        owner: str,
        repo: str,
        *,
        token: str | None = None,
        server: str = "https://github.com",
        largest: int | None = None,
        threads: int = THREADS,
    ) -> None:
        """See Releases. Raises UsageError."""
        super().__init__(f"github:{server}/{owner}/{repo}", token=token, largest=largest, threads=threads)


class GitLab(Releases):
    """The releases of a project at GitLab: gitlab.com, or a server of one's own."""

    def __init__(
        self,
        *project: str,
        token: str | None = None,
        server: str = "https://gitlab.com",
        largest: int | None = None,
        threads: int = THREADS,
    ) -> None:
        """`project` is `group/project`, or its parts: `GitLab("group", "project")`. See Releases. Raises UsageError."""
        path = "/".join(project)
        super().__init__(f"gitlab:{server}/{path}", token=token, largest=largest, threads=threads)


class Bucket(Releases):
    """Releases in a bucket or a folder."""

    def __init__(self, address: str, *, threads: int = THREADS) -> None:
        """`address` is a folder, `s3://BUCKET/PREFIX`, `gs://`, `az://`; to download from, also `https://`. Credentials
        come from where the vendor's tools find them (docs/stores.md). A folder is made when something is published.
        There is no tag in git: `title` and `commit` mean nothing here. `latest` needs the right to list. Raises
        UsageError."""
        self._address = address
        self._threads = threads
        cloud = locations.is_cloud(address)
        self._new = not cloud and not os.path.isdir(stores.folder(address))
        if not self._new:
            store = stores.at(address)
            readable = locations.scheme_of(address) in locations.READ_ONLY
            self._host = BucketHost(
                RetryingStore(store, SystemClock()) if cloud else store, writes=not readable
            )

    @property
    def url(self) -> str:
        """The address of the bucket or folder."""
        return stores.canonical(self._address, os.getcwd())

    def _for_writing(self, tag: str) -> ReleaseHost:
        prefix_of(tag)  # no folder is made for what is no tag
        if self._new:
            self._host = BucketHost(stores.at(self._address, create=True))
            self._new = False
        return self._host

    def _for_reading(self) -> ReleaseHost:
        if self._new:
            raise Missing(f"there is no folder {shown(self.url, 200)}", next="check how it is spelled")
        return self._host


class Hub(Releases):
    """Releases in a model repository of the Hugging Face Hub."""

    def __init__(self, owner: str, name: str, *, token: str | None = None, threads: int = THREADS) -> None:
        """Without a `token` it is that of `HF_TOKEN` or `hf auth login`. Raises UsageError, MissingExtra without the
        package huggingface_hub."""
        # An extra, which takes its time to load.
        from rote.adapters.targets import hub

        repo = targetnames.parsed(f"{targetnames.HUB}:{owner}/{name}").address
        self._host = hub.host(repo, os.environ, token=token)
        self._threads = threads
