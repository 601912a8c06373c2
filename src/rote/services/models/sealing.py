"""What the readers of a channel hold its document against: when it expires, who signed it (docs/format.md, 10.8)."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from rote.errors import Refused
from rote.laws.publishing.accepting import moment
from rote.laws.publishing.trust import MAX_SIGNATURES, key_id, public_key
from rote.ports.signers import Signer
from rote.words.channel import Channel, Signature
from rote.words.encoding import signed_part, with_check
from rote.words.pipeline import Model


class Sealing:
    """Completes channel documents as rote.yaml says of their model (`expires`, `keys`). Whoever writes one, to a store
    or to a target, seals it last."""

    def __init__(self, described: Callable[[str], Model | None], signer: Callable[[], Signer]) -> None:
        """`described` gives what rote.yaml says of a model, or None; `signer` is asked for when something is to be
        signed."""
        self._described = described
        self._signer = signer

    def seal(self, channel: Channel, former: Channel | None = None) -> Channel:
        """The document with its expiry, the keys to trust, and signatures over all of it. `former` is what it takes the
        place of.

        Raises Refused where nobody who trusts the keys so far would follow: the former is signed, and rote.yaml names
        no keys; or no secret of them is here. Raises MissingExtra.
        """
        model = self._described(channel.model)
        keys = model.keys if model else None
        expires = self._expiry(channel, model)
        plain = replace(channel, expires=expires, keys=list(keys) if keys else UNSET, signatures=UNSET)
        if keys is None and former is not None and former.signatures:
            raise self._no_keys(former)
        return self._signed(plain, keys) if keys else plain

    def _expiry(self, channel: Channel, model: Model | None) -> str | UnsetType:
        if model is None or not model.expires:
            return UNSET
        at = moment(channel.issued, f"{channel.model}@{channel.alias}") + model.expires
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

    def _signed(self, channel: Channel, keys: tuple[str, ...]) -> Channel:
        signer = self._signer()
        held = signer.held(keys)
        if not set(held) & set(keys):
            raise self._no_secret(channel, keys)
        message = signed_part(with_check(channel), f"{channel.model}@{channel.alias}")
        signatures = [
            Signature(
                key=key_id(public_key(key)), signature=b64encode(signer.sign(key, message)).decode("ascii")
            )
            for key in held[:MAX_SIGNATURES]
        ]
        return replace(channel, signatures=signatures)

    def _no_keys(self, former: Channel) -> Refused:
        name = f"{former.model}@{former.alias}"
        return Refused(
            f"{name} is signed, and rote.yaml names no keys for {former.model}: applications that trust the key "
            "would not follow",
            safe=f"{name} stays at {former.version}",
            next=f"models.{former.model}.keys in rote.yaml (`keys: []` says that it is not signed any more)",
        )

    def _no_secret(self, channel: Channel, keys: tuple[str, ...]) -> Refused:
        ids = ", ".join(key_id(public_key(key)) for key in keys)
        return Refused(
            f"{channel.model}@{channel.alias} is signed with the key {ids}, and its secret is not on this machine",
            safe="the alias is as it was",
            next="do this where the key is (`rote key show`), or put its secret into ROTE_SECRET_KEY",
        )
