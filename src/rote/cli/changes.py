"""How changes of files are shown."""

from __future__ import annotations

from rote.cli.tables import count, size
from rote.laws.data.diff import TreeDiff
from rote.words.snapshot import FILE

MOST = 20
"""Files that are named; of more only the number is told."""


def lines_of(diff: TreeDiff, data: str) -> list[str]:
    """One line a file, the first MOST of them, and a summary. The file of a single-file snapshot goes by `data`."""
    if [change.path for change in diff.changes()] == [FILE] and not diff.same:
        (change,) = diff.changes()
        return [f"{change.kind:<9} {data} ({size(change.size_before)} -> {size(change.size_after)})"]
    lines = []
    for change in diff.changes()[:MOST]:
        if change.kind == "renamed":
            lines.append(f"renamed   {change.before} -> {change.path}")
        elif change.kind == "modified":
            how = (
                " (executable bit)"
                if change.mode_only
                else f" ({size(change.size_before)} -> {size(change.size_after)})"
            )
            lines.append(f"modified  {change.path}{how}")
        else:
            held = change.size_after if change.kind == "added" else change.size_before
            lines.append(f"{change.kind:<9} {change.path} ({size(held)})")
    numbers = [
        f"{len(found):,} {word}"
        for word, found in (
            ("added", diff.added),
            ("removed", diff.removed),
            ("modified", diff.modified),
            ("renamed", diff.renamed),
        )
        if found
    ]
    lines.append(f"{', '.join(numbers) or 'no changes'}; {count(diff.same, 'file')} the same")
    return lines
