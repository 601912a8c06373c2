"""Public keys, and who signed a channel document (docs/format.md, 10.8)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Final

from blake3 import blake3

from rote.errors import BadName, Untrusted
from rote.laws.publishing import ed25519
from rote.words.channel import Channel
from rote.words.encoding import signed_part
from rote.words.ids import shown

KIND: Final = "ed25519:"
MAX_SIGNATURES: Final = 8
MAX_KEYS: Final = 8


def public_key(text: str) -> bytes:
    """The 32 bytes of a public key, written `ed25519:` and base64. Raises BadName."""
    try:
        found = b64decode(text.strip().removeprefix(KIND), validate=True)
    except ValueError:
        found = b""
    if len(found) != 32 or not text.strip().startswith(KIND):
        raise BadName(
            f"not a public key: {shown(text)}",
            next="a public key is `ed25519:` and 44 characters; `rote key show` prints yours",
        )
    return found


def key_text(public: bytes) -> str:
    """A public key as it is written."""
    return KIND + b64encode(public).decode("ascii")


def key_id(public: bytes) -> str:
    """The id by which a signature names its key."""
    return blake3(public).hexdigest()[:16]


def checked(keys: Iterable[str]) -> list[str]:
    """Public keys as an application or a project names them, in one spelling, each once. Raises BadName."""
    found = list(dict.fromkeys(key_text(public_key(text)) for text in keys))
    if len(found) > MAX_KEYS:
        raise BadName(f"these are {len(found)} keys; at most {MAX_KEYS} are trusted at a time")
    return found


def verify(document: bytes, channel: Channel, trusted: Sequence[str], where: str) -> None:
    """Raise Untrusted if `document`, whose content is `channel`, is not signed by a key of `trusted`. Without such keys
    every document is good."""
    if not trusted:
        return
    signatures = channel.signatures or []
    named = {key_id(public): public for public in map(public_key, trusted)}
    message = signed_part(document, where)
    for signature in signatures[:MAX_SIGNATURES]:
        public = named.get(signature.key)
        if public is not None and ed25519.verify(public, _bytes(signature.signature), message):
            return
    raise Untrusted(_why([s.key for s in signatures], named), where=where,
                    safe="nothing was installed",
                    next="ask who publishes this model; never turn the check off to get on")  # fmt: skip


def _why(signed_by: Sequence[str], named: Iterable[str]) -> str:
    trusted = ", ".join(sorted(named))
    if not signed_by:
        return f"this channel document is not signed, and this application trusts only the key {trusted}"
    if set(signed_by) & set(named):
        return (
            "a signature of this channel document is not valid: the document was changed after it was signed"
        )
    others = ", ".join(shown(key, 20) for key in signed_by[:MAX_SIGNATURES])
    return f"this channel document is signed by {others}, and this application trusts only {trusted}"


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
