"""Patterns of `.gitignore` and `.dvcignore`: which paths they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec


class Pattern(msgspec.Struct, frozen=True):
    """One line: a regular expression for paths below `base` (empty: the root), whether it takes back what others
    ignore, and whether it means folders only."""

    regex: str
    base: str
    back: bool
    folders: bool


def patterns(text: str, base: str = "") -> list[Pattern]:
    """The lines of an ignore file that lies in `base`."""
    found = []
    for raw in text.splitlines():
        line = raw.rstrip() if not raw.endswith("\\ ") else raw
        if not line or line.startswith("#"):
            continue
        back = line.startswith("!")
        line = line[1:] if back or line.startswith(("\\#", "\\!")) else line
        folders = line.endswith("/")
        line = line.rstrip("/")
        anchored = "/" in line
        regex = _regex(line.removeprefix("/"))
        found.append(Pattern(regex if anchored else f"(?:.*/)?{regex}", base, back, folders))
    return found


def _regex(glob: str) -> str:
    parts, at = [], 0
    while at < len(glob):
        if glob.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif glob.startswith("/**", at) and at + 3 == len(glob):
            parts.append("/.+")
            at += 3
        elif glob[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            parts.append("[^/]")
            at += 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            inner = glob[at + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]")
            at = end + 1
        else:
            at += glob[at] == "\\" and at + 1 < len(glob)
            parts.append(re.escape(glob[at]))
            at += 1
    return "".join(parts)


def ignored(path: str, folder: bool, known: Iterable[Pattern]) -> bool:
    """Whether the path itself is ignored; the last pattern that means it decides."""
    result = False
    for pattern in known:
        if pattern.base and not path.startswith(pattern.base + "/"):
            continue
        below = path[len(pattern.base) + 1 :] if pattern.base else path
        if (folder or not pattern.folders) and re.fullmatch(pattern.regex, below):
            result = not pattern.back
    return result
