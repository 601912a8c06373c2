"""A stamp in the header of a safetensors file: https://github.com/huggingface/safetensors, section Format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from rote.laws.models.stamps import KEYS, Edit, Stamp, Unsound, of_texts, texts

LENGTH = 8
MAX_HEADER = 16 << 20
"""Bytes that the header may have; a file with a longer one is not stamped."""

_MARK = b'"rote.stamp":"'
_OPEN = '"__metadata__":{'
_NUMBER = re.compile(rb"([ABR])(\d{6})")
_SPACE = " \t\n\r"


def header_length(front: bytes, size: int) -> int:
    """The length of the header of a safetensors file of `size` bytes that begins with `front`. Raises Unsound."""
    length = int.from_bytes(front[:LENGTH], "little")
    if len(front) < LENGTH or LENGTH + length > size or length < 2:
        raise Unsound("its header does not fit into it")
    if length > MAX_HEADER:
        raise Unsound(f"its header is longer than {MAX_HEADER >> 20} MiB")
    return length


def in_header(header: bytes, stamp: Stamp) -> list[Edit]:
    """The edits that put a stamp into the header of a safetensors file. Raises Unsound."""
    text, found = _scanned(header)
    if found is None:
        comma = "" if _next(text, 1) == "}" else ","
        put = _sized("B", lambda head: f"{_OPEN}{_texts(head, stamp)}}}{comma}")
        return _edits(header, 1, 0, put)
    begin, _, metadata = found
    if any(key in metadata for key in KEYS):
        return _replaced(header, text, found, stamp)
    comma = "," if metadata else ""
    put = _sized("A", lambda head: f"{_texts(head, stamp)}{comma}")
    return _edits(header, _bytes(text, begin + 1), 0, put)


def out_of_header(header: bytes) -> list[Edit] | None:
    """The edits that take the stamp out again; None if there is none that can be taken out."""
    mark = header.find(_MARK)
    number = _NUMBER.match(header, mark + len(_MARK)) if mark >= 0 else None
    if number is None or number[1] == b"R":
        return None
    begin = mark - (len(_OPEN) if number[1] == b"B" else 0)
    count = int(number[2])
    if begin < 1 or begin + count > len(header):
        return None
    return _edits(header, begin, count, b"")


def of_header(header: bytes) -> Stamp | None:
    """What the stamp in the header of a safetensors file says; None if it has none. Raises Unsound."""
    _, found = _scanned(header)
    return of_texts(found[2]) if found is not None else None


def _edits(header: bytes, at: int, drop: int, put: bytes) -> list[Edit]:
    length = len(header) + len(put) - drop
    return [Edit(0, LENGTH, length.to_bytes(LENGTH, "little")), Edit(LENGTH + at, drop, put)]


def _replaced(header: bytes, whole: str, span: tuple[int, int, dict[str, str]], stamp: Stamp) -> list[Edit]:
    """The whole mapping anew, without the stamp that is in it."""
    begin, end, metadata = span
    rest = {key: value for key, value in metadata.items() if key not in KEYS}
    more = "".join(f",{json.dumps(key)}:{json.dumps(value)}" for key, value in rest.items())
    first, last = _bytes(whole, begin), _bytes(whole, end)
    text = f"{{{_texts('R000000', stamp)}{more}"
    pad = (last - first - len(text) - 1) % LENGTH
    return _edits(header, first, last - first, f"{text}{' ' * pad}}}".encode())


def _texts(head: str, stamp: Stamp) -> str:
    return ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in texts(head, stamp))


def _sized(letter: str, text: Callable[[str], str]) -> bytes:
    """The text with its own length in it, filled with spaces to a multiple of 8."""
    length = len(text(letter + "000000"))
    length += -length % LENGTH
    return text(f"{letter}{length:06}").encode().ljust(length)


def _bytes(text: str, at: int) -> int:
    """The place in bytes of a place in the text."""
    return at if text.isascii() else len(text[:at].encode())


def _scanned(header: bytes) -> tuple[str, tuple[int, int, dict[str, str]] | None]:
    """The header's text, and of `__metadata__` where its value begins and ends, and the value. Raises Unsound."""
    try:
        text = header.decode()
        whole = json.loads(text)
        if not isinstance(whole, dict) or text[0] != "{":
            raise Unsound("its header is no mapping")
        return text, _metadata(text)
    except (ValueError, RecursionError) as e:
        raise Unsound("its header is not JSON") from e


def _metadata(text: str) -> tuple[int, int, dict[str, str]] | None:
    decoder = json.JSONDecoder()
    at, found = 1, None
    while _next(text, at) == '"':
        key, at = decoder.raw_decode(text, _skip(text, at))
        at = _skip(text, _skip(text, at) + 1)
        value, end = decoder.raw_decode(text, at)
        if key == "__metadata__":
            if found is not None or not isinstance(value, dict) or set(map(type, value.values())) - {str}:
                raise Unsound("its metadata is no mapping of text to text")
            found = (at, end, value)
        at = _skip(text, end)
        if text[at] == ",":
            at += 1
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _next(text: str, at: int) -> str:
    """The next character that is no space."""
    at = _skip(text, at)
    return text[at : at + 1]
