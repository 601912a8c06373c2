"""The statement that is signed of a model's files (docs/format.md, 10.13).

It is an in-toto statement as OpenSSF model signing defines it, so that others verify it with their own tools.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from rote.words.encoding import canonical
from rote.words.ids import shown

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://model_signing/signature/v1.0"
MAX_BUNDLE: Final = 64 << 20
"""A bundle is never larger than this, in bytes."""
_HASH: Final = "blake3"


class Resource(msgspec.Struct, frozen=True):
    """A file: its path, and its digest in hexadecimal."""

    name: str
    algorithm: str
    digest: str


class Serialization(msgspec.Struct, frozen=True):
    """How the digests were made: of whole files, by one algorithm."""

    method: str
    hash_type: str
    allow_symlinks: bool = False
    ignore_paths: list[str] = []


class Predicate(msgspec.Struct, frozen=True):
    """What a model consists of."""

    serialization: Serialization
    resources: list[Resource]


class Subject(msgspec.Struct, frozen=True):
    """The model: `sha256` in `digest` is that of all digests of its files, joined as bytes, in their order."""

    name: str
    digest: Mapping[str, str]


class Statement(NamedTuple):
    """What a statement says: of which version, and the BLAKE3 digest of each file by path."""

    name: str
    files: dict[str, str]


class _Whole(msgspec.Struct, frozen=True):
    """The statement as it is written."""

    kind: str = msgspec.field(name="_type")
    subject: list[Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Predicate


def encoded(name: str, files: Mapping[str, str]) -> bytes:
    """The statement that a version called `name` (`MODEL@VERSION`) consists of `files`: path -> BLAKE3, hexadecimal."""
    listed = sorted(files.items(), key=lambda file: file[0].encode())
    whole = _Whole(
        kind=STATEMENT,
        subject=[Subject(name, {"sha256": _sum(digest for _, digest in listed)})],
        predicate_type=PREDICATE,
        predicate=Predicate(
            Serialization("files", _HASH), [Resource(path, _HASH, digest) for path, digest in listed]
        ),
    )
    return canonical(whole)


def decoded(data: bytes) -> Statement:
    """What a statement says. Raises ValueError with words for one that rote cannot hold files against."""
    try:
        whole = msgspec.json.decode(data, type=_Whole)
    except (msgspec.DecodeError, RecursionError) as e:
        raise ValueError(f"what was signed is no statement of a model's files: {e}") from e
    if (whole.kind, whole.predicate_type) != (STATEMENT, PREDICATE) or len(whole.subject) != 1:
        raise ValueError(f"what was signed is a statement of another kind: {shown(whole.predicate_type, 80)}")
    resources = whole.predicate.resources
    if any(r.algorithm != _HASH for r in resources) or whole.predicate.serialization.method != "files":
        raise ValueError("it was signed by other digests than BLAKE3 of whole files")
    files = {resource.name: resource.digest for resource in resources}
    if len(files) != len(resources):
        raise ValueError("it names a file twice")
    return Statement(whole.subject[0].name, files)


def why_not(statement: Statement, name: str, files: Mapping[str, str]) -> str | None:
    """What keeps a statement from being that of a version called `name` with these files, or None."""
    if statement.name != name:
        return f"what was signed is {shown(statement.name)}, not {name}"
    for path in sorted({*statement.files, *files}):
        if path not in statement.files:
            return f"{shown(path)} is not among the files that were signed"
        if path not in files:
            return f"{shown(path)} was signed, and is not there"
        if statement.files[path] != files[path]:
            return f"{shown(path)} is not the file that was signed"
    return None


def _sum(digests: Iterable[str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
