"""What rote.yaml says of a model's channels: who signs them, when they expire, and where they are published."""

from __future__ import annotations

from typing import Final

from rote.errors import BadName, UsageError
from rote.laws.publishing.targetnames import parsed
from rote.wiring.config import durations
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.ids import shown

_SHORTEST: Final = 3600.0


def keys(section: Section) -> tuple[str, ...] | None:
    """`models.NAME.keys`; None where it is not said. Raises ConfigError."""
    if section.get("keys") is None:
        return None
    from rote.laws.publishing.trust import checked  # most projects sign nothing

    places = [(section.string(place, node, "text (a public key)"), place, node)
              for place, node in section.items("keys", "keys")]  # fmt: skip
    for text, place, node in places:
        try:
            checked([text])
        except BadName as e:
            raise refused(section.at(place, node), e.what, e.next) from e
    try:
        return tuple(checked(text for text, _, _ in places))
    except BadName as e:
        raise refused(section.at("keys"), e.what, e.next) from e


def expires(section: Section) -> float | None:
    """`models.NAME.expires` in seconds; None where it is not said. Raises ConfigError."""
    node = section.get("expires")
    if node is None:
        return None
    found = durations.read(section, "expires", node)
    if found < _SHORTEST:
        raise refused(
            section.at("expires", node),
            f"a channel that expires after {node.text} is stale before anybody has looked",
            "write 30d, and renew it before that: rote model renew",
        )
    return found


def publish(section: Section) -> tuple[str, ...]:
    """`models.NAME.publish`: the addresses of targets, each once. Raises ConfigError."""
    found: dict[str, None] = {}
    for text, node in section.texts("publish"):
        if text in found:
            raise refused(section.at("publish", node), f"{shown(text)} stands here twice", "list it once")
        try:
            parsed(text)
        except UsageError as e:
            raise refused(section.at("publish", node), e.what, e.next) from e
        found[text] = None
    return tuple(found)
