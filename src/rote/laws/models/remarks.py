"""What is said of a version after it was made: events, and what they come to (docs/format.md, 10.12)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MAX_BYTES = 65_536
"""The remarks of one version are never larger than this."""

NOTE, TAG, DEPRECATE, RESTORE, DELETE = "note", "tag", "deprecate", "restore", "delete"


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """One event: when, by whom, and what. `seq` is one more than that of the last event its writer saw, whatever the
    clocks said; `nonce` makes it unlike every other."""

    seq: int
    at: str
    by: str
    nonce: str
    kind: str
    key: str = ""
    text: str = ""


class Remarks(msgspec.Struct, frozen=True, kw_only=True):
    """The object `models/<model>/remarks/<version>`."""

    format: int = 1
    model: str
    version: str
    events: list[Remark] = []


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the remarks of a version come to. `deprecated` and `deleted` are the events that say so, or None."""

    notes: list[Remark] = []
    tags: dict[str, str] = {}
    deprecated: Remark | None = None
    deleted: Remark | None = None


def told(events: Iterable[Remark]) -> Told:
    """Later events go before earlier ones."""
    notes: list[Remark] = []
    tags: dict[str, str] = {}
    deprecated = deleted = None
    for event in ordered(events):
        if event.kind == NOTE:
            notes.append(event)
        elif event.kind == TAG:
            tags[event.key] = event.text
        elif event.kind in (DEPRECATE, RESTORE):
            deprecated = event if event.kind == DEPRECATE else None
        elif event.kind == DELETE:
            deleted = event
    present = {key: value for key, value in sorted(tags.items()) if value}
    return Told(notes=notes, tags=present, deprecated=deprecated, deleted=deleted)


def ordered(events: Iterable[Remark]) -> list[Remark]:
    """Each after what its writer saw, each nonce once: two copies of remarks are joined so."""
    once = {event.nonce: event for event in events}
    return sorted(once.values(), key=lambda event: (event.seq, event.at, event.nonce))
