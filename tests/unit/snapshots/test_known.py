"""What this machine remembers: hints that may be wrong or gone, and harm nothing then."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from rote.services.store import known as module
from rote.services.store.known import Known
from rote.services.store.packs import DATA, NODE, Footer
from rote.words.snapshot import RAW, ZSTD, Block, Chunk


def digest(number: int) -> bytes:
    return blake3(b"%d" % number).digest()


def footer(*numbers: int, size: int = 100_000) -> Footer:
    """A packed block of these chunks, a raw one of one chunk, and a node."""
    digests = b"".join(digest(n) for n in (*numbers, 1000, 2000))
    return Footer(
        [size, 77, 5],
        [10 * len(numbers), 77, 9],
        bytearray([ZSTD, RAW, ZSTD]),
        bytearray([DATA, DATA, NODE]),
        [len(numbers), 1, 1],
        [10] * len(numbers) + [77, 9],
        digests,
    )


def test_what_was_remembered_is_found_again_and_again(tmp_path: Path) -> None:
    path = str(tmp_path / "known.db")
    first = Known(path, "store")
    assert first.find(digest(1)) is None
    first.remember("T/pack", footer(1, 2))
    assert first.find(digest(2)) is None, "whoever writes it knows it by itself"
    first.renew()
    for known in (first, Known(path, "store")):
        assert known.find(digest(2)) == (Chunk(digest(2), 0, 10, 10), Block("T/pack", 8, 100_000, 20, ZSTD))
        assert known.find(digest(1000)) == (
            Chunk(digest(1000), 0, 0, 77),
            Block("T/pack", 100_008, 77, 77, RAW),
        )
        assert known.find(digest(2000)) is None, "a node is not a piece of a file"
        assert known.find(digest(3)) is None
        known.close()
        assert known.find(digest(2)) is None


def test_stores_do_not_mix_and_the_latest_place_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "known.db")
    a, b = Known(path, "a"), Known(path, "b")
    a.remember("T/1", footer(1))
    assert b.find(digest(1)) is None
    b.remember("T/2", footer(1))
    a.remember("T/3", footer(1))
    for known in (a, b):
        known.renew()
    found = a.find(digest(1)), b.find(digest(1))
    assert [place and place[1].pack for place in found] == ["T/3", "T/2"]


def test_little_packs_are_not_worth_it(tmp_path: Path) -> None:
    known = Known(str(tmp_path / "known.db"), "store")
    known.remember("T/pack", footer(1, size=1000))
    assert known.find(digest(1)) is None


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 40)
    known = Known(str(tmp_path / "known.db"), "store")
    for number in range(30):
        known.remember(f"T/{number}", footer(number))
    known.close()
    known = Known(str(tmp_path / "known.db"), "store")
    assert known.find(digest(29)) is not None
    assert known.find(digest(0)) is None
    assert sum(known.find(digest(n)) is not None for n in range(30)) <= 20


@pytest.mark.parametrize("content", [b"this is no database" * 100, None])
def test_a_file_that_cannot_be_used_means_that_nothing_is_known(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "known.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    known = Known(str(path), "store")
    known.remember("T/pack", footer(1))
    assert known.find(digest(1)) is None
    known.close()
