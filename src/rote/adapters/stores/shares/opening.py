"""From the address of a store on a share to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rote.adapters.stores.locations import Location
from rote.adapters.stores.shares.files import Files
from rote.adapters.stores.shares.store import ShareStore
from rote.ports import Abilities, ObjectStore


def share(place: Location, environ: Mapping[str, str], abilities: Callable[[], Abilities]) -> ObjectStore:
    """The store at a location on a share. Raises UsageError, MissingExtra."""
    files: Files
    if place.scheme == "sftp":
        # Each kind is loaded when it is wanted.
        from rote.adapters.stores.shares.sftp import SftpFiles

        files = SftpFiles(place, environ)
    else:
        # opendal is an extra.
        from rote.adapters.stores.shares.drive import DriveFiles

        files = DriveFiles(place, environ)
    return ShareStore(place.url, files, abilities, exclusive=place.scheme == "sftp")
