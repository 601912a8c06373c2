"""Large files: cut, hashed and packed. What is stored is exactly what was hashed, whatever happens to the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from blake3 import blake3

from rote.errors import Changed
from rote.laws.data.chunking import Cutter
from rote.laws.data.tensors import stretches
from rote.ports import Tree
from rote.services.data.locating import Location, Locator, Pieced
from rote.words.ids import shown
from rote.words.record import StoreInfo

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

SEGMENT = 8 << 20
_BUFFERS = 3


class Piecer:
    """Saves large files. One thread outside; inside, one more hashes what this one has cut."""

    def __init__(self, locator: Locator, info: StoreInfo) -> None:
        self._locator = locator
        self._info = info
        self._cutter: Cutter | None = None
        self._segment = max(SEGMENT, 4 * info.chunk_max)
        self._pool: ThreadPoolExecutor | None = None
        self._buffers: list[bytearray] = []

    def close(self) -> None:
        """End the inner thread."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._buffers.clear()

    def save(self, tree: Tree, path: str, size: int) -> tuple[bytes, Location]:
        """The digest of a file of at least `chunking.SMALL` bytes, and where it lies now. Raises Changed."""
        if self._cutter is None:
            self._cutter = Cutter(self._info.chunk_min, self._info.chunk_avg, self._info.chunk_max)
        if size < self._segment:
            data = tree.read(path, size)
            view = memoryview(data)
            lengths, widths = _Cuts(self._cutter, data, size).cut(view, True)
            digest = blake3(data).digest()
            found = _Found(self._locator)
            found.take(view, lengths, widths, _digests(view, lengths) if len(lengths) > 1 else [digest])
            return digest, found.location()
        with tree.stream(path, size) as fill:
            return self._stream(fill, self._cutter, path, size)

    def _stream(
        self, read: Callable[[memoryview], int], cutter: Cutter, path: str, size: int
    ) -> tuple[bytes, Location]:
        """Segment by segment, each read once, so that the cut, both digests and the pack see the same bytes."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # only large files need it: start-up time

            self._pool = ThreadPoolExecutor(1, "rote-hash")
            self._buffers = [bytearray(self._segment) for _ in range(_BUFFERS)]
        found = _Found(self._locator)
        hasher = blake3()
        cuts: _Cuts | None = None
        before: tuple[memoryview, list[int], list[int], Future[list[bytes]]] | None = None
        rest = memoryview(b"")
        at = turn = 0
        while at < size or rest:
            segment, turn = memoryview(self._buffers[turn]), (turn + 1) % _BUFFERS
            fill = len(rest)
            segment[:fill] = rest
            segment = segment[: min(self._segment, fill + size - at)]
            while fill < len(segment):
                got = read(segment[fill:])
                if not got:
                    raise Changed(
                        f"{shown(path)} became shorter while it was being read", safe="nothing was saved"
                    )
                fill += got
                at += got
            cuts = cuts or _Cuts(cutter, segment, size)
            lengths, widths = cuts.cut(segment, at == size)
            cut = sum(lengths)
            rest = segment[cut:]
            work = self._pool.submit(_hash, hasher.update, segment[:cut], lengths)
            if before:
                found.take(*before[:3], before[3].result())
            before = (segment, lengths, widths, work)
        if before:
            found.take(*before[:3], before[3].result())
        return hasher.digest(), found.location()


class _Cuts:
    """Where one file is cut: by its content, and where a tensor begins."""

    def __init__(self, cutter: Cutter, front: bytes | memoryview, size: int) -> None:
        self._cutter = cutter
        self._stretches = deque(stretches(front, size))
        self._at = 0

    def cut(self, piece: memoryview, last: bool) -> tuple[list[int], list[int]]:
        """The lengths of the chunks at the front of the file's next bytes, and the bytes of a number in each (0: not
        known). What is left over comes again at the front of the next piece."""
        lengths: list[int] = []
        widths: list[int] = []
        begin = 0
        while begin < len(piece):
            end = min(self._stretches[0].end - self._at, len(piece) - begin) + begin
            whole = self._at + end - begin == self._stretches[0].end
            found = self._cutter.cut(piece[begin:end], last or whole)
            lengths += found
            widths += [self._stretches[0].width] * len(found)
            done = sum(found)
            self._at += done
            begin += done
            if not whole:
                break
            self._stretches.popleft()
        return lengths, widths


class _Found:
    """The chunks of one file so far, each found in the store or added to a pack."""

    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._lengths: list[int] = []
        self._digests: list[bytes] = []
        self._spots: list[int] = []

    def take(self, view: memoryview, lengths: list[int], widths: list[int], digests: list[bytes]) -> None:
        """The next chunks. `view` may be written over afterwards."""
        locator, packer = self._locator, self._locator.packer
        at = 0
        for length, width, digest in zip(lengths, widths, digests, strict=True):
            spot = locator.find(digest)
            if spot is None:
                number = packer.reserve()
                spot = locator.spots[digest] = number << 32
                packer.add(number, view[at : at + length], [length], digest, width)
            self._spots.append(spot)
            at += length
        packer.settle()
        self._lengths += lengths
        self._digests += digests

    def location(self) -> Location:
        """Where the file lies."""
        if len(self._spots) == 1:
            return self._spots[0]
        return Pieced(self._lengths, b"".join(self._digests), self._spots)


def _digests(view: memoryview, lengths: list[int]) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    for length in lengths:
        found.append(blake3(view[at : at + length]).digest())
        at += length
    return found


def _hash(update: Callable[[memoryview], object], view: memoryview, lengths: list[int]) -> list[bytes]:
    update(view)
    return _digests(view, lengths)
