"""Filling packs: blocks are compressed and packs uploaded by threads while their writer reads on."""

from __future__ import annotations

import mmap
import sys
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard
from blake3 import blake3

from rote.services.store.packs import DATA, LEVEL, MAGIC, NODE, Footer, encode_footer
from rote.services.store.probing import PROBE, Prober, packed
from rote.words.ids import Digest
from rote.words.snapshot import RAW, ZSTD, Block

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

PACK = 32 << 20
"""A pack is closed once it has so many bytes."""
_QUEUE = 6
_UPLOADS = 2
_MARGIN = 4 << 20

Bytes = bytes | bytearray | memoryview


class NodePlace(msgspec.Struct):
    """Where a stored node was put: the number of its pack, and offset, stored and unpacked bytes."""

    pack: int
    offset: int
    stored: int
    length: int
    check: Digest


class Packer:
    """Blocks in, packs out. One thread. Every block, own or foreign, has a number here, and so has every pack.

    `put` uploads a pack and may be called from other threads; what it raises comes out of the next call here. Before
    an own pack is closed, `on_full` is called and may add nodes, which then lie side by side at the pack's end;
    `on_closed` is told its name and what it holds.
    """

    def __init__(
        self,
        txn: str,
        put: Callable[[Digest, memoryview], str],
        on_full: Callable[[], None],
        on_closed: Callable[[str, Footer], None] | None = None,
        limit: int = PACK,
    ) -> None:
        self._txn = txn
        self._put = put
        self._on_full = on_full
        self._on_closed = on_closed
        self._limit = limit
        self._threads: ThreadPoolExecutor | None = None
        self._uploader: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[int, Any, int, Bytes, list[int], bytes]] = deque()
        self._uploads: deque[tuple[Future[str], mmap.mmap]] = deque()
        self._free: list[mmap.mmap] = []
        self._foreign: dict[tuple[int, int], int] = {}
        self._numbers: dict[str, int] = {}
        self._prober = Prober()
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.names: list[str] = []
        """Pack number -> key below `packs/`; empty for the pack that is being filled."""
        self.blocks: list[tuple[int, int, int, int, int] | None] = []
        """Block number -> pack number, offset, stored, length, codec; None until it is placed."""
        self.sent = 0
        """Bytes of all packs that were closed."""
        self._open: _Filling | None = None

    def __enter__(self) -> Packer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._threads, self._uploader):
            if pool:
                pool.shutdown(wait=True, cancel_futures=True)
        # The memory goes now, not when a collector finds the cycle of packer and callbacks: the command line has none.
        self._on_full = _nothing
        self._open = None
        self._free.clear()
        self._uploads.clear()
        self._waiting.clear()

    @property
    def untouched(self) -> bool:
        """True as long as nothing was uploaded."""
        return not self.sent

    # ---- blocks ------------------------------------------------------------------------------------------------

    def reserve(self) -> int:
        """The number of a block that will be added."""
        self.blocks.append(None)
        return len(self.blocks) - 1

    def foreign(self, block: Block) -> int:
        """The number of a block that lies in a pack of another write."""
        pack = self.pack_number(block.pack)
        number = self._foreign.get((pack, block.offset))
        if number is None:
            number = self._foreign[(pack, block.offset)] = len(self.blocks)
            self.blocks.append((pack, block.offset, block.stored, block.length, block.codec))
        return number

    def pack_number(self, name: str) -> int:
        """The number of a pack of another write."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number

    def is_open(self, pack: int) -> bool:
        """True for the pack that is being filled."""
        return self._open is not None and self._open.number == pack

    def add(self, number: int, data: Bytes, lengths: list[int], digests: bytes, width: int = 0) -> None:
        """Add the block with this number: chunks of these lengths back to back, and their digests, joined. `width` is
        the bytes of a number in it, if that is known.

        `data` must stay as it is until the block is placed (`settle`).
        """
        codec = self._prober.choose(data, width)
        work: Any = None if codec == RAW else self._submit(data, codec)
        self._waiting.append((number, work, codec, data, lengths, digests))
        while len(self._waiting) > _QUEUE or (self._waiting and self._waiting[0][1] is None):
            self._place_next()

    def settle(self) -> None:
        """Wait until every block that was added has its place."""
        while self._waiting:
            self._place_next()

    def _submit(self, data: Bytes, codec: int) -> Any:
        if len(data) <= PROBE * 2 and self._threads is None:
            return packed(data, codec)  # a thread would cost more
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor  # a small write never needs it: start-up time

            self._threads = ThreadPoolExecutor(2, "rote-zstd")
        return self._threads.submit(packed, data, codec)

    def _place_next(self) -> None:
        number, work, codec, data, lengths, digests = self._waiting.popleft()
        smaller = work if work is None or isinstance(work, bytes) else work.result()
        length = len(data)
        if smaller is not None and len(smaller) < length:
            data = smaller
        else:
            codec = RAW
        pack, offset = self._append(data, length, codec, DATA, (lengths, digests))
        self.blocks[number] = (pack, offset, len(data), length, codec)
        if self._open and self._open.fill >= self._limit:
            self._on_full()
            self.close_pack()

    def add_node(self, data: bytes) -> NodePlace:
        """Put a stored node into the pack that is being filled, at once."""
        packed = self._compressor.compress(data)
        digest = blake3(data).digest()
        pack, offset = self._append(packed, len(data), ZSTD, NODE, ([len(data)], digest))
        return NodePlace(pack, offset, len(packed), len(data), Digest(digest.hex()))

    # ---- packs -------------------------------------------------------------------------------------------------

    def _append(
        self, data: Bytes, length: int, codec: int, kind: int, chunks: tuple[Sequence[int], bytes]
    ) -> tuple[int, int]:
        if self._open is None:
            self._open = _Filling(
                len(self.names), self._free.pop() if self._free else _memory(self._limit + _MARGIN)
            )
            self.names.append("")
        filling = self._open
        offset = filling.append(data)
        filling.footer.add(len(data), length, codec, kind, chunks[0])
        filling.digests.append(chunks[1])
        return filling.number, offset

    def close_pack(self) -> None:
        """Close the pack that is being filled, if any, and begin to upload it."""
        filling = self._open
        if filling is None:
            return
        self._open = None
        filling.footer.digests = b"".join(filling.digests)
        digest, end = encode_footer(filling.footer)
        filling.append(end)
        self.names[filling.number] = f"{self._txn}/{digest}"
        self.sent += filling.fill
        if self._on_closed:
            self._on_closed(self.names[filling.number], filling.footer)
        self._upload(digest, filling)

    def _upload(self, digest: Digest, filling: _Filling) -> None:
        whole = memoryview(filling.buffer)[: filling.fill]
        if self._uploader is None and filling.fill < self._limit:
            self._put(digest, whole)  # the only pack: nothing goes on meanwhile
            return
        if self._uploader is None:
            from concurrent.futures import ThreadPoolExecutor  # as above

            self._uploader = ThreadPoolExecutor(_UPLOADS, "rote-put")
        while len(self._uploads) >= _UPLOADS:
            self._uploaded()
        self._uploads.append((self._uploader.submit(_put, self._put, digest, whole), filling.buffer))

    def _uploaded(self) -> None:
        future, buffer = self._uploads.popleft()
        future.result()
        self._free.append(buffer)

    def finish(self) -> None:
        """Close the last pack and wait until every pack is in the store."""
        self.settle()
        self.close_pack()
        while self._uploads:
            self._uploaded()


class _Filling:
    """A pack that is being filled. Its buffer is used again for another one: fresh memory costs time."""

    def __init__(self, number: int, buffer: mmap.mmap) -> None:
        self.number = number
        self.buffer = buffer
        self.fill = 0
        self.footer = Footer([], [], bytearray(), bytearray(), [], [], b"")
        self.digests: list[bytes] = []
        self.append(MAGIC)

    def append(self, data: Bytes) -> int:
        begin, end = self.fill, self.fill + len(data)
        if end > len(self.buffer):
            larger = _memory(2 * end)
            larger[:begin] = memoryview(self.buffer)[:begin]
            self.buffer = larger
        self.buffer[begin:end] = data
        self.fill = end
        return begin


def _nothing() -> None:
    """Nothing is added to a pack any more."""


def _memory(size: int) -> mmap.mmap:
    """Memory that costs nothing until it is used."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _put(put: Callable[[Digest, memoryview], str], digest: Digest, whole: memoryview) -> str:
    with whole:
        return put(digest, whole)
