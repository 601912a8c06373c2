"""What a plain scalar means: the core schema of YAML 1.2, and where older readers see something else.

https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from typing import Final

from rote.wiring.config.nodes import Scalar

_WORDS: Final[dict[str, Scalar]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_ENDLESS = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_NUMBER_STARTS = frozenset("0123456789+-.")

# What YAML 1.1 (PyYAML among others) reads differently.
_OLD_BOOL = re.compile(r"(?:yes|no|on|off)\Z", re.IGNORECASE)
_OLD_NUMBER = re.compile(
    r"[-+]?(?:0[0-9]*[1-9][0-9]*|0b[01_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]+_[0-9_]*(?:\.[0-9_]*)?|0x[0-9a-fA-F]*_[0-9a-fA-F_]*|[0-9]+\.[0-9]*_[0-9_]*)\Z"
)
_OLD_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[Tt ].*)?\Z")
_EXPONENT = re.compile(r"[-+]\.[0-9]+\Z|[-+]?(?:[0-9]+[eE][-+]?[0-9]+|[0-9]*\.[0-9]*[eE][0-9]+)\Z")

INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""The integers that a stage key, a run and the catalogue can hold."""


class NotPlain(ValueError):
    """A scalar that cannot be kept as a value; the text says why, `next` what to write instead."""

    def __init__(self, what: str, next: str) -> None:
        super().__init__(what)
        self.next = next


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Raises NotPlain for NaN, infinity and integers beyond 64 bits."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INT.match(text):
        return whole(text, 10)
    if _FLOAT.match(text):
        return finite(float(text), text)
    if _OCTAL.match(text) or _HEX.match(text):
        return whole(text[2:], 8 if text[1] == "o" else 16)
    if _ENDLESS.match(text):
        raise _endless(text)
    return text


def whole(text: str, base: int) -> int:
    """An integer of at most 64 bits. Raises NotPlain."""
    number = int(text, base) if len(text) < 100 else INT_MAX + 1
    if not INT_MIN <= number <= INT_MAX:
        shown = text if len(text) <= 40 else text[:39] + "…"
        raise NotPlain(f"the integer {shown} has more than 64 bits", "write it as text, in quotes")
    return number


def finite(number: float, text: str) -> float:
    """A number that is neither NaN nor infinite (also not by being too large). Raises NotPlain."""
    if number - number != 0:
        raise _endless(text)
    return number


def _endless(text: str) -> NotPlain:
    return NotPlain(
        f"{text[:40]} is not a finite number: no digest, JSON file or query can hold it",
        'write it as text, in quotes: "inf" or "nan" (Python\'s float() reads that)',
    )


_OLD = (
    (_OLD_BOOL, "is text here, but true or false to a YAML 1.1 reader: write true, false, or quote it"),
    (_OLD_DATE, "is text here, but a date to a YAML 1.1 reader: quote it"),
    (
        _EXPONENT,
        "is a number here, but text to a YAML 1.1 reader: write it like 0.5 or 1.0e-3",
    ),
    (_OCTAL, "is a number here, but text to a YAML 1.1 reader: write it in decimal"),
    (
        _OLD_NUMBER,
        "is another number, or a number at all, to a YAML 1.1 reader: write it in decimal, or quote it",
    ),
)


def surprise(text: str) -> str | None:
    """How a YAML 1.1 reader (such as PyYAML in a training script) sees this plain scalar otherwise, or None."""
    return next((f"{text!r} {told}" for pattern, told in _OLD if pattern.match(text)), None)
