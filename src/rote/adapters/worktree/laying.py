"""A second working tree of a project, laid out of the first: its files copied, its data linked, or less of that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

import msgspec

from rote.adapters.worktree.places import delete, trouble
from rote.errors import UsageError
from rote.laws.pipeline import smoking
from rote.words.ids import shown
from rote.words.paths import holder

_OWN = frozenset([".git", ".rote", "__pycache__", "node_modules"])


class Laying:
    """Lays the tree `to` out of `root`. What was laid the last time and is not any more is taken away; what stages made
    there stays. Raises RoteError where something cannot be written."""

    def __init__(self, root: str, to: str) -> None:
        self._root = root
        self._to = to
        self._note = os.path.join(to, ".rote", "laid.json")
        self._laid: dict[str, None] = {}

    def begin(self) -> None:
        """Take away every link that was laid before: what is laid now is laid anew."""
        for path in self._before():
            full = os.path.join(self._to, path)
            if os.path.islink(full) and self._is_own(full):
                os.unlink(full)

    def end(self) -> None:
        """Take away what was not laid again."""
        try:
            for path in self._before():
                full = os.path.join(self._to, path)
                if path not in self._laid and self._is_own(full):
                    with suppress(OSError):  # a stage may have made something else of it
                        os.unlink(full)
            os.makedirs(os.path.dirname(self._note), exist_ok=True)
            with open(self._note, "wb") as f:
                f.write(msgspec.json.encode(list(self._laid)))
        except OSError as e:
            raise trouble(e, self._note) from e

    def _is_own(self, full: str) -> bool:
        """Whether it lies in the second tree, and not where a link in that leads to."""
        folder = os.path.realpath(os.path.dirname(full))
        return folder == os.path.realpath(self._to) or folder.startswith(os.path.realpath(self._to) + os.sep)

    def _before(self) -> list[str]:
        try:
            with open(self._note, "rb") as f:
                return msgspec.json.decode(f.read(), type=list[str])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return []

    def copy(self, paths: Iterable[str]) -> None:
        """Files; what is no file, or is gone, is left out. A link is a link to the same place."""
        for path in paths:
            source, full = os.path.join(self._root, path), os.path.join(self._to, path)
            try:
                if os.path.islink(source):
                    self._link(
                        os.path.realpath(source) if self._leads_out(source) else os.readlink(source), path
                    )
                elif os.path.isfile(source):
                    self._make_way(path)
                    if not _same(source, full):
                        if os.path.lexists(full):
                            delete(full)
                        shutil.copy2(source, full)
                    self._laid[path] = None
            except OSError as e:
                raise trouble(e, full) from e

    def write(self, path: str, data: bytes) -> None:
        """A file with other bytes than there are in the first tree; only if it was copied from there."""
        full = os.path.join(self._to, path)
        if path not in self._laid or os.path.islink(full):
            return
        try:
            with open(full, "wb") as f:
                f.write(data)
        except OSError as e:
            raise trouble(e, full) from e

    def _leads_out(self, source: str) -> bool:
        real = os.path.realpath(source)
        return os.path.isabs(os.readlink(source)) or not real.startswith(self._root.rstrip(os.sep) + os.sep)

    def bring(self, paths: Iterable[str]) -> None:
        """Files and folders of which not every file was copied already: links."""
        for path in paths:
            below = f"{path}/"
            copied = path in self._laid or any(laid.startswith(below) for laid in self._laid)
            folder = os.path.join(self._root, path)
            if not copied or (
                os.path.isdir(folder) and any(below + file not in self._laid for file in _files(folder))
            ):
                self.link(path)

    def link(self, path: str, to: str | None = None) -> None:
        """A link to the file or folder `to` of the first tree (default: the same path), if there is one."""
        source = os.path.realpath(os.path.join(self._root, to or path))
        if os.path.exists(source):
            self._link(source, path)

    def _link(self, source: str, path: str) -> None:
        full = os.path.join(self._to, path)
        try:
            self._make_way(path)
            if os.path.lexists(full):
                delete(full)
            os.symlink(source, full)
        except OSError as e:
            raise trouble(e, full) from e
        self._laid[path] = None

    def _make_way(self, path: str) -> None:
        """Folders down to the path. A link on the way is made a folder of links to all that lies there."""
        above, _, _ = path.rpartition("/")
        at = ""
        for part in above.split("/") if above else ():
            at = f"{at}/{part}" if at else part
            full = os.path.join(self._to, at)
            if os.path.islink(full):
                source = os.path.realpath(full)
                os.unlink(full)
                self._laid.pop(at, None)
                for inner in _files(source):
                    self._link(os.path.join(source, inner), f"{at}/{inner}")
            os.makedirs(full, exist_ok=True)

    def sample(self, path: str, count: int) -> None:
        """Less of a folder or a file of the first tree. Raises UsageError for a file of which no number of records can
        be taken."""
        source = os.path.realpath(os.path.join(self._root, path))
        full = os.path.join(self._to, path)
        self._make_way(path)  # first: nothing is deleted through a link
        if os.path.lexists(full):
            delete(full)
        if os.path.isdir(source):
            for inner in smoking.chosen(_files(source), count):
                self._link(os.path.realpath(os.path.join(source, inner)), f"{path}/{inner}")
            with suppress(OSError):  # an empty folder is a folder as well
                os.makedirs(full, exist_ok=True)
        elif os.path.isfile(source):
            if not path.lower().endswith(smoking.RECORDS):
                raise UsageError(
                    f"of {shown(path)} no number of records can be taken, only of {', '.join(smoking.RECORDS)} files",
                    where="rote.yaml: smoke.sample",
                    next=f"make a small one, and name it: sample: {{{path}: PATH}}",
                )
            try:
                with open(source, "rb") as lines, open(full, "wb") as out:
                    out.writelines(smoking.records(lines, count, path))
                shutil.copystat(source, full)
            except OSError as e:
                raise trouble(e, full) from e
            self._laid[path] = None

    def files(self) -> Iterator[str]:
        """Every file of the first tree, but for rote's and git's own, and virtual environments."""
        for folder, folders, names in os.walk(self._root):
            folders[:] = [
                f for f in folders if f not in _OWN and not _is_environment(os.path.join(folder, f))
            ]
            yield from (os.path.relpath(os.path.join(folder, name), self._root) for name in names)

    def environments(self) -> list[str]:
        """The virtual environments that lie at the top of the first tree."""
        try:
            names = sorted(os.listdir(self._root))
        except OSError as e:
            raise trouble(e, self._root, "read") from e
        return [name for name in names if _is_environment(os.path.join(self._root, name))]


def _is_environment(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _files(folder: str) -> list[str]:
    """The files below a folder, as a snapshot would have them."""
    found = []
    for above, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [os.path.relpath(os.path.join(above, name), folder).replace(os.sep, "/") for name in names]
    return sorted(found)


def _same(source: str, target: str) -> bool:
    """Whether a copy is still good: the same bytes and mode, however it came by them."""
    try:
        if os.path.islink(target) or not os.path.isfile(target):
            return False
        one, two = os.stat(source), os.stat(target)
        if (one.st_size, one.st_mode) != (two.st_size, two.st_mode):
            return False
        with open(source, "rb") as first, open(target, "rb") as second:
            while piece := first.read(1 << 20):
                if piece != second.read(len(piece)):
                    return False
        return True
    except OSError:
        return False


def without(paths: Iterable[str], places: Collection[str]) -> Iterator[str]:
    """Those of the paths that are none of the places, nor lie in one."""
    taken = frozenset(places)
    return (path for path in paths if holder(path, taken) is None)
