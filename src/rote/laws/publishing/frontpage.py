"""The card of a version as the README.md of a model repository at a hub: whose it is, and which version it tells of.

Its last line is a comment with a digest of all that stands before it. So what a person wrote or changed is known, and
stays.
"""

from __future__ import annotations

import re
from typing import Final

from rote.errors import BadName
from rote.laws.models import versions
from rote.words.encoding import digest_of

NAME: Final = "README.md"
MAX_BYTES: Final = 1 << 20
"""One that is larger is none of ours."""
_MARK = re.compile(rb"\n<!-- rote card (\S+) (\S+) ([0-9a-f]{64}) -->\n\Z")


def page(card: str, model: str, version: str) -> bytes:
    """The card with its last line."""
    body = card.encode("utf-8", "replace")
    return body + f"\n<!-- rote card {model} {version} {digest_of(body)} -->\n".encode()


def gives_way(there: bytes | None, model: str, version: str) -> bool:
    """Whether the page of a version may take the place of what is there: of nothing, or of the page of a lower version
    of the same model, as it was written."""
    if there is None:
        return True
    mark = _MARK.search(there)
    if mark is None or digest_of(there[: mark.start()]).encode() != mark[3] or mark[1] != model.encode():
        return False
    try:
        return versions.release(mark[2].decode()) < versions.release(version)
    except (BadName, UnicodeDecodeError):
        return False
