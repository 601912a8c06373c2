"""TOML text -> values. Dates and times become text in ISO 8601."""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import Any, Final

from rote.wiring.config.refusal import refused
from rote.wiring.config.scalars import INT_MAX, INT_MIN
from rote.words.pipeline import At

DEPTH: Final = 100
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def read(text: str, file: str) -> dict[str, Any]:
    """The document. Raises ConfigError with the line."""
    found: dict[str, Any] = _plain(parse(text, file), file, "", 0)
    return found


def parse(text: str, file: str) -> dict[str, Any]:
    """The document as TOML has it, dates and times as such. Raises ConfigError with the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        found = _PLACE.search(str(e))
        line = int(found.group(1)) if found and found.group(1) else text.count("\n") + 1
        what = _PLACE.sub("", str(e))
        raise refused(At(file, line), f"this is not TOML: {what[:1].lower()}{what[1:]}") from e
    except ValueError as e:
        raise refused(At(file, 0), f"this is not TOML: {e}") from e
    except RecursionError as e:
        raise refused(At(file, 0), f"values nest deeper than {DEPTH} levels") from e


def _plain(value: Any, file: str, key: str, depth: int) -> Any:
    if depth > DEPTH:
        raise refused(At(file, 0, key[:80]), f"values nest deeper than {DEPTH} levels")
    if isinstance(value, dict):
        if "" in value:
            raise refused(At(file, 0, key), "a key is empty; expected a name", "give it a name")
        return {
            name: _plain(below, file, f"{key}.{name}" if key else name, depth + 1)
            for name, below in value.items()
        }
    if isinstance(value, list):
        return [_plain(below, file, f"{key}.{index}", depth + 1) for index, below in enumerate(value)]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and value - value != 0:
        raise refused(At(file, 0, key), f"{value} is not a finite number", 'write it as text: "inf" or "nan"')
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise refused(At(file, 0, key), "an integer has more than 64 bits", "write it as text, in quotes")
    return value
