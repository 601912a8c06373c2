"""Tags as they are typed."""

from __future__ import annotations

from collections.abc import Iterable

from rote.errors import UsageError
from rote.words.ids import name, shown


def tags_of(texts: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping. Raises UsageError."""
    tags = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"a tag is KEY=VALUE, not {shown(text)}", next="for example: owner=ann")
        tags[name(key, "tag")] = value
    return tags
