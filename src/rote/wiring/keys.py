"""The keys that sign channels: making, showing and replacing them. They belong to the user, not to a project."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rote.adapters.signing.keyring import KeyRing

if TYPE_CHECKING:
    from rote.adapters.signing.keyring import HeldKey


class Keys:
    """The keys of the user: files in `~/.config/rote/keys` (or the folder `ROTE_KEYS`), and those in the variable
    `ROTE_SECRET_KEY`."""

    def __init__(self, folder: str | None = None) -> None:
        self._ring = KeyRing(os.environ, folder)

    @property
    def folder(self) -> str:
        """Where the files lie."""
        return self._ring.folder

    def all(self) -> list[HeldKey]:
        """Every key that is here, without its secret."""
        return self._ring.all()

    def create(self, name: str) -> HeldKey:
        """Make a key. Raises Refused if there is one of this name, BadName, MissingExtra."""
        return self._ring.create(name, _now())

    def rotate(self, name: str) -> HeldKey:
        """Make a key that takes the place of another, which goes on to sign beside it. Raises Missing, BadName,
        MissingExtra."""
        return self._ring.rotate(name, _now())

    def secret(self, name: str) -> str:
        """The secret of a key, for the place where a job's secrets are kept. Raises Missing, BadName."""
        return self._ring.secret(name)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
