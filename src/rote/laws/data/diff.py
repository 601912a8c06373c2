"""What changed between two trees, or between two sets of params or metrics. Values in, differences out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

Row = tuple[str, int, bool, bytes]
"""path, size in bytes, executable, digest"""


class ColumnsLike(Protocol):
    """Neighbouring files of a tree, one element a file in each column (`ports.Columns`)."""

    paths: list[str]
    sizes: list[int]
    executables: bytearray
    digests: list[bytes | None]


class FileChange(msgspec.Struct, frozen=True):
    """A file that differs: `kind` is `added`, `removed`, `modified` or `renamed` (then `before` is its old path).

    Sizes are in bytes; 0 for the side where the file is not.
    """

    kind: str
    path: str
    size_before: int = 0
    size_after: int = 0
    before: str = ""
    mode_only: bool = False
    """Modified in the executable bit alone."""


class TreeDiff(msgspec.Struct, frozen=True):
    """How one tree became another; each list is in path order. `same` counts the files in both, unchanged."""

    added: list[FileChange] = []
    removed: list[FileChange] = []
    modified: list[FileChange] = []
    renamed: list[FileChange] = []
    same: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.modified or self.renamed)

    def changes(self) -> list[FileChange]:
        """All of them in path order."""
        return sorted([*self.added, *self.removed, *self.modified, *self.renamed], key=lambda c: c.path)


def rows(columns: Iterable[ColumnsLike]) -> Iterator[Row]:
    """The columns as rows, in their order. Raises ValueError for a file without digest."""
    for batch in columns:
        for path, size, executable, digest in zip(
            batch.paths, batch.sizes, batch.executables, batch.digests, strict=True
        ):
            if digest is None:
                raise ValueError(f"the digest of {path} is not known")
            yield path, size, bool(executable), digest


def merge(
    before: Iterable[ColumnsLike], after: Iterable[ColumnsLike]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Pair the rows of two trees by path, in path order, with None where one of them lacks the path."""
    left, right = rows(before), rows(after)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            yield a, None
            a = next(left, None)
        elif a is None or b[0] < a[0]:
            yield None, b
            b = next(right, None)
        else:
            yield a, b
            a, b = next(left, None), next(right, None)


def trees(before: Iterable[ColumnsLike], after: Iterable[ColumnsLike]) -> TreeDiff:
    """What changed from one tree to the other.

    A file that went away and one of the same content that came are one renamed file; empty files are never paired.
    """
    gone: list[Row] = []
    come: list[Row] = []
    modified: list[FileChange] = []
    same = 0
    for a, b in merge(before, after):
        if a is not None and b is not None:
            if a == b:
                same += 1
            else:
                modified.append(FileChange("modified", b[0], a[1], b[1], mode_only=a[1::2] == b[1::2]))
        elif a is not None:
            gone.append(a)
        elif b is not None:
            come.append(b)
    renamed = _pair(gone, come)
    old, new = {c.before for c in renamed}, {c.path for c in renamed}
    return TreeDiff(
        added=[FileChange("added", r[0], 0, r[1]) for r in come if r[0] not in new],
        removed=[FileChange("removed", r[0], r[1], 0) for r in gone if r[0] not in old],
        modified=modified,
        renamed=renamed,
        same=same,
    )


def _pair(gone: Sequence[Row], come: Sequence[Row]) -> list[FileChange]:
    """Removed and added files of equal content, each used once; a file that kept its name is preferred."""
    homeless: dict[bytes, list[Row]] = {}
    for row in gone:
        if row[1]:
            homeless.setdefault(row[3], []).append(row)
    found = []
    for row in come:
        candidates = homeless.get(row[3])
        if not candidates:
            continue
        name = row[0].rpartition("/")[2]
        index = next((i for i, c in enumerate(candidates) if c[0].rpartition("/")[2] == name), 0)
        was = candidates.pop(index)
        found.append(FileChange("renamed", row[0], was[1], row[1], before=was[0]))
    return found


class ValueChange(msgspec.Struct, frozen=True):
    """A param or metric that differs: dotted `key` of `file`. `kind` is `added`, `removed` or `modified`; `change` is
    after minus before where both are numbers."""

    kind: str
    file: str
    key: str
    before: Any = None
    after: Any = None
    change: float | None = None


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys. Lists are values; an empty mapping is one too."""
    if not isinstance(values, Mapping) or (not values and prefix):
        return {prefix: values} if prefix or not isinstance(values, Mapping) else {}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return found


def values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ValueChange]:
    """What changed between two sets of params or metrics (file -> decoded content), by file and key."""
    found = []
    for file in sorted({*before, *after}):
        old, new = flat(before.get(file, {})), flat(after.get(file, {}))
        for key in sorted({*old, *new}):
            if key not in old:
                found.append(ValueChange("added", file, key, after=new[key]))
            elif key not in new:
                found.append(ValueChange("removed", file, key, before=old[key]))
            elif not _equal(old[key], new[key]):
                found.append(
                    ValueChange("modified", file, key, old[key], new[key], _difference(old[key], new[key]))
                )
    return found


def _equal(a: Any, b: Any) -> bool:
    """Equal, also in kind (True is not 1); a NaN equals a NaN."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b)


def _difference(a: Any, b: Any) -> float | None:
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, int | float) and isinstance(b, int | float):
        return b - a
    return None
