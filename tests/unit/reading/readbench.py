"""What the reading tests read, and functions that can be sent to workers."""

from __future__ import annotations

import random
from collections.abc import Iterable

from treebench import noise

from rote.services.data.samples import Sample

ROWS = 2000
CSV = b"id,name,value\n" + b"".join(b"%d,name%d,%d.5\n" % (i, i % 7, i * 3) for i in range(ROWS))


def images() -> dict[str, bytes]:
    """600 files of 5 to 15 KiB that do not compress, in folders by label."""
    rnd = random.Random(5)
    return {
        f"{label}/{number:04}.png": rnd.randbytes(rnd.randrange(5_000, 15_000))
        for label in ("cat", "dog", "fox")
        for number in range(200)
    }


def big() -> bytes:
    """A file of some twenty chunks."""
    return noise(6_000_000, 8)


def length(sample: Sample) -> tuple[str, int]:
    """A sample as a path and how long it is."""
    return sample.path, len(sample.data)


def paths(samples: Iterable[Sample]) -> list[str]:
    """The paths of samples."""
    return [sample.path for sample in samples]
