"""What an asset may be called at a forge; and what is wrong with a commit."""

from __future__ import annotations

import hashlib
import re

from rote.errors import Refused
from rote.words.ids import shown
from rote.words.publication import FILES, MANIFEST

DRAFT = "rote-draft.json"
"""What marks a draft where a forge has none: an asset that is never shown."""
_LONGEST_ASSET = 200
_OURS = frozenset([MANIFEST, FILES, DRAFT])
_PLAIN = re.compile(r"[A-Za-z0-9._+-]")


def asset(path: str) -> str:
    """The name that an asset of this path has: what the forges would change themselves is changed beforehand, alike at
    both; a folder's `/` becomes `__`."""
    name = "".join(c if _PLAIN.match(c) else "__" if c == "/" else "_" for c in path)
    if name.startswith(".") or name in _OURS:
        name = "_" + name
    if name.endswith("."):
        name += "_"
    if len(name) > _LONGEST_ASSET:
        mark = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[: _LONGEST_ASSET - 50]}-{mark}-{name[-32:]}"
    return name


def unknown_commit(commit: str, where: str) -> Refused:
    """The forge's repository does not have the commit of which the release is to be."""
    return Refused(
        f"the repository there has no commit {shown(commit[:12])}, of which the release is to be",
        where=where,
        safe="nothing was published",
        next="git push, then the same again",
    )


def other_commit(tag: str, there: str | None, wanted: str, where: str) -> Refused:
    """The tag exists, and means another commit than the version says."""
    return Refused(
        f"the tag {shown(tag)} is there already, at commit {shown((there or '')[:12])}; "
        f"the version is of commit {shown(wanted[:12])}",
        where=where,
        safe="nothing was published",
        next="release another version; or, if the tag is a mistake, delete it there",
    )
