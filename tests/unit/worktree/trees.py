"""A working tree to try things in, and what is needed to look at it without a store."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from rote.ports import Silence, Tree, WorkingTree
from rote.services.data.identity import identify
from rote.words.pointer import Pointer


def write(root: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        full = root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, links followed."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def rows(tree: Tree) -> list[tuple[str, int, bool, bytes]]:
    """The whole tree, read where the stat cache does not vouch for it."""
    found = []
    for batch in tree.batches():
        for i, digest in enumerate(batch.digests):
            if digest is None:
                batch.digests[i] = blake3(tree.read(batch.paths[i], batch.sizes[i])).digest()
        tree.seen(batch)
        for path, size, executable, digest in zip(
            batch.paths, batch.sizes, batch.executables, batch.digests, strict=True
        ):
            assert digest is not None
            found.append((path, size, bool(executable), digest))
    return found


def settle(tree: WorkingTree) -> Pointer:
    """Identify the tree and remember that."""
    found = identify(tree, Silence())
    pointer = Pointer(found.id, found.files, found.size, found.single)
    tree.remember(pointer)
    return pointer


def unread(tree: Tree) -> list[str]:
    """The files that would be read."""
    return [p for b in tree.batches() for p, d in zip(b.paths, b.digests, strict=True) if d is None]
