"""From a store's address to its adapter."""

from __future__ import annotations

import os
import re

from rote.errors import UsageError
from rote.ids import shown
from rote.ports import ObjectStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def at(url: str, *, base: str = ".", create: bool = False) -> ObjectStore:
    """The store at `url`: a folder (relative to `base`, or absolute, or `file:///…`).

    With `create` the folder may be made; without it, a folder that is not there is StoreUnavailable. Raises
    UsageError for an address of another kind.
    """
    # The adapter loads when it is wanted, so that naming an address costs nothing.
    from rote.stores.folder import FolderStore

    return FolderStore(folder(url, base), create=create)


def folder(url: str, base: str = ".") -> str:
    """The absolute path of a folder store's address. Raises UsageError for another kind of address."""
    match = _SCHEME.match(url)
    if match and match[1].lower() == "file":
        rest = url[match.end() :]
        host, slash, path = rest.partition("/")
        if host not in ("", "localhost") or not slash:
            raise UsageError(f"a store at file:// is file:///ABSOLUTE/PATH, not {shown(url)}")
        return os.path.normpath("/" + path)
    if match:
        raise UsageError(
            f"this rote has no store for addresses of {match[1]}://",
            next="use a folder: rote init --store /a/folder/that/you/share",
        )
    if not url.strip():
        raise UsageError("the store's address is empty", next="rote init --store FOLDER")
    return os.path.normpath(os.path.join(os.path.abspath(base), os.path.expanduser(url)))
