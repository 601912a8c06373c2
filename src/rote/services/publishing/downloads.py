"""Downloads: files of a release, verified, to where they are used, without a project around them (`bundles`)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from rote.errors import BadPath, Corrupt, Missing, NotFound
from rote.laws.publishing import manifests, releasetags
from rote.ports import Progress, Silence
from rote.ports.hosting import HostedRelease, ReleaseHost
from rote.ports.loose import Shelf, Slot, Wanted
from rote.services.store.crews import Crew
from rote.words import paths
from rote.words.ids import Digest, nearest, shown
from rote.words.publication import FILES, MANIFEST, PublishedAsset

THREADS = 4
"""Files that are under way at once."""
LATEST = "latest"


class DownloadedBundle(msgspec.Struct, frozen=True, kw_only=True):
    """Files of a release that are in the folder `to` now. `written` were brought by this call, `bytes` of them; of the
    `unverified` the host knows no digest: their sizes are right, and no more is known."""

    tag: str
    target: str
    to: str
    files: list[str]
    written: int
    bytes: int
    unverified: list[str]


class Described(msgspec.Struct, frozen=True):
    """The files of a release, and the name and bytes of the `manifest` that says so (both empty of a release that was
    made by hand)."""

    files: list[Wanted]
    manifest: str = ""
    data: bytes = b""


class Downloads:
    """Downloads from one host."""

    def __init__(
        self, host: ReleaseHost, *, threads: int = THREADS, progress: Progress | None = None
    ) -> None:
        self._host = host
        self._progress = progress or Silence()
        self._crew = Crew(threads)

    def download(self, tag: str, shelf: Shelf, to: str, names: Collection[str] = ()) -> DownloadedBundle:
        """Bring the files of a release (`latest`: the newest), or those that are named, to a shelf. Nothing on it
        changes before all of them are here and verified. Raises Missing, Corrupt, Unsaved, and what the host raises."""
        release = self._host.latest() if tag == LATEST else self._host.find(tag)
        if release is None or release.draft:
            raise Missing(
                f"there is no release {shown(tag)}" if tag != LATEST else "there is no release yet",
                where=self._host.url,
                next="check how it is spelled; one that is being published is there when it is whole",
            )
        known = self.described(release)
        files = known.files
        wanted = _chosen(files, names, f"{self._host.url}: {release.tag}")
        missing = shelf.missing(wanted)
        self._progress.start(f"downloading {release.tag}", sum(file.size for file in missing), "bytes")
        try:
            digests = dict(
                self._crew.each(lambda file: (file.path, self._bring(release, file, shelf)), missing)
            )
        finally:
            self._progress.done()
        shelf.place(missing, digests)
        shelf.note(known.manifest, known.data)
        return DownloadedBundle(
            tag=release.tag,
            target=self._host.url,
            to=to,
            files=[file.path for file in wanted],
            written=len(missing),
            bytes=sum(file.size for file in missing),
            unverified=[f.path for f in wanted if any(not asset.sha256 for asset in f.assets)],
        )

    def described(self, release: HostedRelease) -> Described:
        """The files of a release, as its manifest says, or, of one that was made by hand, its host. Raises
        Corrupt for a manifest that is not to be trusted, and for names that no file may have."""
        where = f"{self._host.url}: {release.tag}"
        for name in (MANIFEST, FILES):
            asset = release.asset(name)
            if asset is None:
                continue
            if asset.size > manifests.MAX_BYTES:
                raise Corrupt("this manifest is larger than any is", where=where)
            data = b"".join(self._host.read(release, asset))
            if asset.sha256 is not None and hashlib.sha256(data).hexdigest() != asset.sha256:
                raise _swapped(name, where)
            if name == MANIFEST:
                found = manifests.decoded(data, where)
                tag, files = releasetags.of_version(found.model, found.version), found.files
            else:
                loose = manifests.decoded_files(data, where)
                tag, files = loose.tag, loose.files
            if tag != release.tag:
                raise Corrupt(
                    f"the manifest is that of {shown(tag)}", where=where, safe="nothing was taken from it"
                )
            wanted = [
                Wanted(path=f.path, size=f.size, assets=f.assets, digest=f.digest, executable=f.executable)
                for f in files
            ]
            return Described(wanted, name, data)
        try:
            check_paths([asset.name for asset in release.assets])
        except BadPath as e:
            raise Corrupt(e.what, where=where, safe="nothing was written") from None
        return Described(
            [
                Wanted(path=a.name, size=a.size, assets=[PublishedAsset(a.name, a.size, a.sha256 or "")])
                for a in release.assets
            ]
        )

    def _bring(self, release: HostedRelease, file: Wanted, shelf: Shelf) -> Digest:
        """One file, on from where an earlier attempt stopped; from the beginning if that left wrong bytes."""
        slot = shelf.slot(file)
        try:
            check = _Check(file)
            for data in slot.existing():
                check.feed(data)
            resumed = check.at
            self._progress.step(min(resumed, file.size))
            if check.sound():
                self._rest(release, file, slot, check)
                if check.wrong() is None:
                    return check.digest()
            if resumed == 0:
                raise _swapped(check.wrong() or file.path, f"{self._host.url}: {release.tag}")
            slot.restart()
            check = _Check(file)
            self._rest(release, file, slot, check)
            wrong = check.wrong()
            if wrong is not None:
                raise _swapped(wrong, f"{self._host.url}: {release.tag}")
            return check.digest()
        except Corrupt:
            slot.restart()
            raise
        finally:
            slot.close()

    def _rest(self, release: HostedRelease, file: Wanted, slot: Slot, check: _Check) -> None:
        begin = 0
        for part in file.assets:
            asset = release.asset(part.name)
            if asset is None or asset.size != part.size:
                gone = (
                    "is not there any more"
                    if asset is None
                    else f"has {asset.size:,} bytes, not {part.size:,}"
                )
                raise Missing(
                    f"{shown(part.name)} of {release.tag} {gone}: somebody changed the release",
                    where=self._host.url,
                    safe="nothing in the folder was changed",
                    next="whoever published it publishes the same again: what is missing is sent again"
                    + ("" if asset is None else ", once what was changed is deleted there"),
                )
            start = check.at - begin
            if start < part.size:
                try:
                    for data in self._crew.going(self._host.read(release, asset, max(start, 0))):
                        slot.write(data)
                        check.feed(data)
                        self._progress.step(len(data))
                except NotFound as e:
                    raise Missing(
                        e.what,
                        where=self._host.url,
                        safe="nothing in the folder was changed",
                        next="try again",
                    ) from None
            begin += part.size


class _Check:
    """Compares a file that comes in order with what it should be."""

    def __init__(self, file: Wanted) -> None:
        self.at = 0
        self._file = file
        self._ends = [sum(a.size for a in file.assets[: n + 1]) for n in range(len(file.assets))]
        self._sums: list[Any] = [hashlib.sha256() for _ in file.assets]
        self._whole = blake3()

    def feed(self, data: bytes) -> None:
        self._whole.update(data)
        rest = memoryview(data)
        while rest:
            part = next((n for n, end in enumerate(self._ends) if self.at < end), len(self._ends) - 1)
            taken = rest[: max(self._ends[part] - self.at, 0) or len(rest)]
            self._sums[part].update(taken)
            self.at += len(taken)
            rest = rest[len(taken) :]

    def sound(self) -> bool:
        """Whether what came so far can be the beginning."""
        done = [n for n, end in enumerate(self._ends) if end <= self.at]
        return self.at <= self._file.size and all(self._right(n) for n in done)

    def wrong(self) -> str | None:
        """The asset that is not what it should be, or None if all is right."""
        if self.at != self._file.size:
            return self._file.path
        bad = next((a.name for n, a in enumerate(self._file.assets) if not self._right(n)), None)
        if bad is None and self._file.digest is not None and self.digest() != self._file.digest:
            bad = self._file.path
        return bad

    def digest(self) -> Digest:
        return Digest(self._whole.hexdigest())

    def _right(self, n: int) -> bool:
        wanted = self._file.assets[n].sha256
        return not wanted or self._sums[n].hexdigest() == wanted


def _chosen(files: Sequence[Wanted], names: Collection[str], where: str) -> list[Wanted]:
    if not names:
        return list(files)
    by_path = {file.path: file for file in files}
    for name in names:
        if name not in by_path:
            meant = nearest(name, list(by_path))
            few = ", ".join(sorted(by_path)[:5]) + (", …" if len(by_path) > 5 else "")
            raise Missing(
                f"there is no file {shown(name)}",
                where=where,
                next=f"did you mean {shown(meant)}?" if meant else f"there are: {few}",
            )
    return [by_path[name] for name in dict.fromkeys(names)]


def check_paths(found: Sequence[str]) -> None:
    """Raises BadPath for names that no file may have, or that not all systems tell apart."""
    for path in found:
        paths.check(path)
        if path in (MANIFEST, FILES):
            raise BadPath(f"{path} is the name of rote's own list of files", next="rename it, then try again")
    paths.Together().add(found)


def _swapped(name: str, where: str) -> Corrupt:
    return Corrupt(
        f"{shown(name)} is not what was published: its digest is another",
        where=where,
        safe="nothing in the folder was changed",
        next="try again; if it stays so, somebody changed it there: do not use it",
    )
