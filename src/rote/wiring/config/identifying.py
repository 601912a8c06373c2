"""`models.NAME.identity`: by whom the files of its published versions are signed."""

from __future__ import annotations

from typing import Final

from rote.wiring.config import places
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.signatory import Signatory

KEYS: Final = ("name", "issuer", "trust")


def read(section: Section) -> Signatory | None:
    """What the model's key `identity` says; None if it is not there. Raises ConfigError."""
    node = section.get("identity")
    if node is None:
        return None
    if not isinstance(node.value, dict):
        raise section.wrong("identity", node, "a mapping with name and issuer")
    below = Section(node, section.file, f"{section.key}.identity")
    below.known(KEYS, "an identity")
    for key, example in (
        ("name", "the URL of a CI job's definition, or an address, as it stands in the certificate"),
        ("issuer", "who vouches for it, such as https://token.actions.githubusercontent.com"),
    ):
        if not below.get(key):
            raise refused(below.at(), f"this has no `{key}`", f"write {key}: {example}")
    issuer = below.text("issuer")
    if not issuer.startswith(("https://", "http://")):
        raise refused(
            below.at("issuer"),
            f"an issuer is a URL, and {issuer} is none",
            "write it as it stands in the certificate, such as https://accounts.google.com",
        )
    trust = below.text("trust")
    if trust:
        trust = places.path(trust, ".", below.at("trust"), "trust configuration")
    return Signatory(below.text("name"), issuer, trust)
