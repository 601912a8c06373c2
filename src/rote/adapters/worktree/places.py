"""Where things of a project lie, and the fence around it: no path leads out of the project's root."""

from __future__ import annotations

import errno
import itertools
import os

from rote.errors import BadPath, RoteError
from rote.words import paths
from rote.words.encoding import digest_of
from rote.words.ids import shown

OWN = (".git", ".rote")
"""Folders at the root that are never data."""
_count = itertools.count()


class Places:
    """The paths of one project: `root` is absolute and without links, `cache` the folder of rebuildable things."""

    def __init__(self, root: str, cache: str) -> None:
        self.root = os.path.realpath(root)
        self.cache = os.path.join(self.root, cache)
        self.own = os.path.join(self.root, ".rote")

    def full(self, path: str) -> str:
        """The absolute path of a path relative to the root. Raises BadPath if it leads out, also through a link."""
        paths.check(path)
        if path.split("/", 1)[0].lower() in OWN:
            raise BadPath(f"{shown(path, 200)} belongs to git or to rote itself", next="name another path")
        full = os.path.join(self.root, path)
        folder = os.path.realpath(os.path.dirname(full))
        if not self._inside(folder):
            raise BadPath(
                f"{shown(path, 200)} leads out of the project through a link, to {shown(folder, 200)}",
                safe="nothing was read or written",
                next="name a path that lies in the project",
            )
        return full

    def _inside(self, folder: str) -> bool:
        return folder == self.root or folder.startswith(self.root.rstrip(os.sep) + os.sep)

    def name(self, typed: str, cwd: str | None = None) -> str:
        """A path as a person types it -> relative to the root, with `/`."""
        full = os.path.normpath(os.path.join(self.root if cwd is None else cwd, typed))
        if not self._inside(full):
            full = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
        if not self._inside(full):
            raise BadPath(
                f"{shown(typed, 200)} lies outside of the project",
                where=self.root,
                next="copy or link it into the project first",
            )
        path = os.path.relpath(full, self.root).replace(os.sep, "/")
        if path == ".":
            raise BadPath(
                "the project's own folder cannot be data", next="name a file or folder in the project"
            )
        self.full(path)
        return path

    def memory(self, path: str) -> str:
        """The file in which the stat cache keeps what it knows of a data path."""
        return os.path.join(self.cache, "trees", digest_of(path.encode())[:32])

    def bases(self, path: str) -> str:
        """The file that remembers which snapshots rote put or saved at a data path."""
        return os.path.join(self.cache, "bases", digest_of(path.encode())[:32])

    def probe(self) -> str:
        """A file that may be written to ask the file system for its time: one for each user, since of two who write it
        at once each reads a time at which it did ask."""
        return os.path.join(self.cache, f"time.{os.getuid() if hasattr(os, 'getuid') else 0}")

    def staging(self, target: str) -> str:
        """A new empty folder on the device of `target`, named after this process: in the cache if that is there."""
        parent = os.path.dirname(target)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        folder = os.path.join(self.cache, "staging")
        os.makedirs(folder, exist_ok=True)
        if os.stat(parent).st_dev != os.stat(folder).st_dev:
            folder, prefix = parent, ".rote-staging-"
        else:
            prefix = ""
            _clear(folder)
        while True:
            made = os.path.join(folder, f"{prefix}{os.getpid()}-{next(_count)}")
            try:
                os.mkdir(made)
                return made
            except FileExistsError:
                continue


def _clear(folder: str) -> None:
    """Delete what processes that were killed have left."""
    for name in os.listdir(folder):
        pid = name.partition("-")[0]
        if pid.isdigit() and int(pid) != os.getpid() and not _alive(int(pid)):
            delete_quietly(os.path.join(folder, name))


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # asking would end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def delete(full: str) -> None:
    """Delete a file, a link or a folder with all in it; links are not followed."""
    try:
        if os.path.isdir(full) and not os.path.islink(full):
            from shutil import rmtree  # brings every archive format with it: too slow for small commands

            rmtree(full)
        else:
            os.unlink(full)
    except FileNotFoundError:
        return
    except OSError as e:
        raise trouble(e, full) from e


def delete_quietly(full: str) -> None:
    """Delete a folder of our own as far as possible; what stays is found again by `staging`."""
    from shutil import rmtree  # brings every archive format with it: too slow for small commands

    rmtree(full, ignore_errors=True)


def trouble(error: OSError, path: str, doing: str = "write") -> RoteError:
    """What the operating system said about `doing` something to a file of the working tree, as an error of ours."""
    # A file is often written aside first, on another disk perhaps: then that is the place to look at.
    aside = error.filename if isinstance(error.filename, str) and not error.filename.endswith(path) else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RoteError(
            f"there is no space left to write {shown(path, 200)}",
            where=aside,
            safe="every file is as it was before or completely written",
            next=f"make room (`df -h {os.path.dirname(aside or path) or '.'}`), then do the same again",
        )
    return RoteError(
        f"cannot {doing} {shown(path, 200)}: {error.strerror or error}",
        where=aside,
        safe="every file is as it was before or completely written",
        next="see who owns it and what lies there, then do the same again",
    )
