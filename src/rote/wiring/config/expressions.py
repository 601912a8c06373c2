"""Templates in text: where each `${…}` stands, what it names, and how a value is written into text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

OPEN: Final = "${"
_TEMPLATE = re.compile(r"(?<!\\)\$\{([^}\n]*)(\})?")
_ESCAPED: Final = "\\${"
_STEP = re.compile(r"\s*([^.\[\]]+?)\s*(?=[.\[\]]|\Z)|\[\s*([^.\[\]]+?)\s*\]")


class BadTemplate(ValueError):
    """A template that cannot be read or written out; the text says why, `next` what to write instead."""

    def __init__(self, what: str, next: str | None = None) -> None:
        super().__init__(what)
        self.next = next


class Template(msgspec.Struct, frozen=True):
    """One `${…}`: where it stands in the text, as it is written, and the names that lead to its value."""

    start: int
    end: int
    text: str
    steps: tuple[str, ...]


def is_in(text: str) -> bool:
    """Whether there is a template in the text."""
    return OPEN in text and _TEMPLATE.search(text) is not None


def templates(text: str) -> Iterator[Template]:
    """Every template of a text, from left to right. Raises BadTemplate."""
    for found in _TEMPLATE.finditer(text):
        if found[2] is None:
            raise BadTemplate("${ stands here without its }", "close it; for the text ${ itself write \\${")
        yield Template(found.start(), found.end(), found[0], _steps(found[1]))


def _steps(inner: str) -> tuple[str, ...]:
    """`a.b[0]` -> its names. Raises BadTemplate."""
    steps: list[str] = []
    at = 0
    while at < len(inner):
        if steps and inner[at] == ".":
            at += 1
            found = _STEP.match(inner, at) if inner[at : at + 1] != "[" else None
        else:
            found = _STEP.match(inner, at)
            if found and bool(steps) != (found[2] is not None):
                found = None
        if found is None:
            raise BadTemplate(
                f"cannot read ${{{inner}}}", "a template names a value: ${train.lr}, ${sizes[0]}"
            )
        steps.append(found[1] or found[2])
        at = found.end()
    if not steps:
        raise BadTemplate(
            "a template is empty: ${}", "name a value: ${train.lr}; for the text ${} write \\${}"
        )
    return tuple(steps)


class Options(msgspec.Struct, frozen=True):
    """How a mapping is written as options of a command: `off`: a false value as `--no-NAME` and not left out; `each`: a
    list as the option again for each element, and not as one option with all of them behind it."""

    off: bool = False
    each: bool = False


def unescaped(text: str) -> str:
    r"""The text with each `\${` as the `${` that it stands for."""
    return text.replace(_ESCAPED, OPEN) if _ESCAPED in text else text


def written(value: Any, *, flags: Options | None = None) -> str:
    """A value within text, as DVC writes it. A mapping is written as options of a command (`--lr 0.1`), and only where
    `flags` says how: this is a command then. Raises BadTemplate."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping) and flags is not None:
        return " ".join(_flags(value, "", flags))
    if isinstance(value, Mapping | list | tuple):
        what = "a mapping" if isinstance(value, Mapping) else "a list"
        raise BadTemplate(f"it is {what}, which cannot stand in text", "name a single value in it")
    return str(value)


def _flags(value: Mapping[str, Any], above: str, how: Options) -> Iterator[str]:
    for name, below in value.items():
        flag = f"{above}.{name}" if above else name
        if isinstance(below, Mapping):
            yield from _flags(below, flag, how)
        elif isinstance(below, bool):
            if below:
                yield f"--{flag}"
            elif how.off:
                yield f"--no-{flag}"
        elif isinstance(below, list | tuple):
            if any(isinstance(each, Mapping | list | tuple) for each in below):
                raise BadTemplate(f"{flag} is a list of lists or mappings, which no option can hold")
            if how.each:
                yield from (f"--{flag} {_word(each)}" for each in below)
            elif below:
                yield " ".join([f"--{flag}", *(_word(each) for each in below)])
        else:
            yield f"--{flag} {_word(below)}"


def _word(value: Any) -> str:
    return shlex.quote(value) if isinstance(value, str) else str(value)
