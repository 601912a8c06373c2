"""The names that versions and aliases have as tags at a target (docs/format.md, 10.10)."""

from __future__ import annotations

import re

from rote.errors import BadName
from rote.laws.models import versions
from rote.words.ids import name as parse_name
from rote.words.ids import shown
from rote.words.publication import FILES, MANIFEST

_LONGEST = 200
# https://git-scm.com/docs/git-check-ref-format, and what a shell or an address bar would stumble over
_NOT_IN_TAGS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\"'`$<>|;&(){}!%]|\.\.|@\{|//|/\.|\.lock(?:/|$)")


def of_version(model: str, version: str) -> str:
    """`MODEL@vX.Y.Z`. Raises BadName."""
    return f"{parse_name(model, 'model name')}@v{versions.release(version)}"


def of_channel(model: str, alias: str) -> str:
    """`MODEL@ALIAS`. Raises BadName."""
    return f"{parse_name(model, 'model name')}@{versions.alias(alias)}"


def parse(tag: str) -> tuple[str, str]:
    """(model, version) of `MODEL@vX.Y.Z`. Raises BadName."""
    model, at, version = tag.partition("@")
    if not at or version[:1] != "v" or not versions.is_version(version[1:]):
        raise BadName(
            f"not the tag of a version: {shown(tag)}", next="a tag is MODEL@vX.Y.Z, such as digits@v1.0.0"
        )
    return parse_name(model, "model name"), str(versions.release(version[1:]))


def is_channel(tag: str) -> bool:
    """Whether a tag is that of a channel: an alias after the `@`, not a version."""
    model, at, rest = tag.rpartition("@")
    return bool(at and model) and versions.is_alias(rest) and not (rest[0] == "v" and rest[1:2].isdigit())


def any_tag(text: str) -> str:
    """A tag that git takes and that means nothing to a shell. Raises BadName."""
    bad = (
        not text
        or len(text) > _LONGEST
        or not text.isprintable()
        or text[0] in "-./@"
        or text[-1] in "./"
        or _NOT_IN_TAGS.search(text)
    )
    if bad:
        raise BadName(
            f"not a tag that a release can have: {shown(text)}",
            next="a tag is such as v1.2.0 or keyboard@v1.2.0: letters, digits, '.', '_', '-', '+', '@', '#', '/'",
        )
    return text


def manifest_name(tag: str) -> str:
    """The name of the list of files at the release with this tag: another one for versions of models."""
    try:
        parse(tag)
    except BadName:
        return FILES
    return MANIFEST


def order(tag: str) -> versions.Semver:
    """What tells which of two releases is the higher one, where nothing else does: the version in the tag, or 0.0.0."""
    number = tag.rpartition("@")[2].removeprefix("v")
    try:
        return versions.release(number)
    except BadName:
        return versions.release("0.0.0")
