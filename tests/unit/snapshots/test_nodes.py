"""Nodes: ids, cuts and the columns."""

from __future__ import annotations

import itertools
import zlib

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from rote.errors import Corrupt
from rote.laws.data.nodes import (
    MAX_ROWS,
    Places,
    Rows,
    check_single,
    decode,
    encode_places,
    ends,
    logical,
    node_id,
    snapshot_id,
)

CUTTING = next(name for i in itertools.count() if not zlib.crc32((name := f"f{i}").encode()) & 1023)
digests = st.binary(min_size=32, max_size=32)


def one_by_one(paths: list[str]) -> list[int]:
    """Where nodes end, in the simplest words of the format."""
    found, begin = [], 0
    for number, path in enumerate(paths, 1):
        if not zlib.crc32(path.encode()) & 1023 or number - begin == MAX_ROWS:
            found.append(number)
            begin = number
    return found


def test_logical_bytes_are_those_of_the_format() -> None:
    rows = Rows(["a", "ü"], [1, 2**40], b"\0\1", b"A" * 32 + b"B" * 32)
    assert logical(rows) == (
        b"\x02\0\0\0\x04\0\0\0a\0\xc3\xbc"
        + b"\x01\0\0\0\0\0\0\0"
        + b"\0\0\0\0\0\1\0\0"
        + b"\0\1"
        + b"A" * 32
        + b"B" * 32
    )


def test_ids_are_tagged_digests() -> None:
    node = blake3(b"x", derive_key_context="rote 1 node").hexdigest()
    assert node_id(b"x") == node
    whole = blake3(b"\1" + bytes.fromhex(node) * 2, derive_key_context="rote 1 snapshot").hexdigest()
    assert snapshot_id(True, [node_id(b"x")] * 2) == whole
    assert snapshot_id(False, []) != snapshot_id(True, [])


def test_a_node_ends_where_the_path_says() -> None:
    assert ends(["a", CUTTING, "z"]) == [2]
    assert ends([CUTTING, CUTTING]) == [1, 2]
    assert ends([]) == []


@pytest.mark.parametrize("before", [0, 1, 5000, MAX_ROWS - 1])
@pytest.mark.parametrize("cut_at", [None, 0, 1, MAX_ROWS - 5001, MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 3])
def test_a_node_has_no_more_rows_than_allowed(before: int, cut_at: int | None) -> None:
    dull = next(f"n{i}" for i in range(3) if zlib.crc32(f"n{i}".encode()) & 1023)
    paths = [dull] * (before + 2 * MAX_ROWS + 7)
    if cut_at is not None:
        paths[before + cut_at] = CUTTING
    expected = [end - before for end in one_by_one(paths)]
    assert ends(paths[before:], before) == expected


@given(st.lists(st.sampled_from([CUTTING, "a", "b"]), max_size=30), st.integers(0, 30))
def test_cuts_do_not_depend_on_batches(paths: list[str], at: int) -> None:
    first = ends(paths[:at])
    before = len(paths[:at]) - (first[-1] if first else 0)
    assert first + [len(paths[:at]) + end for end in ends(paths[at:], before)] == one_by_one(paths)


@st.composite
def stored(draw: st.DrawFn) -> tuple[Rows, Places]:
    paths = sorted(
        draw(
            st.sets(st.text(st.characters(blacklist_characters="\0", codec="utf-8"), min_size=1), min_size=1)
        )
    )
    counts = [draw(st.integers(0, 3)) for _ in paths]
    blocks = draw(st.integers(1, 4))
    lengths = [draw(st.integers(1, 100)) for count in counts if count > 1 for _ in range(count)]
    sizes, many = [], 0
    for count in counts:
        sizes.append(sum(lengths[many : many + count]) if count > 1 else draw(st.integers(1, 100)) * count)
        many += count if count > 1 else 0
    packs = draw(st.lists(st.sampled_from(["", "T/a", "T/b"]), min_size=1, max_size=3))
    chunks = sum(counts)
    column = st.integers(0, 2**32 - 1)
    places = Places(
        packs=packs,
        block_pack=[draw(st.integers(0, len(packs) - 1)) for _ in range(blocks)],
        block_offset=[draw(st.integers(0, 2**64 - 1)) for _ in range(blocks)],
        block_stored=[draw(column) for _ in range(blocks)],
        block_length=[300] * blocks,
        block_codec=bytes(draw(st.integers(0, 4)) for _ in range(blocks)),
        counts=counts,
        blocks=[draw(st.integers(0, blocks - 1)) for _ in range(chunks)],
        starts=[draw(st.integers(0, 200)) for _ in range(chunks)],
        lengths=lengths,
        digests=b"".join(draw(digests) for _ in lengths),
    )
    executables = bytes(draw(st.integers(0, 1)) for _ in paths)
    return Rows(paths, sizes, executables, b"".join(draw(digests) for _ in paths)), places


def as_lists(places: Places) -> dict[str, object]:
    values = {name: getattr(places, name) for name in places.__struct_fields__}
    return {name: value if isinstance(value, bytes) else list(value) for name, value in values.items()}


@given(stored())
def test_what_is_encoded_is_decoded(node: tuple[Rows, Places]) -> None:
    rows, places = node
    head = logical(rows)
    again, where, cut = decode(head + encode_places(places), "here")
    assert again == rows
    assert cut == len(head)
    assert as_lists(where) == as_lists(places)


@given(stored(), st.data())
def test_a_cut_or_longer_node_is_refused(node: tuple[Rows, Places], data: st.DataObject) -> None:
    whole = logical(node[0]) + encode_places(node[1])
    with pytest.raises(Corrupt, match="here"):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))], "here")
    with pytest.raises(Corrupt):
        decode(whole + b"\0", "here")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read_but_never_anything_else(data: bytes) -> None:
    try:
        rows, places, _ = decode(data, "here")
    except Corrupt:
        return
    assert logical(rows) + encode_places(places) == data


def test_counts_that_claim_more_than_is_there_make_nothing() -> None:
    with pytest.raises(Corrupt, match="too early"):
        decode(b"\xff\xff\xff\xff" + b"\x01\0\0\0a" + b"\0" * 100, "here")


def broken(**changes: object) -> bytes:
    rows = Rows(["a", "b"], [5, 6], b"\0\0", b"A" * 32 + b"B" * 32)
    good = {
        "packs": ["T/a"], "block_pack": [0], "block_offset": [8], "block_stored": [11], "block_length": [11],
        "block_codec": b"\0", "counts": [1, 2], "blocks": [0, 0, 0], "starts": [0, 5, 7], "lengths": [2, 4],
        "digests": b"C" * 64,
    }  # fmt: skip
    for name in list(changes):
        if name in ("paths", "sizes", "executables"):
            setattr(rows, name, changes.pop(name))
    return logical(rows) + encode_places(Places(**(good | changes)))


def test_the_node_that_the_next_test_breaks_is_sound() -> None:
    decode(broken(), "here")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"paths": ["b", "a"]}, "not in order"),
        ({"paths": ["a", "a"]}, "not in order"),
        ({"executables": b"\0\2"}, "neither executable"),
        ({"block_pack": [1]}, "pack that is not listed"),
        ({"block_codec": b"\5"}, "unknown codec"),
        ({"blocks": [0, 0, 1]}, "block that is not listed"),
        ({"counts": [1, 1]}, "number of its chunks"),
        ({"counts": [3, 0]}, "add up"),
        ({"sizes": [5, 7]}, "add up"),
        ({"sizes": [0, 6]}, "content has no chunk, or an empty one has"),
        ({"starts": [0, 5, 8]}, "beyond its block"),
        ({"starts": [7, 5, 7]}, "beyond its block"),
        ({"lengths": [2, 4, 1], "digests": b"C" * 96}, "belong to no file"),
    ],
)
def test_a_node_that_contradicts_itself_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(Corrupt, match=why):
        decode(broken(**changes), "here")


def test_a_single_file_is_the_only_row() -> None:
    check_single(False, ["a", "b"], "here")
    check_single(True, ["file"], "here")
    for paths in (["a"], ["file", "g"], []):
        with pytest.raises(Corrupt):
            check_single(True, paths, "here")
