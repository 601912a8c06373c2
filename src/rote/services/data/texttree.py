"""A text that is saved as a snapshot of a single file, without lying in a working tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rote.ports import Columns
from rote.words.snapshot import FILE


class TextTree:
    """A ports.Tree of a single file with this text."""

    single = True

    def __init__(self, text: bytes) -> None:
        self._text = text

    def batches(self) -> Iterator[Columns]:
        """The only file."""
        yield Columns([FILE], [len(self._text)], bytearray(1), [None])

    def read(self, path: str, size: int) -> bytes:
        """The text."""
        return self._text

    def stream(self, path: str, size: int) -> AbstractContextManager[Callable[[memoryview], int]]:
        """The text, piece by piece."""
        return self._stream()

    @contextmanager
    def _stream(self) -> Iterator[Callable[[memoryview], int]]:
        rest = memoryview(self._text)

        def fill(into: memoryview) -> int:
            nonlocal rest
            count = min(len(into), len(rest))
            into[:count], rest = rest[:count], rest[count:]
            return count

        yield fill

    def seen(self, batch: Columns) -> None:
        """Nothing is remembered."""
