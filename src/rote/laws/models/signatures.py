"""What goes in and comes out of a model's file: read from ONNX and safetensors (docs/format.md, 10.3). A file that is
not what its name says has no signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from rote.laws.data.tensors import MAX_HEADER, Tensor
from rote.words.encoding import canonical, digest_of

Read = Callable[[int, int], bytes]
"""(begin, end) -> these bytes of the file; fewer at its end."""

MAX_BYTES = 65_536
"""A signature that is longer as canonical JSON stands as its digest."""
_LENGTH = 8
_WINDOW = 1 << 16
_FIELDS = 1 << 18
"""Fields of an ONNX file that are looked at; a file with more is a file like any other."""
_MAX_VALUE = 1 << 20
_TYPES = (
    "undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
    "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz",
    "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1",
)  # fmt: skip
_KINDS = {4: "sequence", 5: "map", 7: "opaque", 8: "sparse tensor", 9: "optional"}


def signature(path: str, size: int, read: Read) -> dict[str, Any] | None:
    """The signature of the file `path` of `size` bytes; None if it has none."""
    try:
        if path.endswith(".safetensors"):
            found: dict[str, Any] = {"tensors": _tensors(size, read)}
        elif path.endswith(".onnx"):
            found = _onnx(size, read)
        else:
            return None
    except (msgspec.DecodeError, ValueError, IndexError, RecursionError):  # not what its name says
        return None
    return shortened(found)


def shortened(found: Any) -> dict[str, Any]:
    """A signature as it is kept."""
    data = canonical(found)
    return {"blake3": digest_of(data)} if len(data) > MAX_BYTES else found


# safetensors: https://github.com/huggingface/safetensors#format


def _tensors(size: int, read: Read) -> dict[str, list[Any]]:
    length = int.from_bytes(read(0, _LENGTH), "little")
    if length > min(MAX_HEADER, size - _LENGTH):
        raise ValueError("no header")
    entries = msgspec.json.decode(read(_LENGTH, _LENGTH + length), type=dict[str, msgspec.Raw])
    entries.pop("__metadata__", None)
    found = {name: msgspec.json.decode(entry, type=Tensor) for name, entry in entries.items()}
    return {name: [tensor.dtype, *tensor.shape] for name, tensor in sorted(found.items())}


# ONNX: https://onnx.ai/onnx/repo-docs/IR.html; protocol buffers: https://protobuf.dev/programming-guides/encoding


class _Wire:
    """The fields of a message at [begin, end) of a file, without reading what nobody asks for."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._at, self._data = 0, b""
        self._left = _FIELDS

    def fields(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(number, begin, end) of each field with a length; (number, value, -1) of each number. Raises ValueError."""
        while begin < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many fields")
            tag, begin = self._varint(begin, end)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, begin = self._varint(begin, end)
                yield number, value, -1
                continue
            if kind == 2:
                length, begin = self._varint(begin, end)
            else:
                length = {1: 8, 5: 4}.get(kind, end)
            if number == 0 or begin + length > end:
                raise ValueError("a field ends behind its message")
            if kind == 2:
                yield number, begin, begin + length
            begin += length

    def bytes(self, begin: int, end: int) -> bytes:
        """What lies there. Raises ValueError if it is long."""
        if end - begin > _MAX_VALUE:
            raise ValueError("a name or a type is not that long")
        if not self._at <= begin <= end <= self._at + len(self._data):
            self._at, self._data = begin, self._read(begin, max(end, begin + _WINDOW))
        found = self._data[begin - self._at : end - self._at]
        if len(found) != end - begin:
            raise ValueError("the file is cut")
        return found

    def text(self, begin: int, end: int) -> str:
        """The text there, in UTF-8."""
        return self.bytes(begin, end).decode("utf-8")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            if at >= end or shift > 63:
                raise ValueError("a number does not end")
            byte = self.bytes(at, at + 1)[0]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value, at


def _onnx(size: int, read: Read) -> dict[str, Any]:
    wire = _Wire(read)
    graph = next(((b, e) for number, b, e in wire.fields(0, size) if number == 7 and e >= 0), None)
    if graph is None:
        raise ValueError("no graph")
    given: set[str] = set()
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    for number, begin, end in wire.fields(*graph):
        if end < 0:
            continue
        if number == 5:
            given.add(_name_of(wire, begin, end))
        elif number in (11, 12):
            (inputs if number == 11 else outputs).append(_value(wire, begin, end))
    if not outputs:
        raise ValueError("no model is without an output")
    # Weights stand among the inputs in older files; nobody feeds them.
    return {"inputs": [value for value in inputs if value["name"] not in given], "outputs": outputs}


def _name_of(wire: _Wire, begin: int, end: int) -> str:
    """The name of a tensor, which stands before or behind its content."""
    for number, b, e in wire.fields(begin, end):
        if number == 8 and e >= 0:
            return wire.text(b, e)
    return ""


def _value(wire: _Wire, begin: int, end: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "", "type": "undefined", "shape": None}
    for number, b, e in wire.fields(begin, end):
        if number == 1 and e >= 0:
            found["name"] = wire.text(b, e)
        elif number == 2 and e >= 0:
            for kind, kb, ke in wire.fields(b, e):
                if kind == 1 and ke >= 0:
                    found.update(_tensor(wire, kb, ke))
                elif kind in _KINDS:
                    found["type"] = _KINDS[kind]
    return found


def _tensor(wire: _Wire, begin: int, end: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "undefined", "shape": None}
    for number, b, e in wire.fields(begin, end):
        if number == 1 and e < 0:
            found["type"] = _TYPES[b] if b < len(_TYPES) else f"type {b}"
        elif number == 2 and e >= 0:
            found["shape"] = [_size(wire, db, de) for n, db, de in wire.fields(b, e) if n == 1 and de >= 0]
    return found


def _size(wire: _Wire, begin: int, end: int) -> int | str | None:
    for number, b, e in wire.fields(begin, end):
        if number == 1 and e < 0:
            return b
        if number == 2 and e >= 0:
            return wire.text(b, e) or None
    return None


# What changed


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What somebody who uses the files would notice: path by path, in words. A file that only comes is no change."""
    found: list[str] = []
    for path in sorted(before):
        if path not in after:
            found.append(f"{path} is not there any more")
        elif _plain(before[path]) != _plain(after[path]):
            found += [f"{path}: {text}" for text in _different(before[path], after[path])]
    return found


def _plain(found: Any) -> Any:
    """A signature in which every free size is alike: what it is called binds nobody."""
    if isinstance(found, dict) and {"inputs", "outputs"} <= found.keys() and _values(found):
        return {
            side: [{**v, "shape": _sizes(v.get("shape"))} for v in found[side]]
            for side in ("inputs", "outputs")
        }
    return found


def _values(found: dict[str, Any]) -> bool:
    sides = [found[side] for side in ("inputs", "outputs")]
    return all(
        isinstance(side, list) and all(isinstance(v, dict) and isinstance(v.get("name"), str) for v in side)
        for side in sides
    )


def _sizes(shape: Any) -> Any:
    return [size if isinstance(size, int) else None for size in shape] if isinstance(shape, list) else shape


def _different(before: Any, after: Any) -> Iterator[str]:
    if not isinstance(before, dict) or not isinstance(after, dict) or before.keys() != after.keys():
        yield "its signature is another"
        return
    if "tensors" in before:
        yield from _of_names("tensor", before["tensors"], after["tensors"])
    elif {"inputs", "outputs"} <= before.keys() and _values(before) and _values(after):
        for side, one in (("inputs", "input"), ("outputs", "output")):
            old, new = _by_name(before[side]), _by_name(after[side])
            yield from _of_names(one, old, new)
            if old == new and list(old) != list(new):
                yield f"the {side} are in another order: {', '.join(new)}"
    else:
        keys = ", ".join(sorted(key for key in before if before[key] != after[key]))
        yield f"its signature is another: {keys}"


def _by_name(values: list[dict[str, Any]]) -> dict[str, Any]:
    return {v["name"]: [v.get("type"), *(_sizes(v.get("shape")) or [])] for v in values}


def _of_names(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    texts = [f"the {what} {name} is gone" for name in old if name not in new]
    texts += [f"the {what} {name} is new: {_shown(new[name])}" for name in new if name not in old]
    texts += [
        f"the {what} {name} was {_shown(old[name])}, is {_shown(new[name])}"
        for name in old
        if name in new and old[name] != new[name]
    ]
    yield from texts[:_SHOWN]
    if len(texts) > _SHOWN:
        yield f"and {len(texts) - _SHOWN} more {what}s"


_SHOWN = 5


def _shown(value: Any) -> str:
    kind, *shape = value
    return f"{kind}[{', '.join('?' if size is None else str(size) for size in shape)}]"


def told_of(found: Any, limit: int = 10) -> list[tuple[str, str]]:
    """A signature for people: (`input`, `x float32[?, 64]`)."""
    if isinstance(found, dict) and {"inputs", "outputs"} <= found.keys() and _values(found):
        return [
            (side[:-1], f"{name} {_shown(value)}")
            for side in ("inputs", "outputs")
            for name, value in _by_name(found[side]).items()
        ]
    if isinstance(found, dict) and isinstance(found.get("tensors"), dict):
        tensors = [("tensor", f"{name} {_shown(value)}") for name, value in found["tensors"].items()]
        more = [("", f"and {len(tensors) - limit} more")] if len(tensors) > limit else []
        return tensors[:limit] + more
    return [("", canonical(found).decode()[:200])]
