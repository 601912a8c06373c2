"""The one grammar of paths inside a snapshot, checked when a path is parsed and again when it is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable

from rote.errors import BadPath
from rote.words.ids import shown

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = frozenset(
    [
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{p}{n}" for p in ("com", "lpt") for n in "123456789¹²³"),
    ]
)
MAX_NAME = 255
"""Bytes of UTF-8 that a single name may have (the limit of ext4, APFS and NTFS)."""
MAX_PATH = 4096
"""Bytes of UTF-8 that a whole path may have."""


def why_bad(path: str) -> str | None:
    """Why `path` may not stand in a snapshot, or None if it may.

    A path is relative, its names are joined by `/`; it is NFC, without empty names, `.`, `..`, backslash, NUL or
    other control characters, drive letters, names reserved by Windows, or names that end with a dot or a space.
    """
    if path.isascii():
        if not path.isprintable():
            return "it has a control character"
    else:
        try:
            encoded = path.encode("utf-8")
        except UnicodeEncodeError:
            return "it is not valid UTF-8"
        if len(encoded) > MAX_PATH:
            return f"it is longer than {MAX_PATH} bytes"
        if unicodedata.normalize("NFC", path) != path:
            return "it is not in Unicode's normal form NFC (on macOS: `convmv -f utf8 -t utf8 --nfc`)"
        if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in path):
            return "it has a control character"
    if len(path) > MAX_PATH:
        return f"it is longer than {MAX_PATH} bytes"
    if not path:
        return "it is empty"
    if path[0] == "/":
        return "it is absolute"
    if "\\" in path:
        return "it has a backslash"
    if ":" in path:
        return "it has a colon (a drive letter or a stream to Windows)"
    for name in path.split("/"):
        why = _why_bad_name(name)
        if why:
            return why
    return None


def _why_bad_name(name: str) -> str | None:
    if not name:
        return "it has an empty name"
    if name in (".", ".."):
        return f"it has the name '{name}'"
    if name[-1] in ". ":
        return f"the name {shown(name)} ends with a dot or a space"
    if len(name) > MAX_NAME or (not name.isascii() and len(name.encode()) > MAX_NAME):
        return f"a name in it is longer than {MAX_NAME} bytes"
    stem = name.partition(".")[0].rstrip(" ").lower()
    if stem in _RESERVED:
        return f"the name {shown(name)} is reserved by Windows"
    return None


def check(path: str) -> str:
    """`path` itself if it may stand in a snapshot; raises BadPath with the reason otherwise."""
    why = why_bad(path)
    if why:
        raise BadPath(f"cannot take the path {shown(path, 200)}: {why}", next="rename it, then try again")
    return path


def holder(path: str, places: Container[str]) -> str | None:
    """Which of the places the path is, or lies in: the nearest one; None if it is in none."""
    while path:
        if path in places:
            return path
        path = path.rpartition("/")[0]
    return None


def fold(path: str) -> str:
    """The path as a file system that ignores case sees it."""
    return unicodedata.normalize("NFC", path.casefold())


def clash(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of `paths` (or of the folders they lie in) that differ only in case, or None.

    Also finds a path that is a file here and a folder there.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        folded = path.lower() if path.isascii() else fold(path)
        other = seen.setdefault(folded, path)
        if other != path:
            return other, path
        end = path.rfind("/")
        while end > 0:
            folder = path[:end]
            if folders.get(folder) == folder:
                break
            folded = folder.lower() if folder.isascii() else fold(folder)
            other = folders.setdefault(folded, folder)
            if other != folder:
                return other, folder
            end = path.rfind("/", 0, end)
    for folded, folder in folders.items():
        if folded in seen:
            return seen[folded], folder
    return None


class Together:
    """The paths of one snapshot as they come: no two may differ only in case, none be a file and a folder at once."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def add(self, paths: Iterable[str]) -> None:
        """Some more. Raises BadPath."""
        files, folders = self._files, self._folders
        last = ""
        for path in paths:
            folded = _folded(path)
            if folded in files or folded in folders:
                raise BadPath(
                    f"{shown(path, 200)} and another path cannot both be files: not everywhere are they two"
                )
            files.add(folded)
            folder = path[: path.rfind("/") + 1]
            if folder != last:
                last = folder
                self._enter(folder[:-1])

    def _enter(self, folder: str) -> None:
        while folder:
            folded = _folded(folder)
            there = self._folders.setdefault(folded, folder)
            if there != folder or folded in self._files:
                raise BadPath(
                    f"{shown(folder, 200)} and another path cannot both be: not everywhere are they two"
                )
            folder = folder[: max(folder.rfind("/"), 0)]


def _folded(path: str) -> str:
    """As `fold`; the same object where nothing changes, for there may be millions."""
    folded = path.lower() if path.isascii() else fold(path)
    return path if folded == path else folded
