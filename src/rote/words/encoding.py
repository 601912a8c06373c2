"""Canonical bytes and domain-tagged digests: every key in the system is born here (docs/format.md, 2)."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from blake3 import blake3

from rote.errors import Corrupt, TooNew
from rote.words.ids import Digest

FORMAT = 1
"""The version of every format in docs/format.md that this rote writes."""

_T = TypeVar("_T")
_canonical = msgspec.json.Encoder(order="sorted", decimal_format="string")
_CHECK = b"\nblake3:"


def canonical(value: Any) -> bytes:
    """JSON in UTF-8 without spaces, keys sorted by code point: equal values give equal bytes."""
    return _canonical.encode(value)


def digest_of(content: bytes | memoryview) -> Digest:
    """Plain BLAKE3 of bytes, the digest of a file's or a chunk's content (`b3sum` gives the same)."""
    return Digest(blake3(content).hexdigest())


def tagged(domain: str, content: bytes | memoryview) -> Digest:
    """BLAKE3 in key-derivation mode with the context `rote 1 DOMAIN`, so that no digest made for one purpose can
    stand for another. https://github.com/BLAKE3-team/BLAKE3-specs, section 6."""
    return Digest(blake3(content, derive_key_context=f"rote {FORMAT} {domain}").hexdigest())


def with_check(value: Any) -> bytes:
    """A record as it is stored: canonical JSON, a line feed, `blake3:` and the digest of the JSON, a line feed."""
    body = canonical(value)
    return body + _CHECK + blake3(body).hexdigest().encode("ascii") + b"\n"


def signed_part(data: bytes, where: str) -> bytes:
    """What of a channel document is signed: its canonical JSON without the key `signatures`, and without `txn` in
    `snapshot`, which says where a store has it and not what it is. Raises Corrupt if the record is damaged, or its JSON
    not canonical (then a signature could mean something else than what is read)."""
    body, mark, check = data.rpartition(_CHECK)
    if not mark or check != blake3(body).hexdigest().encode("ascii") + b"\n":
        raise _damaged(where)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as e:
        raise Corrupt(f"this record is not what it should be: {e}", where=where) from e
    if not isinstance(value, dict) or canonical(value) != body:
        raise Corrupt("this record is signed, but not in canonical form", where=where)
    value.pop("signatures", None)
    if isinstance(value.get("snapshot"), dict):
        value["snapshot"].pop("txn", None)
    return canonical(value)


def _damaged(where: str) -> Corrupt:
    return Corrupt(
        "this record is damaged: its digest does not fit its content", where=where, next="rote store check"
    )


def without_check(data: bytes, kind: type[_T], where: str) -> _T:
    """Verify and decode a record. Raises Corrupt (with `where`) if the digest or the shape is wrong, TooNew if its
    `format` is above ours, which is `FORMAT` unless the kind has a `newest_format`."""
    newest: int = getattr(kind, "newest_format", FORMAT)
    body, mark, check = data.rpartition(_CHECK)
    if not mark or check != blake3(body).hexdigest().encode("ascii") + b"\n":
        raise _damaged(where)
    try:
        value = msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as e:  # a hostile record may be as deep as it is long
        refuse_newer(body, where, newest)
        raise Corrupt(
            f"this record is not what it should be: {e}", where=where, next="rote store check"
        ) from e
    if getattr(value, "format", FORMAT) != FORMAT:  # a newer format may well have a shape that ours accepts
        refuse_newer(body, where, newest)
    return value


class _Versioned(msgspec.Struct):
    format: int = FORMAT


def refuse_newer(body: bytes, where: str, newest: int = FORMAT, *, what: str = "record") -> None:
    """Raise TooNew if what these bytes are, JSON with a `format`, is newer than this rote reads, whatever else they
    say."""
    try:
        found = msgspec.json.decode(body, type=_Versioned).format
    except (msgspec.DecodeError, RecursionError):
        return
    if found > newest:
        raise TooNew(
            f"this {what} has format {found}; this rote reads up to {newest}",
            where=where,
            next="pip install --upgrade rote",
        )
