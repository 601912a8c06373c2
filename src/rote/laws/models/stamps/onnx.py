"""A stamp in the metadata of an ONNX file: https://github.com/onnx/onnx, onnx.proto, ModelProto."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from rote.laws.models.stamps import KEYS, Edit, Stamp, Unsound, of_texts, texts

TAIL = 2048
"""The last bytes of a file, in which its stamp lies."""

_METADATA_PROPS, _IR_VERSION, _GRAPH = 14, 1, 7
_TAG = bytes([_METADATA_PROPS << 3 | 2])
_MOST_ENTRY = 1 << 16


class Entry(msgspec.Struct, frozen=True):
    """An entry of `metadata_props`: where it begins in the file, how many bytes it has (tag included), what it says."""

    at: int
    size: int
    key: str
    value: str


def entries(pieces: Iterator[bytes]) -> list[Entry]:
    """The entries of `metadata_props` of an ONNX file, which is read to its end. Raises Unsound."""
    pull = _Pull(pieces)
    found: list[Entry] = []
    seen: set[int] = set()
    while not pull.over:
        begin = pull.at
        tag = pull.varint()
        field, wire = tag >> 3, tag & 7
        seen.add(field)
        if wire == 2:
            length = pull.varint()
            if field == _METADATA_PROPS and length <= _MOST_ENTRY:
                key, value = _entry(pull.take(length))
                found.append(Entry(begin, pull.at - begin, key, value))
            else:
                pull.skip(length)
        elif wire == 0:
            pull.varint()
        elif wire in (1, 5):
            pull.skip(8 if wire == 1 else 4)
        else:
            raise Unsound("it is no protocol buffer")
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise Unsound("it has no graph")
    return found


def at_end(found: Sequence[Entry], size: int, stamp: Stamp) -> list[Edit]:
    """The edits that put a stamp to the end of an ONNX file of `size` bytes with these entries."""
    old = [Edit(entry.at, entry.size, b"") for entry in found if entry.key in KEYS]
    letter = "R" if old else "A"
    length = len(_tail(letter + "000000", stamp))
    return [*old, Edit(size, 0, _tail(f"{letter}{length:06}", stamp))]


def out_of_end(tail: bytes, size: int) -> list[Edit] | None:
    """The edits that take the stamp out of an ONNX file of `size` bytes that ends with `tail`; None if there is none
    that can be taken out."""
    number = re.search(rb"\x0a\x0arote\.stamp\x12\x07A(\d{6})\Z", tail)
    count = int(number[1]) if number else 0
    return [Edit(size - count, count, b"")] if 0 < count <= len(tail) else None


def of_entries(found: Sequence[Entry]) -> Stamp | None:
    """What the stamp among the entries says; None if there is none."""
    return of_texts({entry.key: entry.value for entry in found})


def _tail(head: str, stamp: Stamp) -> bytes:
    made = b""
    first, *rest = texts(head, stamp)
    for key, value in [*rest, first]:
        body = b"\x0a" + _text(key) + b"\x12" + _text(value)
        made += _TAG + _varint(len(body)) + body
    return made


def _text(value: str) -> bytes:
    data = value.encode()
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _entry(body: bytes) -> tuple[str, str]:
    """Key and value of an entry."""
    pull = _Pull(iter([body]))
    found = {1: "", 2: ""}
    while not pull.over:
        tag = pull.varint()
        if tag & 7 != 2:
            raise Unsound("its metadata is damaged")
        text = pull.take(pull.varint())
        found[tag >> 3] = text.decode("utf-8", "replace")
    return found[1], found[2]


class _Pull:
    """Bytes that come in pieces, taken from the front."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self.at = 0

    @property
    def over(self) -> bool:
        """Whether nothing comes any more."""
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._piece = memoryview(piece)
        return False

    def skip(self, count: int) -> None:
        """Pass over so many bytes. Raises Unsound if there are fewer."""
        while count:
            if self.over:
                raise Unsound("it is cut off")
            step = min(count, len(self._piece))
            self._piece = self._piece[step:]
            self.at += step
            count -= step

    def take(self, count: int) -> bytes:
        """The next so many bytes. Raises Unsound if there are fewer."""
        made = bytearray()
        while len(made) < count:
            if self.over:
                raise Unsound("it is cut off")
            part = self._piece[: count - len(made)]
            made += part
            self.skip(len(part))
        return bytes(made)

    def varint(self) -> int:
        """The next number. Raises Unsound."""
        number = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise Unsound("it is no protocol buffer")
