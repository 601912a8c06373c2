"""Making a folder a project."""

from __future__ import annotations

import os

import msgspec

from rote.adapters.stores import address, locations
from rote.errors import UsageError
from rote.ports import Silence
from rote.services.store.founding import found
from rote.services.store.probe import Probed
from rote.wiring.config import FILE, starter
from rote.wiring.config.root import FOLDER
from rote.wiring.parts import Wiring
from rote.wiring.project import Project
from rote.words.ids import shown


class Founded(msgspec.Struct, frozen=True):
    """A project that is there now; `is_new` if it was not before."""

    root: str
    is_new: bool
    store_url: str
    store_source: str
    probed: Probed | None = None
    """What a store in a cloud was seen to honour."""

    def open(self) -> Project:
        """The project itself."""
        return Project(self.root)


def init(path: str, *, store: str | None) -> Founded:
    """See `rote.init`."""
    root = os.path.abspath(path)
    if not os.path.isdir(root):
        raise UsageError(f"there is no folder {shown(root, 300)}", next=f"mkdir -p {path}")
    if store is not None:
        address.canonical(store, root)
    file, ignored = os.path.join(root, FILE), os.path.join(root, ".gitignore")
    is_new = not os.path.isdir(os.path.join(root, FOLDER))
    there = os.path.exists(file)
    if there and store is not None:
        _already(root, store)
    probed = None
    if not there and store is not None and locations.is_cloud(store):
        probed = _reached(Wiring(root, store=store, progress=Silence(), cwd=root))  # before a file names it
    if not there:
        _write(file, starter.pipeline_text(store))
    present = _read(ignored)
    wanted = starter.ignore_text(present)
    if wanted != present:
        _write(ignored, wanted)
    os.makedirs(os.path.join(root, FOLDER), exist_ok=True)
    wiring = Wiring(root, store=None, progress=Silence(), cwd=root)
    setting = wiring.settings.store
    if locations.is_cloud(setting.value):
        probed = probed or _reached(wiring)
    else:
        found(wiring.at(setting.value, create=True), wiring.clock)
    if setting.value == os.path.join(wiring.own, "store"):
        wiring.remember_store()
    return Founded(root, is_new, setting.value, setting.source, probed)


def _reached(wiring: Wiring) -> Probed:
    """Found the store in a cloud, and try what it honours. Nothing is asked twice: a wrong address is told at once."""
    url = wiring.settings.store.value
    found(address.at(url, abilities=wiring.guarantees.abilities(url)), wiring.clock)
    return wiring.guarantees.probed(url)


def _already(root: str, store: str) -> None:
    """A rote.yaml that is there is kept, with a line for the store if it has none; it must not name another."""
    wiring = Wiring(root, store=None, progress=Silence(), cwd=root)
    said = wiring.pipeline.store
    if said is None:
        file = os.path.join(root, FILE)
        _write(file, starter.with_store(_read(file), store))
    elif address.canonical(said, root) != address.canonical(store, root):
        raise UsageError(
            f"{FILE} is there already and names the store {shown(said)}",
            where=os.path.join(root, FILE),
            safe="nothing was changed",
            next=f"write into it: store: {store}",
        )


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
        f.write(text)
