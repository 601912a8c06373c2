"""From the address of a store on a share to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rote.ports import Abilities, ObjectStore
from rote.stores.locations import Location
from rote.stores.shares.files import Files
from rote.stores.shares.store import ShareStore


def share(place: Location, environ: Mapping[str, str], abilities: Callable[[], Abilities]) -> ObjectStore:
    """The store at a location on a share. Raises UsageError, MissingExtra."""
    files: Files
    if place.scheme == "sftp":
        # Each kind is loaded when it is wanted.
        from rote.stores.shares.sftp import SftpFiles

        files = SftpFiles(place, environ)
    else:
        # opendal is an extra.
        from rote.stores.shares.drive import DriveFiles

        files = DriveFiles(place, environ)
    return ShareStore(place.url, files, abilities, exclusive=place.scheme == "sftp")
