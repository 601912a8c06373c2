"""Headers of files of tensors: those that are right, and those that nobody should believe."""

from __future__ import annotations

import json
import struct
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rote.laws.data.tensors import ALIGN, MAX_HEADER, Stretch, stretches

KIB = 1024


def front(header: Any, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def header(*tensors: tuple[str, int]) -> dict[str, Any]:
    """Tensors of these types and bytes, back to back."""
    width = {"F32": 4, "BF16": 2, "F64": 8, "U8": 1, "F4": 1}
    made: dict[str, Any] = {"__metadata__": {"shape": "any text"}}
    at = 0
    for number, (dtype, size) in enumerate(tensors):
        made[f"t{number}"] = {
            "dtype": dtype,
            "shape": [size // width[dtype]],
            "data_offsets": [at, at + size],
        }
        at += size
    return made


def cut(*tensors: tuple[str, int], rest: int = 0) -> list[tuple[int, int]]:
    """(bytes, width) of each stretch after the header."""
    start = front(header(*tensors))
    size = len(start) + sum(size for _, size in tensors) + rest
    found = stretches(start + bytes(100), size)
    assert found[0] == Stretch(len(start), 0)
    ends = [stretch.end for stretch in found]
    assert ends[-1] == size
    return [(b.end - a.end, b.width) for a, b in pairwise(found)]


def test_large_tensors_stand_alone_and_small_ones_share() -> None:
    assert cut(("F32", 4 * KIB), ("F32", 256 * KIB), ("F32", 4 * KIB), ("F32", 8 * KIB), ("F32", ALIGN)) == [
        (4 * KIB, 4), (256 * KIB, 4), (12 * KIB, 4), (ALIGN, 4),
    ]  # fmt: skip


def test_small_tensors_are_gathered_up_to_a_size() -> None:
    assert cut(*[("BF16", 40 * KIB)] * 5) == [(80 * KIB, 2), (80 * KIB, 2), (40 * KIB, 2)]


def test_a_width_is_told_only_where_all_agree() -> None:
    assert cut(("F64", 8), ("F32", 8), ("U8", ALIGN), ("F4", ALIGN), ("F64", ALIGN)) == [
        (16, 0), (ALIGN, 0), (ALIGN, 0), (ALIGN, 8),
    ]  # fmt: skip


def test_bytes_after_the_last_tensor_and_empty_tensors() -> None:
    assert cut(("F32", ALIGN), ("F32", 0), rest=5) == [(ALIGN, 4), (5, 0)]
    assert cut(("F32", 0)) == []


BASE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\0" * 8,
        front({"a": BASE}, 1 << 63),
        front({"a": BASE}, (1 << 64) - 1),
        front({"a": BASE}, MAX_HEADER + 1),
        front({"a": BASE}, 10_000),
        front({"a": BASE}, 1),
        front({"a": BASE}, 0),
        front({"a": BASE})[:-1],
        front(b" {}"),
        front(b"{}"),
        front(b'{"a":'),
        front(b"{" * 100_000),
        front(b'{"a":' * 100_000),
        front(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        front(b'{"\xff": 1}'),
        front({"a": 1}),
        front({"a": {**BASE, "dtype": 7}}),
        front({"a": {**BASE, "shape": [5]}}),
        front({"a": {**BASE, "shape": [-4]}}),
        front({"a": {**BASE, "shape": [-2, -2]}}),
        front({"a": {**BASE, "shape": [1 << 62] * 16}}),
        front({"a": {**BASE, "shape": [1 << 64]}}),
        front({"a": {**BASE, "shape": [1] * 17}}),
        front(b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,16]}}'),
        front({"a": {**BASE, "data_offsets": [16, 0]}}),
        front({"a": {**BASE, "data_offsets": [-16, 0]}}),
        front({"a": {**BASE, "data_offsets": [0, 16, 32]}}),
        front({"a": {**BASE, "data_offsets": [0.5, 16.5]}}),
        front({"a": {**BASE, "data_offsets": [1 << 40, (1 << 40) + 16]}}),
        front({"a": {**BASE, "data_offsets": [1 << 63, (1 << 63) + 16]}}),
        front({"a": BASE, "b": {**BASE, "data_offsets": [8, 24]}}),
        front({"a": BASE, "b": BASE}),
        front({"a": BASE, "b": {**BASE, "dtype": "X", "data_offsets": [15, 16]}}),
    ],
)
def test_a_header_that_is_not_right_makes_a_file_like_any_other(start: bytes) -> None:
    size = max(len(start), 200)
    assert stretches(start, size) == [Stretch(size, 0)]


def test_the_largest_header_costs_no_more_than_some_times_its_size() -> None:
    entry = b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
    text = b"{" + b"".join(entry % i for i in range(MAX_HEADER // 60))[:-1] + b"}"
    start = front(text)
    tracemalloc.start()
    found = stretches(start, len(start) + 9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [Stretch(len(start), 0), Stretch(len(start) + 9, 0)]
    assert peak < 12 * MAX_HEADER


number = st.integers(-2, 1 << 17) | st.sampled_from([1 << 32, 1 << 63, 1 << 70])
entry = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F4", "", "U8"]),
        "shape": st.lists(number, max_size=3),
        "data_offsets": st.lists(number, min_size=1, max_size=3),
    }
)
whatever = st.dictionaries(st.text(max_size=2), entry, max_size=4).map(lambda h: json.dumps(h).encode())
right = st.lists(st.tuples(st.sampled_from(["F32", "BF16", "F4"]), st.integers(0, 50_000).map(lambda n: 4 * n)), max_size=9).map(
    lambda tensors: json.dumps(header(*tensors)).encode()
)  # fmt: skip


@given(
    st.binary(max_size=100) | (whatever | right | st.binary(max_size=50)).map(front),
    st.integers(0, 2_000_000),
)
def test_stretches_fill_a_file_in_order_whatever_its_header_says(start: bytes, more: int) -> None:
    size = len(start) + more
    ends = [stretch.end for stretch in stretches(start, size)]
    assert ends == sorted(set(ends)) or ends == [0]
    assert ends[-1] == size
    assert len(ends) <= 3 + 2 * (size // ALIGN)
    assert {stretch.width for stretch in stretches(start, size)} <= {0, 2, 4, 8}
