"""Paths as people write them in rote.yaml -> paths relative to the project's root."""

from __future__ import annotations

import posixpath
import re

from rote.wiring.config.refusal import refused
from rote.words.ids import shown
from rote.words.paths import why_bad
from rote.words.pipeline import At

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def path(text: str, wdir: str, at: At, what: str) -> str:
    """A dep, out or file, written relative to `wdir`. Raises ConfigError if it is not a path inside the project."""
    if _URL.match(text):
        raise refused(
            at,
            f"{shown(text)} is a URL; expected a path",
            f"fetch it in a stage, and make that file the {what}",
        )
    if text.startswith(("/", "~")):
        hint = f"write the {what} relative to the project, or bring it into the project: rote add PATH"
        raise refused(at, f"{shown(text)} is absolute; expected a path inside the project", hint)
    if "\\" in text:
        raise refused(at, f"{shown(text)} has a backslash; expected /", f"write {text.replace(chr(92), '/')}")
    joined = posixpath.normpath(posixpath.join(wdir, text))
    if joined == ".." or joined.startswith("../"):
        raise refused(at, f"{shown(text)} lies outside the project", f"move the {what} into the project")
    if joined == ".":
        raise refused(
            at, f"{shown(text)} is the whole project; expected a path inside it", "name the files and folders"
        )
    why = why_bad(joined)
    if why:
        raise refused(at, f"cannot take the path {shown(text)}: {why}", "rename it")
    if joined.split("/")[0] in (".rote", ".git"):
        owner = "rote" if joined.startswith(".rote") else "git"
        raise refused(at, f"{shown(text)} belongs to {owner} itself", f"choose another path for the {what}")
    return joined


def folder(text: str, at: At, base: str = ".") -> str:
    """A `wdir`, written relative to `base`: a folder of the project, or `.` for its root. Raises ConfigError."""
    return "." if posixpath.normpath(posixpath.join(base, text)) == "." else path(text, base, at, "wdir")
