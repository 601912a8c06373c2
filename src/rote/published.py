"""The manifest of a published version: decoded, and held against what names it (docs/format.md, 10.10)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rote import paths
from rote.encoding import FORMAT, digest_of
from rote.errors import BadPath, Corrupt, TooNew
from rote.ids import SnapshotId
from rote.nodes import Rows, ends, logical, node_id, snapshot_id
from rote.publication import ManifestRef, PublishedFile, PublishedManifest
from rote.snapshot import SnapshotRef

MAX_BYTES = 64 << 20
_MAX_CHUNK = 64 << 20


def read(
    data: bytes,
    where: str,
    *,
    model: str,
    version: str,
    ref: ManifestRef | None,
    snapshot: SnapshotRef | None,
) -> PublishedManifest:
    """Decode a manifest, and make sure that it is the one of this version, that its size and digest are those of `ref`,
    and that the files in it are `snapshot` (where these are known). Raises Corrupt, TooNew."""
    if ref is not None and (len(data), digest_of(data)) != (ref.size, ref.digest):
        raise _not_it("it is not the one that the channel document names", where)
    try:
        manifest = msgspec.json.decode(data, type=PublishedManifest)
    except (msgspec.DecodeError, RecursionError) as e:
        _refuse_newer(data, where)
        raise _not_it(str(e), where) from e
    if manifest.format != FORMAT:
        _refuse_newer(data, where)
    if (manifest.model, manifest.version) != (model, version):
        raise _not_it(f"it is that of {manifest.model[:100]}@{manifest.version[:100]}", where)
    why = _why_bad(manifest.files)
    if why:
        raise _not_it(why, where)
    if identify(manifest.files) != manifest.snapshot:
        raise _not_it("its files are not those of its snapshot", where)
    total = sum(f.size for f in manifest.files)
    if snapshot is not None and (manifest.snapshot, len(manifest.files), total) != (
        snapshot.id, snapshot.files, snapshot.size,
    ):  # fmt: skip
        raise _not_it("its files are not those that the channel document names", where)
    return manifest


def identify(files: Sequence[PublishedFile]) -> SnapshotId:
    """The id of the snapshot that consists of these files, in path order. Raises ValueError for a digest that is
    none."""
    listed = [f.path for f in files]
    stops = ends(listed)
    if listed and (not stops or stops[-1] != len(listed)):
        stops.append(len(listed))
    ids = []
    begin = 0
    for end in stops:
        part = files[begin:end]
        rows = Rows(
            listed[begin:end],
            [f.size for f in part],
            bytes(f.executable for f in part),
            b"".join(bytes.fromhex(f.digest) for f in part),
        )
        ids.append(node_id(logical(rows)))
        begin = end
    return snapshot_id(False, ids)


def _why_bad(files: Sequence[PublishedFile]) -> str | None:
    together = paths.Together()
    before = b""
    for file in files:
        path = file.path.encode("utf-8", "surrogatepass")
        if path <= before:
            return "its files are not in order"
        before = path
        try:
            paths.check(file.path)
            together.add([file.path])
        except BadPath as e:
            return f"it holds a path that no version may hold: {e.what}"
        if len(file.digest) != 64 or not set(file.digest) <= set("0123456789abcdef"):
            return "a digest in it is none"
        why = _why_figures(file)
        if why:
            return why
    return None


def _why_figures(file: PublishedFile) -> str | None:
    """Sizes that are negative or do not add up."""
    if not 0 <= file.size < 1 << 63 or any(a.size < 0 for a in file.assets):
        return "a size in it is negative, or larger than any is"
    if sum(a.size for a in file.assets) != file.size:
        return "the parts of a file in it do not add up to it"
    if file.chunks and (
        any(not 0 < length <= _MAX_CHUNK for _, length in file.chunks)
        or sum(length for _, length in file.chunks) != file.size
    ):
        return "the chunks of a file in it do not add up to it"
    return None


def _not_it(why: str, where: str) -> Corrupt:
    return Corrupt(
        f"this manifest of a published version is not what it should be: {why}",
        where=where,
        safe="nothing was installed",
        next="publish the version again, or ask who publishes it",
    )


class _Versioned(msgspec.Struct):
    format: int = FORMAT


def _refuse_newer(data: bytes, where: str) -> None:
    try:
        found = msgspec.json.decode(data, type=_Versioned).format
    except (msgspec.DecodeError, RecursionError):
        return
    if found > FORMAT:
        raise TooNew(
            f"this manifest has format {found}; this rote reads up to {FORMAT}",
            where=where,
            next="pip install --upgrade rote",
        )
