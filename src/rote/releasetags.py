"""The names that versions and aliases have as tags at a target (docs/format.md, 10.10)."""

from __future__ import annotations

from rote import versions
from rote.errors import BadName
from rote.ids import name as parse_name
from rote.ids import shown


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
