"""How long something may take, as people write it: `90`, `60s`, `5m`, `5h30m`, `2d`."""

from __future__ import annotations

import re
from typing import Final

from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section

_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_TEXT = r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?\Z"
EXPECTED: Final = "a duration such as 90s, 5m or 5h30m"


def parsed(text: str) -> float | None:
    """Seconds, or None if the text is no duration. A number alone is seconds."""
    match = re.match(_TEXT, text.strip().replace(" ", "").lower())
    if not match or not any(match.groups()):
        return None
    return sum(
        float(number) * unit for number, unit in zip(match.groups(), _UNITS.values(), strict=True) if number
    )


def read(section: Section, name: str, node: Node) -> float:
    """The seconds that a value says. Raises ConfigError."""
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        found: float | None = float(value)
    else:
        found = parsed(value) if isinstance(value, str) else None
    if found is None:
        raise section.wrong(name, node, EXPECTED)
    if not 0 <= found < float("inf"):
        raise refused(section.at(name, node), f"expected {EXPECTED}, found {node.text}")
    return found
