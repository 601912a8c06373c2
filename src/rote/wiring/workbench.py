"""A folder laid out as the project is, or was in a commit, without anything that a stage makes: to do stages in, away
from the working tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable

from rote.errors import Missing
from rote.wiring.config import overrides as overriding
from rote.wiring.config import params
from rote.wiring.parts import Wiring
from rote.words.paths import holder

_OWN = frozenset([".git", ".rote", "__pycache__", "node_modules"])


def tree(wiring: Wiring, root: str, more: Iterable[str] = ()) -> Wiring:
    """Lay the project's files as they are, and `more` paths; the wiring of the new folder."""
    stages = wiring.pipeline.stages.values()
    outs = {out.path for stage in stages for out in stage.outs}
    asked = [param.file for stage in stages for param in stage.params]
    said = [*wiring.pipeline.files, *wiring.pipeline.named]
    locks = [path for stage in stages for path in stage.locks]
    for path in dict.fromkeys([*_files(wiring, outs), *said, *asked, *locks, *more]):
        copy(os.path.join(wiring.root, path), os.path.join(root, path))
    return opened(wiring, root)


def commit(wiring: Wiring, root: str, id: str) -> Wiring:
    """Lay the project's files as they were in a commit; the wiring of the new folder. Raises Missing."""
    files = wiring.git.read(id, lambda path: True) if wiring.git.present else {}
    if not files:
        raise Missing(f"the commit {id[:12]} is not in this repository", next="git fetch --unshallow")
    for path, data in files.items():
        place = os.path.join(root, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(data)
    return opened(wiring, root)


def opened(wiring: Wiring, root: str) -> Wiring:
    """The wiring of a folder, with the store of this one."""
    os.makedirs(os.path.join(root, ".rote", "cache"), exist_ok=True)
    other = Wiring(root, store=wiring.settings.store.value, progress=wiring.progress, cwd=root)
    other.__dict__["project"] = wiring.project  # a folder of no repository stands for it
    return other


def override(wiring: Wiring, overrides: Iterable[str]) -> Wiring:
    """Change the params files of a laid folder as `-S` would; its wiring then. Raises ConfigError, UsageError."""
    parsed = overriding.parse(overrides)
    if not parsed:
        return wiring
    values = params.of(wiring.root, wiring.pipeline)
    for file, data in overriding.rendered(wiring.root, values, parsed).items():
        with open(os.path.join(wiring.root, file), "wb") as opened_file:
            opened_file.write(data)
    return opened(wiring, wiring.root)


def copy(source: str, target: str) -> None:
    """A file or folder with its modes; what is gone meanwhile, or is neither, is left out."""
    if os.path.isdir(source):
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif os.path.isfile(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)


def _files(wiring: Wiring, outs: Collection[str]) -> Iterable[str]:
    """The project's files that are not data: those that git tracks, or without git all that lie there."""
    git = wiring.git
    names = git.ls_files() if git.present else list(_walked(wiring.root))
    data = {path for path, _ in wiring.workspace.pointers()}
    return (name for name in names if not holder(name, outs) and not holder(name, data))


def _walked(root: str) -> Iterable[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [
            f for f in folders if f not in _OWN and not os.path.exists(os.path.join(folder, f, "pyvenv.cfg"))
        ]
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in files)
