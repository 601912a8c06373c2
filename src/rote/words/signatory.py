"""By whom the files of a model are signed: an identity that Sigstore vouches for."""

from __future__ import annotations

import msgspec

from rote.errors import UsageError

ASK = "ask who publishes this model; never leave the identity out to get on"
"""What to do about files that somebody else has signed."""


class Signatory(msgspec.Struct, frozen=True):
    """An identity, and who vouches for it.

    `name` is an address, or the URL of a CI job's definition, as it stands in the certificate; `issuer` the URL of
    whoever said so. `trust` is a file with the trust root of a Sigstore instance, or its client trust configuration;
    empty: the public instance.
    """

    name: str
    issuer: str
    trust: str = ""

    def __str__(self) -> str:
        return f"{self.name} (as {self.issuer} says)"


def named(name: str, issuer: str, trust: str = "") -> Signatory | None:
    """Whoever was asked for; None if nobody was. Raises UsageError for half a signatory."""
    if not (name or issuer or trust):
        return None
    if not (name and issuer):
        raise UsageError(
            "an identity is a name, and who vouches for it: one of them is missing",
            next="give both, such as the identity release@example.org and the issuer https://accounts.google.com",
        )
    return Signatory(name, issuer, trust)
