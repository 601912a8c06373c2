"""A second reader of a store in a folder, written from docs/format.md alone: nothing of rote is imported here."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import blake3
import zstandard


class Damaged(Exception):
    """Something is not as docs/format.md says."""


class Row:
    """A file of a snapshot; `chunks` are (pack, offset, stored, length, codec, start, length of the chunk, digest)."""

    def __init__(self, path: str, size: int, executable: bool, digest: bytes) -> None:
        self.path = path
        self.size = size
        self.executable = executable
        self.digest = digest
        self.chunks: list[tuple[str, int, int, int, int, int, int, bytes]] = []


class Columns:
    """Takes columns off the front of bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        need(self.at + count <= len(self.data), "a structure ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def numbers(self, letter: str, count: int) -> list[int]:
        return list(struct.unpack(f"<{count}{letter}", self.take(count * struct.calcsize("<" + letter))))

    def number(self) -> int:
        return self.numbers("I", 1)[0]

    def digests(self, count: int) -> list[bytes]:
        return [self.take(32) for _ in range(count)]


def need(good: bool, why: str) -> None:
    if not good:
        raise Damaged(why)


def plain(data: bytes) -> bytes:
    return blake3.blake3(data).digest()


def tagged(domain: str, data: bytes) -> bytes:
    return blake3.blake3(data, derive_key_context=f"rote 1 {domain}").digest()


def frame(data: bytes, length: int) -> bytes:
    """The content of one zstd frame that declares `length` bytes."""
    need(length <= 1 << 28, "too much is declared")
    need(zstandard.frame_content_size(data) == length, "a frame declares another length")
    return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)


class SecondReader:
    """Reads a store that lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def object(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def record(self, key: str) -> dict[str, object]:
        """Section 2."""
        body, line, end = self.object(key).rsplit(b"\n", 2)
        need(line == b"blake3:" + plain(body).hex().encode() and end == b"", f"{key} is damaged")
        value = json.loads(body)
        newest = 2 if key.startswith("snapshots/") else 1
        need(1 <= value["format"] <= newest, f"{key} is of another format")
        return value

    # ---- section 5 ---------------------------------------------------------------------------------------------

    def packs(self) -> list[str]:
        return sorted(f"{p.parent.name}/{p.name}" for p in (self.folder / "packs").glob("*/*"))

    def pack(self, name: str) -> list[tuple[int, int, int, int, int, list[tuple[int, bytes]]]]:
        """The blocks of a pack: offset, stored, length, codec, kind, chunks; everything is verified."""
        data = self.object(f"packs/{name}")
        need(data[:8] == data[-8:] == b"rotepak1", "not a pack")
        stored, length = struct.unpack("<II", data[-48:-40])
        footer = frame(data[-48 - stored : -48], length)
        digest = tagged("pack", footer)
        need(digest == data[-40:-8] and digest.hex() == name.split("/")[1], "the footer is another")
        columns = Columns(footer)
        blocks, chunks = columns.number(), columns.number()
        sizes, lengths = columns.numbers("I", blocks), columns.numbers("I", blocks)
        codecs, kinds = columns.take(blocks), columns.take(blocks)
        counts, pieces = columns.numbers("I", blocks), columns.numbers("I", chunks)
        digests = columns.digests(chunks)
        need(columns.at == len(footer) and sum(counts) == chunks, "the footer does not add up")
        found, offset, at = [], 8, 0
        for i in range(blocks):
            mine = list(zip(pieces, digests, strict=True))[at : at + counts[i]]
            content = self.block(name, offset, sizes[i], lengths[i], codecs[i])
            start = 0
            for size, expected in mine:
                need(plain(content[start : start + size]) == expected, "a chunk is damaged")
                start += size
            need(start == lengths[i], "the chunks do not fill the block")
            found.append((offset, sizes[i], lengths[i], codecs[i], kinds[i], mine))
            offset, at = offset + sizes[i], at + counts[i]
        need(offset + stored + 48 == len(data), "the blocks do not fill the pack")
        return found

    def block(self, pack: str, offset: int, stored: int, length: int, codec: int) -> bytes:
        data = self.object(f"packs/{pack}")[offset : offset + stored]
        need(len(data) == stored and codec in (0, 1, 2, 3, 4), "a block is not there")
        if codec == 1:
            return frame(data, length)
        if codec > 1:
            return self.planes(data, length, 1 << codec - 1)
        need(stored == length, "a block has another length")
        return data

    def planes(self, data: bytes, length: int, width: int) -> bytes:
        """Section 5.2."""
        need(length <= 1 << 24, "too much is declared")
        columns = Columns(data)
        content = bytearray(length)
        for i, stored in enumerate(columns.numbers("I", width)):
            own = len(range(i, length, width))
            need(stored <= own, "a plane is longer than it should be")
            plane = columns.take(stored)
            content[i::width] = plane if stored == own else frame(plane, own)
        need(columns.at == len(data), "something follows the planes")
        return bytes(content)

    # ---- section 4 ---------------------------------------------------------------------------------------------

    def snapshots(self) -> list[str]:
        return sorted(str(p.relative_to(self.folder)) for p in (self.folder / "snapshots").glob("*/*/*"))

    def rows(self, key: str) -> list[Row]:
        """The rows of the snapshot whose record has this key."""
        record = self.record(key)
        _, shard, id, txn = key.split("/")
        need(record["id"] == id and id[:2] == shard and record["txn"] == txn, "the record is another's")
        packs, single = record["packs"], record.get("single", False)
        rows: list[Row] = []
        ids = b""
        for node in record["nodes"]:
            found, used = self.node(node, packs)
            highest = max((chunk[4] for row in found for chunk in row.chunks), default=0)
            need(highest < 2 or record["format"] == 2, "a codec of format 2 in a snapshot of format 1")
            need(used <= {packs[node[4]], *(packs[i] for i in node[9])}, "a pack is not listed")
            rows += found
            ids += bytes.fromhex(node[0])
        need(tagged("snapshot", bytes([single]) + ids).hex() == id, "the nodes are not those of the id")
        need(record["files"] == len(rows) and record["size"] == sum(r.size for r in rows), "wrong figures")
        names = [row.path.encode() for row in rows]
        need(names == sorted(set(names)), "the rows are not in order")
        need(not single or names == [b"file"], "a single file is named `file`")
        self.check_cuts(rows, [node[2] for node in record["nodes"]])
        return rows

    def node(self, ref: list, packs: list[str]) -> tuple[list[Row], set[str]]:
        id, first, files, size, pack, offset, stored, length, check = ref[:9]
        data = self.block(packs[pack], offset, stored, length, 1)
        need(plain(data).hex() == check, "a node is damaged")
        columns = Columns(data)
        count, bytes_of_paths = columns.number(), columns.number()
        paths = columns.take(bytes_of_paths).decode().split("\0")
        sizes, executables, digests = columns.numbers("Q", count), columns.take(count), columns.digests(count)
        need(tagged("node", data[: columns.at]).hex() == id, "a node is another")
        need((paths[0], len(paths), sum(sizes)) == (first, files, size) and files == count, "wrong figures")
        rows = [Row(*row) for row in zip(paths, sizes, (bool(e) for e in executables), digests, strict=True)]
        return rows, self.places(columns, rows, packs[pack])

    def places(self, columns: Columns, rows: list[Row], own: str) -> set[str]:
        names_count, bytes_of_names = columns.number(), columns.number()
        text = columns.take(bytes_of_names).decode()
        names = [name or own for name in text.split("\0")] if names_count else []
        need(len(names) == names_count, "wrong number of packs")
        b = columns.number()
        pack, offset = columns.numbers("I", b), columns.numbers("Q", b)
        stored, length, codec = columns.numbers("I", b), columns.numbers("I", b), columns.take(b)
        c = columns.number()
        counts, blocks, starts = (
            columns.numbers("I", len(rows)),
            columns.numbers("I", c),
            columns.numbers("I", c),
        )
        m = columns.number()
        lengths, digests = columns.numbers("I", m), columns.digests(m)
        need(columns.at == len(columns.data) and sum(counts) == c, "a node does not add up")
        at = several = 0
        for row, count in zip(rows, counts, strict=True):
            need((count == 0) == (row.size == 0), "a file with content has chunks, and no other")
            for _ in range(count):
                size, digest = (row.size, row.digest) if count == 1 else (lengths[several], digests[several])
                i = blocks[at]
                place = (names[pack[i]], offset[i], stored[i], length[i], codec[i])
                row.chunks.append((*place, starts[at], size, digest))
                at, several = at + 1, several + (count > 1)
        need(several == m, "there are chunks of no file")
        return set(names)

    def check_cuts(self, rows: list[Row], files: list[int]) -> None:
        """Nodes end where 4.1 says."""
        ends, begin = [], 0
        for number, row in enumerate(rows, 1):
            cut = zlib.crc32(row.path.encode()) & 1023 == 0 or number - begin == 16384
            if cut or number == len(rows):
                ends.append(number - begin)
                begin = number
        need(ends == files, "a node ends elsewhere")

    def content(self, row: Row) -> bytes:
        """The bytes of a file, verified."""
        parts: list[bytes] = []
        for pack, offset, stored, length, codec, start, size, digest in row.chunks:
            part = self.block(pack, offset, stored, length, codec)[start : start + size]
            need(len(part) == size and plain(part) == digest, f"a chunk of {row.path} is damaged")
            parts.append(part)
        whole = b"".join(parts)
        need(len(whole) == row.size and plain(whole) == row.digest, f"{row.path} is damaged")
        return whole

    def files(self, key: str) -> Iterator[tuple[str, bytes, bool]]:
        """Every file of a snapshot."""
        for row in self.rows(key):
            yield row.path, self.content(row), row.executable
