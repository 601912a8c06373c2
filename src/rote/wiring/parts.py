"""Builds adapters and services from settings: the one place that knows both.

Every part is made when it is first asked for, and its module is loaded then: a command pays for what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from rote.ports import Abilities, Clock, ObjectStore, Progress
from rote.wiring import config
from rote.wiring.config.root import FOLDER
from rote.wiring.config.settings import Settings
from rote.wiring.config.settings import read as read_settings
from rote.words.pipeline import Pipeline

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rote.adapters.signing.keyring import KeyRing
    from rote.adapters.stores.wrapping import Wrapping
    from rote.adapters.vcs import Git
    from rote.adapters.worktree.checkpoints import CheckpointFolder
    from rote.adapters.worktree.files import Files
    from rote.adapters.worktree.workspace import Workspace
    from rote.services.data.data import Data
    from rote.services.data.ingest import SnapshotWriter
    from rote.services.data.snapshots import Snapshots
    from rote.services.models.registry import Registry
    from rote.services.models.sealing import Sealing
    from rote.services.runs.catalogue import Catalogue
    from rote.services.runs.checkpointing import Checkpointing
    from rote.services.runs.checkpoints import CheckpointStore
    from rote.services.runs.joining import Joining
    from rote.services.runs.matching import Matching
    from rote.services.runs.results import Results
    from rote.services.runs.runs import Runs
    from rote.services.store.known import Known
    from rote.services.store.roots import Roots
    from rote.services.store.transactions import Transactions, Write
    from rote.services.upkeep.gc import Garbage
    from rote.wiring.dvcwiring import DvcWiring
    from rote.wiring.guarantees import Guarantees
    from rote.words.ids import RunId, SnapshotId
    from rote.words.record import StoreInfo
    from rote.words.run import Host


class Wiring:
    """The parts of one project, made on demand. Each property is a part; see its module for what it does.

    `wrap` puts something around the store, between it and everything else: a store that counts, or one that fails.
    With `count` requests are counted on a folder store too; those to any other are in any case.
    """

    # In-function imports below have one reason, which the first lines of this module give.

    def __init__(
        self,
        root: str,
        *,
        store: str | None,
        progress: Progress,
        cwd: str,
        wrap: Callable[[ObjectStore], ObjectStore] | None = None,
        count: bool = False,
    ) -> None:
        self.root = root
        self._count = count
        self._wrap = wrap
        self.progress = progress
        self.asked = store
        self._cwd = cwd
        self.own = os.path.join(root, FOLDER)
        self.cache = os.path.join(self.own, "cache")

    @cached_property
    def pipeline(self) -> Pipeline:
        return config.load(self.root)

    @cached_property
    def settings(self) -> Settings:
        return read_settings(self.root, self.pipeline, store=self.asked, environ=os.environ, cwd=self._cwd)

    @cached_property
    def store(self) -> ObjectStore:
        """The store. One in rote's own folder is founded where there never was one (a fresh clone); any other
        must be there, so that a disk that is not mounted is not taken for an empty store."""
        from rote.services.store.founding import found  # on demand

        url = self.settings.store.value
        fresh = url == os.path.join(self.own, "store") and not os.path.lexists(url) and not self._had_store()
        store = self.at(url, create=fresh)
        if fresh:
            found(store, self.clock)
            self.remember_store()
        return store

    def _had_store(self) -> bool:
        return os.path.exists(os.path.join(self.cache, "founded"))

    def remember_store(self) -> None:
        """Note that rote's own folder has a store, so that no other is founded should it be away one day."""
        os.makedirs(self.cache, exist_ok=True)
        with open(os.path.join(self.cache, "founded"), "wb"):
            pass

    @cached_property
    def reading(self) -> ObjectStore:
        """The store for reading snapshots: one that is no folder is read through the user's read cache. Whoever must
        know what really is in the store asks `store`."""
        size = self.settings.cache_size
        if "://" not in self.store.url or not size:
            return self.store
        from rote.adapters.stores.cached import CachedStore  # on demand

        return CachedStore(self.store, self.settings.cache.value, size, say=self.progress.say)

    def at(self, url: str, *, create: bool = False) -> ObjectStore:
        """The store at an address, wrapped as every store is; with `create` a folder may be made. Raises TooNew for a
        folder of a newer format; elsewhere each record says that itself, and to ask first would cost a request."""
        from rote.adapters.stores import address  # as above
        from rote.services.store.founding import refuse_newer  # on demand

        abilities = self.guarantees.abilities(url) if "://" in url else Abilities
        store: ObjectStore = address.at(url, base=self.root, create=create, abilities=abilities)
        if "://" not in store.url:
            refuse_newer(store)
        if "://" in store.url or self._count:
            store = self.wrapping.around(store)
        return store if self._wrap is None else self._wrap(store)

    def elsewhere(self, root: str) -> Wiring:
        """The parts of the same project in another working tree: with the same store, clock and account."""
        shared = {
            name: getattr(self, name)
            for name in ("store", "clock", "by", "guarantees", "wrapping", "project")
        }
        other = Wiring(
            root, store=self.settings.store.value, progress=self.progress, cwd=root, count=self._count
        )
        other.__dict__.update(shared)
        return other

    @cached_property
    def project(self) -> str:
        """The project's name in records: where its repository is, or its folder."""
        return self.git.origin() or self.root

    @cached_property
    def wrapping(self) -> Wrapping:
        from rote.adapters.stores.wrapping import Wrapping  # on demand

        return Wrapping(self.clock, account=self.settings.account, count=self._count, say=self.progress.say)

    def close(self, command: str) -> None:
        """Write down what the stores were asked; everything can be used on."""
        if "wrapping" in self.__dict__:
            self.wrapping.close(command)

    @cached_property
    def guarantees(self) -> Guarantees:
        from rote.wiring.guarantees import Guarantees  # on demand

        return Guarantees(self.cache, self.root, lambda: self.clock, self.progress)

    @cached_property
    def info(self) -> StoreInfo:
        from rote.services.store.founding import read  # on demand

        return read(self.store)

    @cached_property
    def clock(self) -> Clock:
        from rote.adapters.clock import SystemClock  # on demand

        return SystemClock()

    @cached_property
    def by(self) -> str:
        from rote.adapters.machine import by  # on demand

        return by(os.environ)

    @cached_property
    def host(self) -> Host:
        from rote.adapters.machine import (
            host,  # on demand: a run in which nothing has to be done records nothing
        )

        return host(os.environ)

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        from rote.laws.pipeline.redaction import secret_values  # on demand

        return secret_values(os.environ)

    @cached_property
    def git(self) -> Git:
        from rote.adapters.vcs import Git  # on demand

        return Git(self.root)

    @cached_property
    def transactions(self) -> Transactions:
        from rote.services.store.transactions import Transactions  # on demand

        return Transactions(self.store, self.clock, self.by)

    @cached_property
    def roots(self) -> Roots:
        from rote.services.store.roots import Roots  # on demand

        return Roots(self.store)

    @cached_property
    def snapshots(self) -> Snapshots:
        from rote.services.data.snapshots import NodeCache, Snapshots  # on demand

        return Snapshots(self.reading, cache=NodeCache())

    @cached_property
    def known(self) -> Known:
        from rote.services.store.known import Known  # on demand

        return Known(os.path.join(self.cache, "known.db"), self.info.id)

    def writer(self, write: Write) -> SnapshotWriter:
        from rote.services.data.ingest import SnapshotWriter  # on demand

        return SnapshotWriter(self.store, write, known=self.known, info=self.info)

    @cached_property
    def pinned(self) -> frozenset[SnapshotId]:
        """The snapshots that pointers name, in the working tree or anywhere in the history of the git repository."""
        from rote.words.pointer import SUFFIX, names  # on demand

        here = {pointer.snapshot for _, pointer in self.workspace.pointers()}
        return frozenset(here | {id for text in self.git.ever(SUFFIX) if (id := names(text))})

    @cached_property
    def garbage(self) -> Garbage:
        from rote.services.upkeep.gc import Garbage  # on demand

        self.guarantees.must_be_shared(self.settings.store.value, "rote gc")
        return Garbage(
            self.store,
            self.clock,
            snapshots=self.snapshots,
            transactions=self.transactions,
            writer=self.writer,
            pinned=self.pinned,
            progress=self.progress,
            by=self.by,
        )

    @cached_property
    def workspace(self) -> Workspace:
        from rote.adapters.worktree.workspace import Workspace  # on demand

        return Workspace(self.root, self.cache)

    def locked(self, command: str) -> AbstractContextManager[None]:
        """Hold the lock of the working tree for a command; whoever has it is waited for."""
        return self.workspace.lock(command, wait=True, say=self.progress.say)

    @cached_property
    def data(self) -> Data:
        from rote.services.data.data import Data  # on demand

        return Data(
            self.workspace,
            snapshots=lambda: self.snapshots,
            transactions=lambda: self.transactions,
            roots=lambda: self.roots,
            writer=self.writer,
            clock=self.clock,
            by=self.by,
            progress=self.progress,
        )

    @cached_property
    def results(self) -> Results:
        from rote.services.runs.results import Results  # on demand

        return Results(self.roots)

    @cached_property
    def files(self) -> Files:
        from rote.adapters.worktree.files import Files  # on demand

        return Files(self.root, self.cache)

    @cached_property
    def dvc(self) -> DvcWiring | None:
        """What reads DVC's files; None in a project whose stages are rote's own."""
        if not self.pipeline.dvc:
            return None
        from rote.wiring.dvcwiring import DvcWiring  # on demand

        return DvcWiring(
            self.root, self.cache, workspace=self.workspace, pipeline=self.pipeline, progress=self.progress
        )

    @cached_property
    def matching(self) -> Matching:
        from rote.services.runs.matching import Matching  # on demand

        return Matching(self.results, self.files)

    @cached_property
    def checkpoints(self) -> CheckpointStore:
        from rote.services.runs.checkpoints import CheckpointStore  # on demand

        return CheckpointStore(
            self.roots, self.transactions, self.snapshots, self.data,
            writer=self.writer, clock=self.clock, by=self.by,
        )  # fmt: skip

    def joining(
        self,
        *,
        wait: bool,
        attach: Callable[[bytes], None] | None,
        follow: Callable[[RunId, str], Iterator[bytes]],
    ) -> Joining:
        """Keeps a stage from being computed twice at once."""
        from rote.services.runs.joining import BUCKET, LOCAL, Joining  # on demand

        def able() -> bool:
            """A store for a single writer has said so already, before the run's record was written."""
            return (
                "://" not in self.store.url
                or self.guarantees.probed(self.settings.store.value).abilities.shared
            )

        return Joining(
            self.store, self.runs, self.matching, self.clock, by=self.by, progress=self.progress, wait=wait,
            attach=attach, follow=follow, able=able, poll=BUCKET if "://" in self.store.url else LOCAL,
        )  # fmt: skip

    def checkpointing(self, resumes: Collection[RunId]) -> Checkpointing:
        """Takes and brings back the checkpoints of a run that goes on with these."""
        from rote.services.runs.checkpointing import Checkpointing  # on demand

        return Checkpointing(
            self.checkpoints,
            self._checkpoint_folder,
            clock=self.clock,
            progress=self.progress,
            resumes=resumes,
            holds=self.matching.still,
        )

    def _checkpoint_folder(self, path: str) -> CheckpointFolder:
        from rote.adapters.worktree.checkpoints import CheckpointFolder  # on demand
        from rote.words.encoding import digest_of  # on demand

        note = os.path.join(self.cache, "checkpoints", digest_of(path.encode())[:32])
        return CheckpointFolder(self.workspace, path, note)

    @cached_property
    def runs(self) -> Runs:
        from rote.laws.pipeline.pacing import BUCKET, FOLDER  # on demand
        from rote.services.runs.runs import Runs  # on demand

        return Runs(
            self.store,
            self.roots,
            self.transactions,
            self.clock,
            folder=os.path.join(self.own, "runs"),
            secrets=self.secrets,
            pace=BUCKET if "://" in self.store.url else FOLDER,
        )

    @cached_property
    def catalogue(self) -> Catalogue:
        from rote.services.runs.catalogue import Catalogue  # on demand

        return Catalogue(self.store, self.clock, path=os.path.join(self.cache, "catalogue.db"))

    @cached_property
    def registry(self) -> Registry:
        from rote.services.models.registry import Registry  # on demand

        return Registry(self.store, self.roots, self.clock, self.by, self.sealing.seal)

    @cached_property
    def keyring(self) -> KeyRing:
        from rote.adapters.signing.keyring import KeyRing  # on demand

        return KeyRing(os.environ)

    @cached_property
    def sealing(self) -> Sealing:
        from rote.services.models.sealing import Sealing  # on demand

        return Sealing(self.pipeline.models.get, lambda: self.keyring)
