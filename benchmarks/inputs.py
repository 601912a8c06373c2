"""What the benchmarks feed in, made from a seed."""

from __future__ import annotations

import random
from pathlib import Path


def small_files(folder: Path, count: int = 50_000, seed: int = 1) -> None:
    """`count` files of 0.5 to 6 KiB in folders of 500, half text, half noise."""
    rnd = random.Random(seed)
    noise = rnd.randbytes(1 << 20)
    words = " ".join(
        rnd.choice(["image", "label", "0.125", "train", "value", "\n", "x"]) for _ in range(60_000)
    ).encode()
    for number in range(count):
        if number % 500 == 0:
            sub = folder / f"{number // 500:03}"
            sub.mkdir(parents=True)
        size = rnd.randint(512, 6144)
        source = noise if number % 2 else words
        start = rnd.randrange(len(source) - size)
        (sub / f"{number:06}.bin").write_bytes(b"%d\n" % number + source[start : start + size])


def large_file(path: Path, size: int = 1 << 30, seed: int = 1, front: bytes = b"") -> None:
    """One incompressible file, with `front` before it."""
    rnd = random.Random(seed)
    with path.open("wb") as out:
        out.write(front)
        for _ in range(size >> 24):
            out.write(rnd.randbytes(1 << 24))


MEGABYTE = 1_000_000


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no compression shrinks."""
    rnd = random.Random(seed)
    return b"".join(rnd.randbytes(min(MEGABYTE, size - at)) for at in range(0, size, MEGABYTE))


def changed(data: bytes, share: float, stretches: int) -> bytes:
    """The same with this share of it replaced, in so many stretches of one length, spread evenly."""
    length = int(len(data) * share / stretches)
    found = bytearray(data)
    for number in range(stretches):
        start = (2 * number + 1) * len(data) // (2 * stretches) - length // 2
        found[start : start + length] = noise(length, seed=1000 * stretches + number)
    return bytes(found)
