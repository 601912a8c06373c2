"""Packs: their bytes, and refusing what is not one."""

from __future__ import annotations

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from rote.adapters.stores.memory import MemoryStore
from rote.errors import Corrupt, NotFound
from rote.services.store.packing import Packer
from rote.services.store.packs import (
    DATA,
    MAX_BLOCK,
    NODE,
    Footer,
    encode_footer,
    read_footer,
    unpack,
    verify,
)
from rote.words.snapshot import RAW, ZSTD, Block


class Filled:
    """A packer over a store in memory."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self.store = MemoryStore()
        self.full = 0
        self.packer = Packer("T", self.put, self.on_full, limit=limit)

    def put(self, digest: str, data: memoryview) -> str:
        self.store.create(f"packs/T/{digest}", data)
        return f"T/{digest}"

    def on_full(self) -> None:
        self.full += 1
        self.packer.add_node(b"node %d" % self.full)

    def fill(self, blocks: list[list[bytes]]) -> list[str]:
        """Each block of these chunks; the packs' names."""
        with self.packer as packer:
            for chunks in blocks:
                digests = b"".join(blake3(chunk).digest() for chunk in chunks)
                packer.add(packer.reserve(), b"".join(chunks), [len(c) for c in chunks], digests)
            packer.finish()
        return packer.names


def noise(size: int) -> bytes:
    return blake3(b"seed").digest(length=size)


def one_pack() -> tuple[MemoryStore, str]:
    filled = Filled()
    [name] = filled.fill([[b"one", b"two " * 50_000], [noise(1000)]])
    return filled.store, name


blocks_of_chunks = st.lists(
    st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4), min_size=1, max_size=6
)


@given(blocks_of_chunks, st.integers(9, 400))
def test_what_is_packed_can_be_found_by_its_footer(blocks: list[list[bytes]], limit: int) -> None:
    filled = Filled(limit)
    names = filled.fill(blocks)
    chunks: list[bytes] = []
    for name in names:
        footer = read_footer(filled.store, name)
        assert verify(filled.store, name) == []
        for i, kind in enumerate(footer.kind):
            if kind == DATA:
                chunks += [bytes(32)] * footer.count[i]
        data = [i for i, kind in enumerate(footer.kind) if kind == DATA]
        assert data == list(range(len(data))), "nodes lie side by side at the end"
    assert len(chunks) == sum(map(len, blocks))
    for number, whole in enumerate(map(b"".join, blocks)):
        place = filled.packer.blocks[number]
        assert place is not None
        pack, offset, stored, length, codec = place
        found = filled.store.get_range(f"packs/{names[pack]}", offset, stored)
        assert bytes(unpack(found, codec, length, names[pack])) == whole


def test_the_name_is_the_tagged_digest_of_the_footer() -> None:
    store, name = one_pack()
    data = store.get(f"packs/{name}").data
    stored = int.from_bytes(data[-48:-44], "little")
    footer = zstandard.ZstdDecompressor().decompress(data[-48 - stored : -48])
    assert name == "T/" + blake3(footer, derive_key_context="rote 1 pack").hexdigest()
    assert data[:8] == data[-8:] == b"rotepak1"


def test_what_shrinks_is_packed_and_what_does_not_is_stored_as_it_is() -> None:
    store, name = one_pack()
    footer = read_footer(store, name)
    assert list(footer.codec) == [ZSTD, RAW]
    assert footer.stored[0] < 1000 < 200_000 < footer.length[0]
    assert footer.stored[1] == footer.length[1] == 1000


def test_text_after_noise_is_packed_again() -> None:
    filled = Filled()
    [name] = filled.fill([[noise(1000)]] + [[b"text " * 1000]] * 20)
    codecs = list(read_footer(filled.store, name).codec)
    assert codecs[0] == RAW
    assert codecs[9:] == [ZSTD] * 12, "after some that do not shrink, few are left untried"


def test_packs_are_closed_at_their_limit_and_many_are_uploaded() -> None:
    filled = Filled(limit=10_000)
    names = filled.fill([[noise(4000 + i)] for i in range(40)])
    assert len(names) == len(set(names)) == filled.full + (40 % 3 > 0)
    assert all(
        10_000 < meta.size < 15_000 for meta in list(filled.store.list("packs/"))[:-1] if meta.size > 9000
    )


def test_foreign_blocks_and_packs_have_one_number_each() -> None:
    packer = Filled().packer
    first = packer.foreign(Block("X/1", 8, 10, 20, ZSTD))
    assert packer.foreign(Block("X/1", 8, 10, 20, ZSTD)) == first
    assert packer.foreign(Block("X/1", 18, 10, 20, ZSTD)) != first
    assert packer.pack_number("X/1") == packer.blocks[first][0]  # type: ignore[index]  # it was just added
    assert packer.names == ["X/1"]


def test_an_upload_that_fails_is_not_lost() -> None:
    filled = Filled(limit=1000)

    def put(digest: str, data: memoryview) -> str:
        raise Corrupt("no")

    filled.packer = Packer("T", put, filled.on_full, limit=1000)
    with pytest.raises(Corrupt, match="no"):
        filled.fill([[noise(2000 + i)] for i in range(10)])


def spoiled(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def test_every_flipped_byte_is_noticed() -> None:
    filled = Filled()
    [name] = filled.fill([[b"chunk one", b"chunk two"], [b"pack me " * 30]])
    data = filled.store.get(f"packs/{name}").data
    sound = read_footer(filled.store, name)
    assert verify(filled.store, name) == []
    silent = []
    for at in range(len(data)):
        store = MemoryStore()
        store.create(f"packs/{name}", spoiled(data, at))
        try:
            bad = verify(store, name)
        except Corrupt:
            continue
        if not bad:
            silent.append(at)
            assert read_footer(store, name) == sound
    # zstd has one bit in a frame's head that means nothing; what is unpacked is the same with it. There are two frames.
    assert len(silent) <= 2


def test_every_cut_pack_is_refused() -> None:
    store, name = one_pack()
    data = store.get(f"packs/{name}").data
    for length in [*range(200), *range(len(data) - 200, len(data))]:
        cut = MemoryStore()
        cut.create(f"packs/{name}", data[:length])
        with pytest.raises(Corrupt) as caught:
            read_footer(cut, name)
        assert caught.value.where == f"packs/{name}"
        assert caught.value.next is not None
    longer = MemoryStore()
    longer.create(f"packs/{name}", data + b"\0")
    with pytest.raises(Corrupt):
        read_footer(longer, name)


def test_a_pack_under_another_name_is_refused() -> None:
    store, name = one_pack()
    store.create(f"packs/T/{'0' * 64}", store.get(f"packs/{name}").data)
    with pytest.raises(Corrupt, match="name"):
        read_footer(store, f"T/{'0' * 64}")
    with pytest.raises(NotFound):
        read_footer(store, f"T/{'1' * 64}")


def named(footer: Footer, blocks: bytes) -> tuple[MemoryStore, str]:
    """A pack with this footer, its name and its trailer right."""
    digest, end = encode_footer(footer)
    store = MemoryStore()
    store.create(f"packs/T/{digest}", b"rotepak1" + blocks + end)
    return store, f"T/{digest}"


@pytest.mark.parametrize(
    ("footer", "why"),
    [
        (Footer([3], [3], bytearray([5]), bytearray(1), [1], [3], bytes(32)), "codec"),
        (Footer([3], [3], bytearray([2]), bytearray([1]), [1], [3], bytes(32)), "nodes do not have"),
        (Footer([3], [3], bytearray(1), bytearray([2]), [1], [3], bytes(32)), "kind"),
        (Footer([3], [3], bytearray(1), bytearray(1), [2], [3], bytes(32)), "add up"),
        (Footer([3], [3], bytearray(1), bytearray(1), [1], [4], bytes(32)), "do not fill it"),
        (Footer([4], [3], bytearray(1), bytearray(1), [1], [3], bytes(32)), "do not fill it"),
        (Footer([3], [3], bytearray(1), bytearray(1), [1], [3], bytes(31)), "another length"),
    ],
)
def test_a_footer_that_contradicts_itself_is_refused(footer: Footer, why: str) -> None:
    store, name = named(footer, b"abc")
    with pytest.raises(Corrupt, match=why):
        read_footer(store, name)


def test_a_footer_that_claims_to_be_huge_is_refused_before_it_is_unpacked() -> None:
    store, name = one_pack()
    data = bytearray(store.get(f"packs/{name}").data)
    data[-44:-40] = (1 << 31).to_bytes(4, "little")
    bomb = MemoryStore()
    bomb.create(f"packs/{name}", data)
    with pytest.raises(Corrupt, match="end is not that of a pack"):
        read_footer(bomb, name)


class TestUnpack:
    frame = zstandard.ZstdCompressor(level=1).compress(b"x" * 1000)

    def test_what_is_declared_must_be_what_the_frame_says(self) -> None:
        assert unpack(self.frame, ZSTD, 1000, "T/p") == b"x" * 1000
        for length in (0, 999, 1001):
            with pytest.raises(Corrupt, match="declares"):
                unpack(self.frame, ZSTD, length, "T/p")

    def test_a_bomb_is_refused_by_its_declared_size(self) -> None:
        bomb = zstandard.ZstdCompressor().compress(bytes(MAX_BLOCK + 1))
        assert len(bomb) < 10_000
        with pytest.raises(Corrupt, match="claims"):
            unpack(bomb, ZSTD, MAX_BLOCK + 1, "T/p", MAX_BLOCK)
        with pytest.raises(Corrupt, match="declares"):
            unpack(bomb, ZSTD, 1000, "T/p", MAX_BLOCK)

    def test_a_frame_without_a_size_and_one_with_a_tail_are_refused(self) -> None:
        nameless = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 1000)
        for data in (nameless, self.frame + b"x", self.frame + self.frame, self.frame[:-1], b"", b"nonsense"):
            with pytest.raises(Corrupt):
                unpack(data, ZSTD, 1000, "T/p")

    def test_a_raw_block_has_its_own_length(self) -> None:
        assert unpack(b"abc", RAW, 3, "T/p") == b"abc"
        with pytest.raises(Corrupt, match="length"):
            unpack(b"abc", RAW, 4, "T/p")

    @given(st.binary(max_size=200), st.integers(0, 300))
    def test_any_bytes_unpack_to_the_length_or_are_refused(self, data: bytes, length: int) -> None:
        try:
            found = unpack(data, ZSTD, length, "T/p")
        except Corrupt:
            return
        assert len(found) == length


def test_a_node_is_packed_and_said_to_be_one() -> None:
    filled = Filled()
    with filled.packer as packer:
        place = packer.add_node(b"node " * 100)
        packer.finish()
    footer = read_footer(filled.store, packer.names[place.pack])
    assert (list(footer.kind), list(footer.codec), footer.count) == ([NODE], [ZSTD], [1])
    data = filled.store.get_range(f"packs/{packer.names[place.pack]}", place.offset, place.stored)
    assert unpack(data, ZSTD, place.length, "p") == b"node " * 100
    assert blake3(b"node " * 100).hexdigest() == place.check
