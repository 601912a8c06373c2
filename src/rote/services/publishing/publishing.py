"""Publishing: the files of a version, plain and verified, to a place where others get them (docs/format.md, 10.10).

The order of writes makes a version appear whole: every file, then the manifest, then the end of the draft. Whoever is
killed goes on where it stopped, for what is there already is compared and not sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from rote.errors import Conflict, Corrupt, Missing, Refused
from rote.laws.publishing import manifests, releasetags
from rote.laws.publishing.statements import MAX_BUNDLE
from rote.ports import Progress, Silence, Sink
from rote.ports.hosting import HostedRelease, ReleaseHost
from rote.services.data.snapshots import Snapshots
from rote.services.models.vouching import Vouching
from rote.services.publishing.shipping import Sender, Source, checked, other_draft, whole
from rote.words.ids import RunId, SnapshotId
from rote.words.publication import (
    MANIFEST,
    NOTES,
    SIGNATURE,
    ManifestRef,
    PublishedFile,
    PublishedManifest,
    PublishedOrigin,
)
from rote.words.snapshot import SnapshotRef
from rote.words.version import Version, VersionFile

THREADS = 4
"""Files that are sent at once."""


class Stored:
    """A `Source`: the snapshot of a version in a store."""

    def __init__(self, snapshots: Snapshots, ref: SnapshotRef) -> None:
        self._snapshots = snapshots
        self._ref = ref

    def give(self, sink: Sink, only: Collection[str]) -> None:
        """See Source. Raises Missing, Corrupt, StoreUnavailable."""
        self._snapshots.restore(self._snapshots.record(self._ref), sink, only=frozenset(only))


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be published: `files` sorted by the path's UTF-8 bytes."""

    model: str
    version: str
    files: Sequence[VersionFile]
    run: RunId | None = None
    commit: str | None = None
    released: str = ""
    origin: PublishedOrigin | msgspec.UnsetType = msgspec.UNSET

    @property
    def tag(self) -> str:
        """The tag of its release."""
        return releasetags.of_version(self.model, self.version)

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.model}@{self.version}"

    @property
    def snapshot(self) -> SnapshotId:
        """What follows from its files."""
        return manifests.snapshot_of(self.files)


def content_of(version: Version) -> Content:
    """What a version in a store is, to be published."""
    return Content(
        model=version.model,
        version=version.version,
        files=sorted(version.files, key=lambda file: file.path.encode()),
        run=version.run,
        commit=version.commit,
        released=version.released,
        origin=manifests.origin_of(version),
    )


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A version at a target. `sent` files and `bytes` were sent by this call; `created` tells whether it made the
    version there; `repaired` are files that had gone from there; `signed` tells whether it put a signature there."""

    model: str
    version: str
    target: str
    page: str
    created: bool
    sent: int
    bytes: int
    repaired: list[str]
    manifest: ManifestRef
    signed: bool = False


class Publishing:
    """Publishes versions at one target."""

    def __init__(
        self,
        host: ReleaseHost,
        *,
        threads: int = THREADS,
        progress: Progress | None = None,
        vouching: Vouching | None = None,
    ) -> None:
        """With `vouching` every version is signed by an identity, or was."""
        self._host = host
        self._vouching = vouching
        self._threads = threads
        self._progress = progress or Silence()

    def publish(
        self,
        content: Content,
        source: Source,
        *,
        notes: Callable[[], str] = str,
        commit: str | None = None,
        fresh: bool = False,
    ) -> Published:
        """Publish a version: nothing happens if it is there, whole and the same.

        `notes` are asked for when it is not. `commit` is what the tag is put on, at a forge that has it. `fresh` throws
        away what an attempt with other bytes left of a draft. Raises Refused for other bytes under this version,
        Corrupt if what arrived is not what was sent, Untrusted for a signature by another than it should be, and what
        host, source and notary raise.
        """
        there = self._host.find(content.tag)
        if there is None or there.draft:
            if there is not None and fresh:
                for asset in there.assets:
                    self._host.drop(there, asset)
            text, title = notes(), f"{content.model} {content.version}"
            try:
                release = self._host.begin(content.tag, title=title, notes=text, commit=commit)
            except Conflict:  # somebody else finished it this moment
                there = self._host.find(content.tag)
                if there is None:
                    raise
            else:
                return self._new(content, source, release, text)
        if there.asset(MANIFEST) is None:
            return self._manifest_again(content, source, there)
        return self._again(content, source, there)

    def manifest(
        self, release: HostedRelease, content: Content | None = None
    ) -> tuple[PublishedManifest, bytes]:
        """The manifest of a finished release, found sound, and its bytes. Raises Missing, Corrupt."""
        where = f"{self._host.url}: {release.tag}"
        asset = release.asset(MANIFEST)
        if asset is None:
            raise Missing(f"{release.tag} has no {MANIFEST}: it was not published by rote, or somebody deleted it",
                          where=self._host.url)  # fmt: skip
        if asset.size > manifests.MAX_BYTES:
            raise Corrupt("this manifest is larger than any is", where=where)
        data = b"".join(self._host.read(release, asset))
        found = manifests.decoded(data, where)
        if releasetags.of_version(found.model, found.version) != release.tag:
            raise Corrupt(f"the manifest is that of {found.model}@{found.version}", where=where)
        return found, data

    # ---- a new one ---------------------------------------------------------------------------------------------

    def _new(self, content: Content, source: Source, release: HostedRelease, notes: str) -> Published:
        signed = self._sign(
            content, release
        )  # before hours of sending: perhaps nobody vouches for who is here
        names = self._names(content.files)
        total = sum(file.size for file in content.files)
        self._progress.start(f"publishing {content.name}", total, "bytes")
        try:
            sender = Sender(self._host, release, names, threads=self._threads, progress=self._progress)
            files = sender.run(source, {file.path for file in content.files})
        finally:
            self._progress.done()
        self._refuse_strangers(content, release, files)
        made = PublishedManifest(
            model=content.model, version=content.version, snapshot=content.snapshot, files=files, run=content.run,
            commit=content.commit, released=content.released, origin=content.origin,
        )  # fmt: skip
        data = manifests.encoded(made)
        if len(data) > manifests.MAX_BYTES:
            raise Refused(
                f"{content.name} has too many files to be published: {len(files):,}", safe="it stays a draft"
            )
        try:
            checked(self._host, release, whole(MANIFEST, data))
        except Conflict:
            there = self._host.find(content.tag)
            if there is None or there.draft:
                raise self._other_draft(content, MANIFEST) from None
            return self._again(content, source, there)
        done = self._host.finish(release, notes=notes)
        return self._told(
            content, done, manifests.ref_of(data), created=True, sent=sender.sent, size=sender.bytes,
            signed=signed,
        )  # fmt: skip

    def _refuse_strangers(self, content: Content, release: HostedRelease, files: list[PublishedFile]) -> None:
        """What else lies in the draft is another's: none of it may come out under this version."""
        mine = {asset.name for file in files for asset in file.assets} | {MANIFEST, NOTES}
        if self._vouching is not None:
            mine.add(SIGNATURE)
        stranger = next((asset.name for asset in release.assets if asset.name not in mine), None)
        if stranger is not None:
            raise self._other_draft(content, stranger)

    def _other_draft(self, content: Content, name: str) -> Refused:
        return other_draft(self._host, content.name, name)

    def _names(self, files: Sequence[VersionFile]) -> dict[str, list[str]]:
        """Path -> the names of its parts."""
        names = manifests.Names([MANIFEST, NOTES, SIGNATURE])
        found = {}
        for file in files:
            name = names.take(self._host.asset_name(file.path))
            count = max(1, -(-file.size // self._host.largest))
            parts = [name] if count == 1 else [names.take(f"{name}.{n:03d}") for n in range(1, count + 1)]
            found[file.path] = parts
        return found

    def _manifest_again(self, content: Content, source: Source, there: HostedRelease) -> Published:
        """A release that is public without its manifest: somebody deleted that, if every file is one of ours."""
        names = {name for parts in self._names(content.files).values() for name in parts}
        stranger = next((a.name for a in there.assets if a.name not in names | {NOTES, SIGNATURE}), None)
        if stranger is not None or not there.assets:
            raise Missing(
                f"{content.tag} is there, and has no {MANIFEST}: it was not published by rote",
                where=self._host.url,
                safe="nothing was changed there",
                next="delete that release there, or release these files under another number",
            )
        done = self._new(content, source, there, there.notes)
        return msgspec.structs.replace(done, created=False, repaired=[MANIFEST])

    # ---- one that is there -------------------------------------------------------------------------------------

    def _again(self, content: Content, source: Source, there: HostedRelease) -> Published:
        found, data = self.manifest(there)
        if found.snapshot != content.snapshot:
            raise Refused(
                f"{content.name} is published there with other files; a version never changes",
                where=self._host.url,
                safe="nothing was changed there",
                next=f"release these files under another number: rote release {content.model} --bump patch",
            )
        missing = self._missing(content, there, found)
        sent = size = 0
        if missing:
            names = {file.path: [asset.name for asset in file.assets] for file in found.files}
            sender = Sender(
                self._host, there, names, threads=self._threads, progress=self._progress, former=missing
            )
            sender.run(source, missing.keys())
            sent, size = sender.sent, sender.bytes
        signed = self._sign(content, there)
        return self._told(
            content,
            there,
            manifests.ref_of(data),
            sent=sent,
            size=size,
            repaired=sorted(missing),
            signed=signed,
        )

    def _sign(self, content: Content, release: HostedRelease) -> bool:
        """Sign what is not signed yet; whether that was done. What is there is looked at."""
        if self._vouching is None:
            return False
        where = f"{self._host.url}: {content.tag}/{SIGNATURE}"
        there = release.asset(SIGNATURE)
        if there is None:
            bundle = self._vouching.sign(content.name, content.files, where)
            checked(self._host, release, whole(SIGNATURE, bundle))
            return True
        if there.size > MAX_BUNDLE:
            raise Corrupt("this signature is larger than any is", where=where)
        found = b"".join(self._host.read(release, there))
        self._vouching.check(
            found,
            content.name,
            content.files,
            where,
            safe="nothing was changed there",
            next=f"delete {SIGNATURE} there, then publish again: it is signed anew",
        )
        return False

    def _missing(
        self, content: Content, there: HostedRelease, found: PublishedManifest
    ) -> dict[str, PublishedFile]:
        here = {asset.name: asset for asset in there.assets}
        missing = {}
        for file in found.files:
            for asset in file.assets:
                known = here.get(asset.name)
                if known is None:
                    missing[file.path] = file
                elif known.size != asset.size or known.sha256 not in (None, asset.sha256):
                    other = (
                        "other bytes"
                        if known.size == asset.size
                        else f"{known.size:,} bytes there, not {asset.size:,}"
                    )
                    raise Corrupt(
                        f"{asset.name} of {content.name} has {other}: it was changed after it was published",
                        where=self._host.url,
                        safe="applications refuse it and keep the version they have",
                        next="delete it there, then publish again: what is missing is sent again",
                    )
        return missing

    def _told(
        self, content: Content, release: HostedRelease, ref: ManifestRef, *, created: bool = False, sent: int = 0,
        size: int = 0, repaired: Sequence[str] = (), signed: bool = False,
    ) -> Published:  # fmt: skip
        return Published(
            model=content.model, version=content.version, target=self._host.url, page=release.page, created=created,
            sent=sent, bytes=size, repaired=list(repaired), manifest=ref,
            signed=signed,
        )  # fmt: skip
