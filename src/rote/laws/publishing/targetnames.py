"""The address of a target: which kind of place it is, and what the place calls it."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from rote.errors import UsageError
from rote.words.ids import nearest, shown

FORGES: Final = ("github", "gitlab")
HUB: Final = "hf"
_KIND = re.compile(r"([A-Za-z][A-Za-z0-9]*):(?!//|\\)(.*)\Z", re.DOTALL)
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class TargetName(msgspec.Struct, frozen=True):
    """An address: `kind` is `github`, `gitlab`, `hf`, or `store` for everything that a store can lie at."""

    kind: str
    address: str
    """Without `kind:` in front, but for `store`."""


def parsed(text: str) -> TargetName:
    """Which kind of place an address names; the adapter of that kind reads the rest. Raises UsageError."""
    if not text.strip() or not text.isprintable():
        raise UsageError(
            f"not the address of a target: {shown(text)}",
            next="a folder, s3://BUCKET/PREFIX, github:OWNER/REPO",
        )
    match = _KIND.match(text)
    if match is None:
        return TargetName("store", text)
    kind, rest = match[1].lower(), match[2]
    if kind not in (*FORGES, HUB):
        meant = nearest(kind, [*FORGES, HUB])
        raise UsageError(
            f"there is no target of the kind {shown(kind)}: {shown(text)}",
            next=f"did you mean {meant}:{rest}?" if meant else f"a folder of this name is ./{text}",
        )
    if kind == HUB and not _HUB.match(rest):
        raise UsageError(f"not a repository at Hugging Face: {shown(text)}", next="hf:OWNER/NAME")
    return TargetName(kind, rest)
