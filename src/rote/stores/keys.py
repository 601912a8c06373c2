"""The grammar of object keys, checked by every store before a byte moves."""

from __future__ import annotations

import re

from rote.errors import BadName
from rote.ids import shown

MAX_KEY = 900
"""Bytes that a whole key may have (S3 allows 1,024; the rest is left for a prefix)."""

_NAME = r"(?!\.)[A-Za-z0-9._@+=,-]{1,255}"
_KEY = re.compile(rf"{_NAME}(?:/{_NAME})*\Z")
_ONE = re.compile(rf"{_NAME}\Z")


def check(key: str) -> str:
    """`key` itself if it may name an object. Raises BadName."""
    if len(key) > MAX_KEY or not _KEY.match(key):
        raise BadName(f"not a key that a store accepts: {shown(key)}")
    return key


def is_name(name: str) -> bool:
    """Whether `name` may be one of the names that `/` joins to a key."""
    return _ONE.match(name) is not None


def check_prefix(prefix: str) -> str:
    """`prefix` itself if keys can begin with it: the empty one, or a key cut anywhere. Raises BadName."""
    whole = prefix.removesuffix("/")
    if whole or prefix:
        check(whole)
    return prefix
