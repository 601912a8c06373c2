"""What the same bytes cost with nothing but the unavoidable system calls and one pass of the hash."""

from __future__ import annotations

import os
import time
from pathlib import Path

from blake3 import blake3


def files_below(folder: Path) -> list[str]:
    found, todo = [], [str(folder)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    found.append(entry.path)
    return found


def walk(folder: Path) -> None:
    files_below(folder)


def read_hash_write(folder: Path, out: Path) -> None:
    target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for path in files_below(folder):
        source = os.open(path, os.O_RDONLY)
        data = os.read(source, 1 << 20)
        os.close(source)
        blake3(data).digest()
        os.write(target, data)
    os.fsync(target)
    os.close(target)


def create_files(folder: Path, out: Path) -> float:
    """Seconds to make the files of a folder again, from memory."""
    contents = [(path, Path(path).read_bytes()) for path in files_below(folder)]
    began = time.perf_counter()
    made = set()
    for path, data in contents:
        target = str(out) + path[len(str(folder)) :]
        above = os.path.dirname(target)
        if above not in made:
            os.makedirs(above, exist_ok=True)
            made.add(above)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, data)
        os.close(descriptor)
    return time.perf_counter() - began


def copy_hashed(path: Path, out: Path) -> None:
    with path.open("rb") as source, out.open("wb") as target:
        while piece := source.read(8 << 20):
            blake3(piece).digest()
            target.write(piece)
        os.fsync(target.fileno())
