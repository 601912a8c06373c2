"""Who vouches for the files of a model: a notary for a signatory. Knows both the service and the adapter."""

from __future__ import annotations

import os

from rote.adapters.signing import sigstore
from rote.services.models.vouching import Vouching
from rote.words.signatory import Signatory


def vouching(signatory: Signatory | None, base: str = ".") -> Vouching | None:
    """Signs and verifies as this signatory, whose trust root is found from `base`; None for none. Nothing is asked yet.
    Raises MissingExtra."""
    if signatory is None:
        return None
    signatory = sigstore.absolute(signatory, base)
    return Vouching(sigstore.Sigstore(signatory.trust, os.environ), signatory)
