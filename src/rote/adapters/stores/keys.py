"""The grammar of object keys, checked by every store before a byte moves."""

from __future__ import annotations

import re

from rote.errors import BadName, Corrupt
from rote.words.ids import shown

MAX_KEY = 900
"""Bytes that a whole key may have (S3 allows 1,024; the rest is left for a prefix)."""

MAX_WHOLE = 256 << 20
"""Bytes of an object that is read whole. Only packs may be larger, and they are read in ranges."""

_NAME = r"(?!\.)[A-Za-z0-9._@+=,-]{1,255}"
_KEY = re.compile(rf"{_NAME}(?:/{_NAME})*\Z")
_ONE = re.compile(rf"{_NAME}\Z")


def check(key: str) -> str:
    """`key` itself if it may name an object. Raises BadName."""
    if len(key) > MAX_KEY or not _KEY.match(key):
        raise BadName(f"not a key that a store accepts: {shown(key)}")
    return key


def check_size(key: str, size: int, where: str) -> None:
    """Raises Corrupt for an object that says it is too large to be read whole: no record is."""
    if size > MAX_WHOLE:
        raise Corrupt(
            f"the object {key} says that it has {size:,} bytes, more than anything that is read at once",
            where=where,
            safe="nothing of it was read",
            next="rote store check",
        )


def is_name(name: str) -> bool:
    """Whether `name` may be one of the names that `/` joins to a key."""
    return _ONE.match(name) is not None


def check_prefix(prefix: str) -> str:
    """`prefix` itself if keys can begin with it: the empty one, or a key cut anywhere. Raises BadName."""
    whole = prefix.removesuffix("/")
    if whole or prefix:
        check(whole)
    return prefix
