"""The manifest of a published version: what may stand in one, and the snapshot that follows from it (docs/format.md,
10.10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from rote.errors import BadName, BadPath, Corrupt
from rote.laws.data import nodes
from rote.laws.models import versions
from rote.words import paths
from rote.words.encoding import FORMAT, canonical, digest_of, refuse_newer
from rote.words.ids import Digest, SnapshotId, digest, shown
from rote.words.ids import name as parse_name
from rote.words.landed import Provenance
from rote.words.publication import (
    ManifestRef,
    PublishedFile,
    PublishedFiles,
    PublishedGate,
    PublishedManifest,
    PublishedOrigin,
)
from rote.words.version import Version, VersionFile

MAX_BYTES = 64 << 20
"""A manifest is never larger than this."""
MAX_SIZE = 1 << 50
"""Bytes that one file may say it has."""
ORIGIN_BYTES = 65_536
"""What a manifest says of its version's origin is never larger than this."""


def encoded(manifest: PublishedManifest | PublishedFiles) -> bytes:
    """The manifest as it lies at a target."""
    return canonical(manifest)


def ref_of(data: bytes) -> ManifestRef:
    """What a channel document says of a manifest."""
    return ManifestRef(size=len(data), digest=digest_of(data))


def origin_of(version: Version) -> PublishedOrigin | msgspec.UnsetType:
    """What a manifest says of where a version comes from: of params, metrics, gates and data, in this order, is left
    out what makes it too large. UNSET if nothing is known."""
    around = version.environment
    origin = PublishedOrigin(
        data={used.path: used.snapshot for used in version.data},
        params=version.params,
        metrics=version.metrics,
        gates=[
            PublishedGate(gate=one.gate, value=one.value, threshold=one.threshold, passed=one.passed)
            for one in version.gates
        ],
        python=around.python if around else "",
        system=around.system if around else "",
    )
    for name, nothing in (("params", {}), ("metrics", {}), ("gates", []), ("data", {})):
        if len(canonical(origin)) <= ORIGIN_BYTES:
            break
        origin = msgspec.structs.replace(origin, **{name: nothing, "left_out": [*origin.left_out, name]})
    return origin if origin != PublishedOrigin() else msgspec.UNSET


def provenance_of(version: Version) -> Provenance:
    """The same, with the names of the version, its run and its commit."""
    return Provenance(
        model=version.model, version=version.version, run=version.run, commit=version.commit,
        origin=origin_of(version),
    )  # fmt: skip


def snapshot_of(files: Sequence[VersionFile | PublishedFile]) -> SnapshotId:
    """The id of the snapshot that these files are, as a folder; `files` is sorted by the path's UTF-8 bytes."""
    listed = [file.path for file in files]
    cuts = nodes.ends(listed)
    if listed and (not cuts or cuts[-1] != len(listed)):
        cuts.append(len(listed))
    ids: list[Digest] = []
    begin = 0
    for end in cuts:
        part = files[begin:end]
        rows = nodes.Rows(
            [file.path for file in part],
            [file.size for file in part],
            bytes(file.executable for file in part),
            bytes.fromhex("".join(file.digest for file in part)),
        )
        ids.append(nodes.node_id(nodes.logical(rows)))
        begin = end
    return nodes.snapshot_id(False, ids)


def decoded(data: bytes, where: str) -> PublishedManifest:
    """A manifest from anywhere. Raises Corrupt for everything that no manifest may say (paths that lead out of a
    folder, sizes that do not add up, a snapshot that is not that of the files), TooNew."""
    manifest = _parsed(data, PublishedManifest, where)
    try:
        parse_name(manifest.model, "model name")
        versions.release(manifest.version)
        digest(manifest.snapshot)
    except BadName as e:
        raise _refused(e.what, where) from e
    _check_files(manifest.files, where)
    if snapshot_of(manifest.files) != manifest.snapshot:
        raise _refused("its files are not those of its snapshot", where)
    return manifest


def decoded_files(data: bytes, where: str) -> PublishedFiles:
    """The same of the list of files at a release that is of no model's version. Raises Corrupt, TooNew."""
    found = _parsed(data, PublishedFiles, where)
    _check_files(found.files, where)
    return found


_Kind = TypeVar("_Kind", PublishedManifest, PublishedFiles)


def _parsed(data: bytes, kind: type[_Kind], where: str) -> _Kind:
    if len(data) > MAX_BYTES:
        raise _refused(f"it has {len(data):,} bytes, more than any has", where)
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError) as e:
        refuse_newer(data, where, what="manifest")
        raise _refused(str(e), where) from e
    if found.format > FORMAT:
        refuse_newer(data, where, what="manifest")
    return found


def _check_files(files: Sequence[PublishedFile], where: str) -> None:
    try:
        for file in files:
            paths.check(file.path)
            digest(file.digest)
        paths.Together().add([file.path for file in files])
    except (BadName, BadPath) as e:
        raise _refused(e.what, where) from e
    for file in files:
        why = _why_bad(file)
        if why:
            raise _refused(f"of {shown(file.path)} {why}", where)
    listed = [file.path.encode() for file in files]
    if listed != sorted(set(listed)):
        raise _refused("its files are not in order", where)


def _why_bad(file: PublishedFile) -> str | None:
    if not 0 <= file.size <= MAX_SIZE:
        return "it says an impossible size"
    if not file.assets or any(a.size < 0 or not a.name for a in file.assets):
        return "it does not say what it is made of"
    if any(len(a.sha256) != 64 or a.sha256.strip("0123456789abcdef") for a in file.assets):
        return "a sha256 is none"
    if sum(a.size for a in file.assets) != file.size:
        return "the parts do not add up"
    if file.chunks and (sum(n for _, n in file.chunks) != file.size or any(n <= 0 for _, n in file.chunks)):
        return "the chunks do not add up"
    if any(len(d) != 64 or d.strip("0123456789abcdef") for d, _ in file.chunks):
        return "a chunk's digest is none"
    return None


class Names:
    """The names of a version's assets at one target, each given once. A target may have one name for two paths; the
    second gets a number."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in reserved}

    def take(self, name: str) -> str:
        """This name, or the next one like it that is free."""
        folder, slash, last = name.rpartition("/")
        stem, dot, suffix = last.rpartition(".")
        if not stem:
            stem, dot, suffix = last, "", ""
        found, n = name, 1
        while found.casefold() in self._taken:
            n += 1
            found = f"{folder}{slash}{stem}-{n}{dot}{suffix}"
        self._taken.add(found.casefold())
        return found


def _refused(why: str, where: str) -> Corrupt:
    return Corrupt(
        f"this manifest is not one to trust: {why}",
        where=where,
        safe="nothing was taken from it",
        next="ask who publishes it; if that is you, delete it there, then publish the version again",
    )
