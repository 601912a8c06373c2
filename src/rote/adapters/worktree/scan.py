"""Looking at a folder tree: every file's name and stat in snapshot order, and everything in it that may not be taken.

Links to files are followed. A link to a folder is followed if that folder lies inside the scanned tree and not above
the link itself; any other link, and everything that is neither a file nor a folder, is refused by name.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Collection, Iterator

import msgspec

from rote.adapters.worktree import second, stamps
from rote.errors import BadPath
from rote.words import paths
from rote.words.ids import shown

_SCANS_DESCRIPTORS = os.scandir in os.supports_fd
BYTECODE = "__pycache__"
"""Folders of this name are no part of any tree: Python writes into them while a stage runs, differently on every
machine, and with them no stage that reads a folder of source would ever be a hit anywhere else."""
GIT_FILE = ".git"
"""A file of this name is no part of any tree: it says where on this machine the repository of a submodule lies."""
_NAMED = 5
# ASCII letters, digits and a few marks, at most 255 of them, no dot at the end, no name that Windows reserves.
_PLAIN = re.compile(
    rb"(?:(?!(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])[.\0])[A-Za-z0-9_.-]{0,254}[A-Za-z0-9_-]\0)*"
)


class Listing:
    """One folder: its files' names in order, joined by NUL, and their stats, packed. A million files are some fifty
    megabytes so, and several times that as objects."""

    __slots__ = ("joined", "prefix", "stats")

    def __init__(self, prefix: str, joined: bytes, stats: bytes) -> None:
        self.prefix = prefix
        self.joined = joined
        self.stats = stats

    @property
    def names(self) -> list[str]:
        """The names, taken apart."""
        return self.joined.decode("utf-8", "surrogateescape").split("\0") if self.stats else []


Stretch = tuple[Listing, int, int]
"""Files `[start, stop)` of a folder that follow each other in the tree's order."""

_Folder = tuple[str, tuple[tuple[int, int], ...]]
"""A folder that is still to be looked at: its prefix, and the links followed on the way to it."""
_MANY = 4_000
"""Files after which a second process takes part in what is left: a fork costs as much as a few hundred files."""


class _Looked(msgspec.Struct, array_like=True):
    """What one process tells another that it found; paths as the file system has them."""

    listings: list[tuple[bytes, bytes, bytes]]
    stretches: list[tuple[int, int, int]]
    linked: list[bytes]
    troubles: list[tuple[bytes, bytes]]


class Scan:
    """One look at a folder tree. After `run`: `stretches` in path order, `listings`, and `linked`, the paths that are
    links (or lie where they do because a folder above is one: only the link itself is named)."""

    def __init__(self, root: str, known: dict[str, bytes], shown_as: str = "") -> None:
        """`root` is the absolute path of the folder, which errors call `shown_as`; `known` the names of folders (by
        prefix, joined by NUL) that were found sound before and need not be judged again."""
        self.root = root
        self._shown_as = f"{shown_as}/" if shown_as else ""
        self._real: str | None = None
        self._known = known
        self._troubles: list[tuple[str, str]] = []
        self.stretches: list[Stretch] = []
        self.listings: list[Listing] = []
        self.linked: list[str] = []
        self.device = 0

    def run(self) -> None:
        """Look. Raises BadPath, naming the first few of everything that may not be taken."""
        top = os.stat(self.root)
        self.device = top.st_dev
        # What is still to come, last first.
        pending: list[_Folder | Stretch] = [("", ())]
        files = 0
        while pending and (files <= _MANY or len(pending) == 1):
            files += self._next(pending)
        if pending and second.possible():
            self._shared(pending)
        self._all(pending)
        if self._troubles:
            raise refusal([((self._shown_as + path).rstrip("/"), why) for path, why in self._troubles])

    def _all(self, pending: list[_Folder | Stretch]) -> None:
        while pending:
            self._next(pending)

    def _next(self, pending: list[_Folder | Stretch]) -> int:
        """Take the last of what is still to come; returns how many files that showed."""
        item = pending.pop()
        if len(item) == 3:
            self.stretches.append(item)
            return 0
        before = len(self.listings)
        pending.extend(reversed(list(self._folder(*item))))
        return len(self.listings[-1].stats) // stamps.ROW if len(self.listings) > before else 0

    def _shared(self, pending: list[_Folder | Stretch]) -> None:
        """Do all of it together with a second process, which begins with what would be last."""
        left = len(pending)
        try:
            other = second.Second(left, lambda number: self._looked(pending[number]))
        except OSError:
            return  # no process is to be had now: then alone
        try:
            while pending:
                if len(pending) <= left:  # not something that came up meanwhile
                    left = len(pending) - 1
                    answer = other.take(left)
                    if answer is not None:
                        pending.pop()
                        self._add(answer)
                        continue
                self._next(pending)
        finally:
            other.close()

    def _looked(self, item: _Folder | Stretch) -> bytes | None:
        """What lies in and below a folder, in a form that another process can be told."""
        if len(item) == 3:
            return None
        one = Scan(self.root, self._known)
        one._all([item])
        where = {id(listing): number for number, listing in enumerate(one.listings)}
        return msgspec.msgpack.encode(
            _Looked(
                [(os.fsencode(listing.prefix), listing.joined, listing.stats) for listing in one.listings],
                [(where[id(listing)], start, stop) for listing, start, stop in one.stretches],
                [os.fsencode(path) for path in one.linked],
                [(os.fsencode(path), os.fsencode(why)) for path, why in one._troubles],
            )
        )

    def _add(self, answer: bytes) -> None:
        """Take what `_looked` found in another process."""
        looked = msgspec.msgpack.decode(answer, type=_Looked)
        mine = [Listing(os.fsdecode(prefix), joined, stats) for prefix, joined, stats in looked.listings]
        self.listings += mine
        self.stretches += [(mine[number], start, stop) for number, start, stop in looked.stretches]
        self.linked += map(os.fsdecode, looked.linked)
        self._troubles += [(os.fsdecode(path), os.fsdecode(why)) for path, why in looked.troubles]

    def _folder(self, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[_Folder | Stretch]:
        """List one folder; yields its stretches and folders in order."""
        try:
            files, folders = self._entries(prefix, above)
        except OSError as e:
            self._troubles.append((prefix, f"the folder cannot be read ({e.strerror})"))
            return
        names = sorted(files)
        flat: list[int] = []
        for name in names:
            flat += files[name]
        # What cannot be encoded is refused by name; until then it must not be in the way.
        listing = Listing(prefix, "\0".join(names).encode("utf-8", "surrogateescape"), stamps.packed(flat))
        self.listings.append(listing)
        self._judge(listing, names, folders)
        start = 0
        for name in sorted(folders, key=lambda n: n + "/"):
            stop = start
            while stop < len(names) and names[stop] < name + "/":
                stop += 1
            if stop > start:
                yield listing, start, stop
            start = stop
            yield f"{prefix}{name}/", folders[name]
        if start < len(names):
            yield listing, start, len(names)

    def _entries(
        self, prefix: str, above: tuple[tuple[int, int], ...]
    ) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[tuple[int, int], ...]]]:
        files: dict[str, tuple[int, ...]] = {}
        folders: dict[str, tuple[tuple[int, int], ...]] = {}
        row, mask = stamps.row, stamps.INODE
        folder = os.path.join(self.root, prefix)
        # Through a descriptor the kernel walks the folder's path once, not once a file.
        descriptor = (
            os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)) if _SCANS_DESCRIPTORS else None
        )
        try:
            with os.scandir(folder if descriptor is None else descriptor) as entries:
                for entry in entries:
                    # On Windows only os.stat fills in the inode and the same stat as os.fstat.
                    st = entry.stat(follow_symlinks=False) if _SCANS_DESCRIPTORS else os.lstat(entry.path)
                    mode = st.st_mode
                    kind = mode & 0o170000
                    if kind == 0o100000 and _SCANS_DESCRIPTORS:
                        # What stamps.row does, in place: a call for each of a million files is a tenth of the scan.
                        files[entry.name] = (
                            st.st_mtime_ns,
                            st.st_ctime_ns,
                            st.st_ino & mask,
                            st.st_size,
                            mode,
                        )
                    elif kind == stat.S_IFREG:
                        files[entry.name] = row(st)
                    elif kind == stat.S_IFDIR:
                        if entry.name != BYTECODE:
                            folders[entry.name] = above
                    elif kind == stat.S_IFLNK:
                        self._link(prefix, entry.name, above, files, folders)
                    else:
                        self._troubles.append(
                            (prefix + entry.name, f"it is {kind_of(st.st_mode)}, not a file")
                        )
        finally:
            if descriptor is not None:
                os.close(descriptor)
        files.pop(GIT_FILE, None)
        return files, folders

    def _link(
        self,
        prefix: str,
        name: str,
        above: tuple[tuple[int, int], ...],
        files: dict[str, tuple[int, ...]],
        folders: dict[str, tuple[tuple[int, int], ...]],
    ) -> None:
        """Take what a link leads to, or say why not."""
        path = prefix + name
        full = os.path.join(self.root, path)
        self.linked.append(path)
        try:
            st = os.stat(full)
        except OSError as e:
            why = "it is a link that leads to itself" if e.errno == errno.ELOOP else "it is a link to nothing"
            self._troubles.append((path, why))
            return
        if stat.S_ISREG(st.st_mode):
            files[name] = stamps.row(st)
        elif stat.S_ISDIR(st.st_mode):
            why_not = self._why_not_follow(full, (st.st_dev, st.st_ino), above)
            if why_not:
                self._troubles.append((path, why_not))
            else:
                folders[name] = (*above, (st.st_dev, st.st_ino))
        else:
            self._troubles.append((path, f"it is a link to {kind_of(st.st_mode)}, not a file"))

    def _why_not_follow(
        self, full: str, target: tuple[int, int], above: tuple[tuple[int, int], ...]
    ) -> str | None:
        if self._real is None:
            self._real = os.path.realpath(self.root)
        real = os.path.realpath(full)
        here = os.path.realpath(os.path.dirname(full))
        if not (real + os.sep).startswith(self._real + os.sep):
            return "it is a link to a folder outside of what is added"
        if target in above or (here + os.sep).startswith(real + os.sep):
            return "it is a link to a folder that it lies in"
        return None

    def _judge(self, listing: Listing, names: list[str], folders: Collection[str]) -> None:
        """Refuse hostile names, and names that differ only in case. Siblings are enough for the latter: two paths
        differ first in one name each of the same folder."""
        prefix, joined = listing.prefix, listing.joined
        fresh = names if self._known.get(prefix) != joined else []
        plain = fresh and all_plain(joined, prefix)
        for name in (*(() if plain else fresh), *folders):
            why = paths.why_bad(prefix + name)
            if why:
                self._troubles.append((prefix + name, why))
        if not fresh and not folders:
            return
        folded: dict[str, str] = {}
        for name in (*names, *folders):
            other = folded.setdefault(name.lower() if name.isascii() else paths.fold(name), name)
            if other != name:
                why = f"it differs only in case from {shown(prefix + other, 200)}"
                self._troubles.append((prefix + name, why))


def all_plain(names: bytes, prefix: str) -> bool:
    """True if names (joined by NUL) in a sound folder are of the common kind that needs no closer judgement: a quick
    yes, where a no means nothing."""
    return (
        len(prefix.encode()) + paths.MAX_NAME <= paths.MAX_PATH
        and _PLAIN.fullmatch(names + b"\0") is not None
    )


def kind_of(mode: int) -> str:
    """What a mode says something is, in words."""
    for test, word in (
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISDIR, "a folder"),
    ):
        if test(mode):
            return word
    return "something unknown"


def unreadable(full: str, mode: int) -> bool:
    """True if this process may not read the file. Files that everybody may read are not asked about."""
    if mode & 0o444 == 0o444:
        return False
    return not os.access(full, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def refusal(troubles: list[tuple[str, str]]) -> BadPath:
    """One error for all that may not be taken."""
    troubles = sorted(troubles, key=lambda t: t[0].encode("utf-8", "surrogateescape"))
    told = "; ".join(f"{shown(path, 200)}: {why}" for path, why in troubles[:_NAMED])
    unread = all("read" in why for _, why in troubles)
    more = f"; and {len(troubles) - _NAMED} more" if len(troubles) > _NAMED else ""
    return BadPath(
        f"cannot take {told}{more}",
        safe="nothing was written",
        next=f"{'make it readable (chmod)' if unread else 'rename, replace or remove it'}, then try again",
    )
