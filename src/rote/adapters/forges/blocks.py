"""A channel document inside a release's description: what an application reads, in a block that a person sees as such.

The description is what a forge changes in one step, and gives back with the release itself: one request, nothing
between the old document and the new one, and it may change where a release's assets may not.
"""

from __future__ import annotations

import base64
import binascii
import re

_TEXT = re.compile(r"^```json\n(.*?\n)```$", re.MULTILINE | re.DOTALL)
_CODED = re.compile(r"^```base64\n([A-Za-z0-9+/=\n]*)```$", re.MULTILINE)


def framed(model: str, alias: str, document: bytes) -> str:
    """The description of a channel's release."""
    return (
        f"Which version of **{model}** applications get that follow `{alias}`. rote keeps this page, and applications\n"
        f"read the block below: please do not edit it.\n\n{_block(document)}\n"
    )


def found(description: str) -> bytes | None:
    """The document in a description, or None if there is none."""
    text = description.replace("\r\n", "\n")  # forges keep what a browser sent, and browsers send this
    coded = _CODED.search(text)
    if coded:
        try:
            return base64.b64decode(coded[1], validate=False)
        except binascii.Error:
            return None
    plain = _TEXT.search(text)
    return plain[1].encode() if plain else None


def _block(document: bytes) -> str:
    try:
        text = document.decode()
    except UnicodeDecodeError:
        text = ""
    lines = text.split("\n")
    if (
        lines[-1] == ""
        and all(line.isprintable() and not line.startswith("```") for line in lines)
        and lines[:-1]
    ):
        return f"```json\n{text}```"
    return f"```base64\n{base64.encodebytes(document).decode('ascii')}```"
