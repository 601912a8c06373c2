"""Laws of byte planes, and what is made of stored forms that nobody wrote."""

from __future__ import annotations

import random

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from rote.errors import Corrupt
from rote.laws.data import planes
from rote.services.store.packs import MAX_BLOCK, unpack
from rote.services.store.probing import Prober, in_planes, packed
from rote.words.snapshot import RAW, ZSTD

width = st.sampled_from(sorted(planes.CODECS))
compressor = zstandard.ZstdCompressor(level=1)


@given(st.binary(max_size=300), width)
def test_what_was_split_is_joined_again(data, width):
    parts = planes.split(data, width)
    assert [len(part) for part in parts] == planes.lengths(len(data), width)
    assert planes.join(parts, len(data)) == data


@given(st.binary(max_size=5000), st.integers(0, 200), width)
def test_a_block_in_planes_is_read_back_by_its_codec(data, zeros, width):
    whole = data + bytes(zeros)
    codec = planes.CODECS[width]
    assert unpack(in_planes(whole, width, compressor), codec, len(whole), "T/x") == whole


@given(st.binary(max_size=3000), st.sampled_from([0, 2, 3, 4, 8, 1 << 70]))
def test_whatever_is_chosen_can_be_read_back(data, width):
    codec = Prober().choose(data, width)
    stored = data if codec == RAW else packed(data, codec)
    assert unpack(stored, codec, len(data), "T/x") == data


@given(st.binary(max_size=200), st.integers(0, 100), width)
@example(b"", 0, 4)
def test_bytes_that_nobody_wrote_are_planes_of_the_length_or_damage(stored, length, width):
    try:
        found = unpack(stored, planes.CODECS[width], length, "T/x")
    except Corrupt:
        return
    assert len(found) == length


def block(*stored: bytes) -> bytes:
    return planes.bind(stored)


frame = compressor.compress


@pytest.mark.parametrize(
    ("stored", "length"),
    [
        (b"\0" * 7, 0),
        (block(b"ab", b"a"), 2),
        (block(b"ab", b"ab") + b"x", 4),
        (block(b"ab", b"ab")[:-1], 4),
        (b"\xff" * 8 + b"abcd", 4),
        (block(b"", b"ab"), 4),
        (block(frame(bytes(999)), b"\1" * 1000), 2000),
        (block(frame(bytes(1 << 20)), b"\1" * 1000), 2000),
        (block(frame(bytes(1000))[:-1], b"\1" * 1000), 2000),
        (block(frame(bytes(1000)) + b"x", b"\1" * 1000), 2000),
        (block(b"no frame", b"\1" * 1000), 2000),
    ],
)
def test_planes_that_do_not_fit_are_damage(stored, length):
    with pytest.raises(Corrupt):
        unpack(stored, 2, length, "T/x")


def test_a_length_that_no_block_may_have_is_refused_before_anything_is_made():
    with pytest.raises(Corrupt, match="claims"):
        unpack(block(b"", b""), 2, MAX_BLOCK + 1, "T/x", MAX_BLOCK)


def test_an_unknown_codec_is_said_to_be_one():
    with pytest.raises(Corrupt, match="does not know"):
        unpack(b"abcd", 5, 4, "T/x")


def test_noise_and_text_are_not_taken_for_numbers():
    rnd = random.Random(1)
    words = [rnd.randbytes(3).hex() for _ in range(500)]
    for _ in range(200):
        assert not planes.suspected(rnd.randbytes(1 << 14))
        assert not planes.suspected(" ".join(rnd.choices(words, k=1000)).encode())
    assert not planes.suspected(b"")


def test_the_answer_for_noise_holds_for_noise_only():
    rnd = random.Random(1)
    prober = Prober()
    text = b"all work and no play makes a dull text\n" * 2000
    assert prober.choose(rnd.randbytes(1 << 17)) == RAW
    assert prober.choose(text) == ZSTD
