"""From a store's address to its adapter."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from rote.adapters.stores import locations
from rote.errors import UsageError
from rote.ports import Abilities, ObjectStore
from rote.words.ids import shown

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def at(
    url: str,
    *,
    base: str = ".",
    create: bool = False,
    environ: Mapping[str, str] | None = None,
    abilities: Callable[[], Abilities] = Abilities,
) -> ObjectStore:
    """The store at `url`: a folder (relative to `base`, or absolute, or `file:///…`), or a cloud's (docs/stores.md).

    With `create` the folder may be made; without it, a folder that is not there is StoreUnavailable. `environ` (by
    default the process's own) has a cloud's credentials and settings; `abilities` is asked before a first write to a
    cloud. Raises UsageError for an address of another kind.
    """
    if locations.scheme_of(url) in locations.SHARES:
        # Only a share needs opendal, or a program to speak to.
        from rote.adapters.stores.shares.opening import share

        return share(locations.parse(url), os.environ if environ is None else environ, abilities)
    if locations.is_cloud(url):
        # Only a cloud's store needs obstore, which takes longer to load than all the rest.
        from rote.adapters.stores.cloud.store import CloudStore

        return CloudStore(locations.parse(url), os.environ if environ is None else environ, abilities)
    # The adapter loads when it is wanted, so that naming an address costs nothing.
    from rote.adapters.stores.folder import FolderStore

    return FolderStore(folder(url, base), create=create)


def most(url: str) -> Abilities:
    """What the store at an address can honour at most, by what its kind offers at all."""
    if locations.scheme_of(url) in locations.SHARES:
        # Over SFTP a rename never overwrites, so that of several who create one wins.
        return Abilities(create=locations.scheme_of(url) == "sftp", replace=False, delete=False)
    return Abilities(delete=True)


def canonical(url: str, base: str = ".") -> str:
    """One spelling for each store: the absolute path of a folder, or a cloud's address. Raises UsageError."""
    return locations.parse(url).url if locations.is_cloud(url) else folder(url, base)


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
        raise locations.unknown_scheme(url)
    if not url.strip():
        raise UsageError("the store's address is empty", next="rote init --store FOLDER")
    return os.path.normpath(os.path.join(os.path.abspath(base), os.path.expanduser(url)))
