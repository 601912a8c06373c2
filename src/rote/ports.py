"""The ports: what services need from the outside, and the contract that every adapter keeps.

An adapter's exceptions never cross a port: everything it raises is in `rote.errors`, also in the middle of iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from rote.completeness import Stat
from rote.ids import Digest, SnapshotId
from rote.pointer import Pointer
from rote.snapshot import Entry, SnapshotRef
from rote.sourcelist import SourceItem


class Meta(msgspec.Struct, frozen=True):
    """What a store says of an object: `size` in bytes; `etag` changes whenever the object's body does."""

    key: str
    size: int
    etag: str


class Found(msgspec.Struct, frozen=True):
    """An object that was read whole."""

    data: bytes
    etag: str


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a store was seen to honour (`rote store probe`), when several clients use it at once."""

    create: bool = True
    """Of several who create one object, exactly one does."""
    replace: bool = True
    """Nobody replaces what another has replaced meanwhile."""
    delete: bool = False
    """Nobody deletes what another has replaced meanwhile. Without it `delete` with an etag is Unsupported."""
    reads: bool = True
    """What was written is what everybody reads from then on."""
    lists: bool = True
    """What was written is in every listing from then on; listings are whole and sorted."""

    @property
    def shared(self) -> bool:
        """Whether several may write at once, and objects may be collected. Otherwise: one writer, and no gc."""
        return self.create and self.replace and self.reads and self.lists


class ObjectStore(Protocol):
    """A flat space of objects under keys such as `txns/2026…`.

    Keys are `/`-joined names of `[A-Za-z0-9._@+=,-]`, each 1 to 255 bytes, none beginning with a dot, at most 900
    bytes in all; anything else is BadName before a byte moves. No key lies below another. After a write has returned,
    every reader sees it and it survives a power cut. A reader never sees half of an object. An etag may come back with
    an equal body, so bodies that are replaced under a condition never repeat. Every method may raise
    StoreUnavailable; writes may raise StoreFull, and Unknown where the reply was lost.
    """

    @property
    def url(self) -> str:
        """The store's address, fit to be shown (no secrets)."""

    def get(self, key: str) -> Found:
        """The whole object. Raises NotFound; Corrupt for one of more than 256 MiB, which only packs may have."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises NotFound; Corrupt if the object ends before that."""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) at once, in the order asked. Raises as `get_range`."""

    def head(self, key: str) -> Meta:
        """Size and etag without the body. Raises NotFound."""

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """Write an object that must not exist yet; returns its etag. Raises Conflict if it does (with nothing
        changed)."""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has exactly this etag; returns the new one. Raises Conflict if it has another or
        is gone."""

    def delete(self, key: str, etag: str | None = None) -> None:
        """Delete the object; with `etag` only if it has exactly that one (Conflict otherwise). Deleting what is not
        there is no error without `etag`, Conflict with one. Raises Unsupported with `etag`, and deletes nothing, where
        the store cannot look and delete in one step."""

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """Every object whose key begins with `prefix` and is greater than `after`, sorted by key's bytes."""


class Columns(msgspec.Struct):
    """Neighbouring files of a tree, in the order of their paths' UTF-8 bytes; one element a file in each column.

    Columns, not objects: fifty thousand files are then a few lists. A digest of None means that the file must be read.
    """

    paths: list[str]
    sizes: list[int]
    executables: bytearray
    digests: list[bytes | None]


class Tree(Protocol):
    """A folder, or a single file, of a working tree that is being identified or saved."""

    @property
    def single(self) -> bool:
        """True for a single file, whose only path is `snapshot.FILE`."""

    def batches(self) -> Iterator[Columns]:
        """The whole tree in batches, in path order across batches as well. Digests are filled in where the stat
        cache vouches for them. Raises BadPath (hostile names, sockets, dangling links, clashes in case) before the
        first batch; StoreUnavailable never."""

    def read(self, path: str, size: int) -> bytes:
        """A whole file. Raises Changed if it is not `size` bytes long or changed while it was read."""

    def stream(self, path: str, size: int) -> AbstractContextManager[Callable[[memoryview], int]]:
        """A large file, piece by piece: the function fills memory of the caller's from where it stopped before, and
        returns how many bytes it got (0 at the end). Raises Changed as `read`, also on leaving the context. Not
        mapped: a mapped file that somebody cuts short kills the process."""

    def seen(self, batch: Columns) -> None:
        """Every digest of this batch is now known: remember them with the stat the files had."""


class Sink(Protocol):
    """Where a snapshot's files are written."""

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        """Write one file, whole or not at all. `parts` are verified already and valid only until the next one."""


class WorkingTree(Tree, Protocol):
    """A Tree with the memory of the stat cache."""

    @property
    def linked(self) -> Sequence[str]:
        """Paths in the tree that are links, to files or (followed inside the tree only) to folders."""

    def identity(self) -> Pointer | None:
        """The snapshot this tree is known to be, if nothing has changed since `remember`; no file is read."""

    def unread(self) -> int:
        """Bytes of the files whose digest is not known."""

    def remember(self, identity: Pointer) -> None:
        """Every batch was seen, and together they are this snapshot: keep it for next time."""


class WholeSink(Sink, Protocol):
    """A Sink for a whole tree: nothing is at the path before `place`, all of it after."""

    def place(self, identity: Pointer, *, replace: bool = False) -> None:
        """Put the tree at its path in one rename, and remember its stat; `replace`: a single file over another.
        Raises Unsaved if something has come to lie there."""


class EditSink(Sink, Protocol):
    """A Sink into a folder that is there: every file is replaced by a rename, so that a reader (or a killed process)
    leaves it old or new."""

    def remove(self, paths: Iterable[str]) -> None:
        """Delete these files, and the folders that this empties. What is gone already is no error."""

    def finish(self) -> None:
        """Everything is written: remember the stat of what was."""


class Workspace(Protocol):
    """The working tree. Paths are relative to the project's root with `/`; anything that would lead out of it is
    BadPath before a byte moves. Safe from several threads as long as they work on different paths."""

    @property
    def root(self) -> str:
        """The project's root, an absolute path."""

    def name(self, path: str, cwd: str | None = None) -> str:
        """A path as a person types it (absolute, or relative to `cwd`, by default the root) -> relative to the root.
        Raises BadPath outside of the root, for the root itself, and in `.git` or `.rote`."""

    def kind(self, path: str) -> str | None:
        """`file` or `folder` (links followed), None if nothing is there. Raises BadPath for anything else."""

    def tree(self, path: str, *, fresh: bool = False) -> WorkingTree:
        """What is at the path now; `fresh` forgets every digest. Raises Missing, BadPath."""

    def whole(self, path: str, *, single: bool) -> AbstractContextManager[WholeSink]:
        """Write a whole file or folder aside; leaving the context without `place` leaves no trace."""

    def edit(self, path: str) -> AbstractContextManager[EditSink]:
        """Change some files of a folder."""

    def is_link(self, path: str) -> bool:
        """True if the path itself is a link."""

    def delete(self, path: str) -> None:
        """Delete a file, a link or a folder with all in it; nothing there is no error."""

    def put_aside(self, path: str, label: str) -> str | None:
        """Move what is at the path to `.rote/aside/<label>/<path>`; returns where, or None if nothing was there."""

    def own(self, path: str) -> None:
        """Make sure that writing to the path, or to files in it, changes nothing elsewhere: links become files of their
        own, which may be written."""

    def bases(self, path: str) -> list[SnapshotRef]:
        """The snapshots whose files may lie at the path because rote put or saved them: newest last."""

    def set_bases(self, path: str, refs: Sequence[SnapshotRef]) -> None:
        """Remember them."""

    def pointers(self) -> list[tuple[str, Pointer]]:
        """Every pointer of the project: the data path it pins, and what it says, in order. Raises ConfigError."""

    def pointer(self, path: str) -> Pointer | None:
        """The pointer beside a data path, or None. Raises ConfigError, TooNew."""

    def write_pointer(self, path: str, pointer: Pointer) -> bool:
        """Write `PATH.rote`, whole or not at all; False if it said that already."""

    def ignore(self, path: str) -> bool:
        """Make sure that git ignores the path, with a line in `.gitignore` beside it; False if it stood there."""

    def intake(self, path: str, url: str) -> Intake:
        """Where a source comes in for a data path: the same folder for the same two."""

    def lock(
        self, command: str, *, wait: bool = True, say: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Be the only process at work in this tree. If another is: `say` who, and wait; or raise Locked."""

    def worker(self) -> int | None:
        """The number of the process that is at work in this tree, 0 if it does not say; None if there is none."""


class HeldTree(Tree, Protocol):
    """Files of a folder that others go on working in, held as they were: what is replaced or deleted meanwhile can be
    read to its end."""

    def is_still(self) -> bool:
        """Whether no byte of them was changed since they were looked at."""


class CheckpointFolder(Protocol):
    """The folder that a stage writes checkpoints into."""

    @property
    def full(self) -> str:
        """Its absolute path."""

    def begin(self, note: bytes) -> str | None:
        """Make the folder empty, for a stage that starts. What rote did not put there, and no stage that it started
        (no note lies beside it), is put aside; returns where. `note` is kept until the next `begin`."""

    def note(self) -> bytes | None:
        """The note of the last stage that had this folder, or None."""

    def keep(self, note: bytes) -> None:
        """Replace the note."""

    def look(self) -> dict[str, Stat]:
        """Every regular file in it now, by its path in the folder; links are not followed. What comes and goes while
        this looks may be in it or not. Empty if the folder is not there."""

    def mark(self) -> bytes | None:
        """The content of the mark, or None."""

    def writing(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that some process has open for writing; none where the system cannot tell."""

    def watch(self) -> None:
        """A stage is about to work in it: from now on, until `close`, see what is renamed."""

    def renamed(self) -> Collection[str]:
        """The paths that were given to a file by a rename since `watch`, and into which nobody has written since; none
        where the system cannot tell."""

    def close(self) -> None:
        """The stage is over."""

    def hold(self, files: Mapping[str, Stat]) -> AbstractContextManager[HeldTree | None]:
        """Hold these files; None if one of them is no longer what its stat says. Raises BadPath for names that no
        snapshot may hold."""


class Files(Protocol):
    """Single files and folders of the working tree as a stage reads them: by content and by name. Paths are relative to
    the project's root; one that leads out of it is a path at which nothing is. Links are followed. Thread-safe."""

    def digest(self, path: str) -> Digest | None:
        """The digest of a file's bytes; None if no readable file is there. An unchanged file is not read again."""

    def stamp(self, path: str) -> tuple[int, ...] | None:
        """mtime and ctime in ns, inode and size of a file now; None if none is there."""

    def names(self, path: str, besides: list[str]) -> list[str] | None:
        """The names in a folder without `besides` and those that are never told, sorted; None if there is no
        folder."""

    def modules(self, path: str, sought: list[str]) -> list[str]:
        """The entries of a folder that Python could take for one of these modules, sorted."""

    def moment(self) -> int:
        """The file system's time, in ns: what changes from now on has a ctime that is not before it."""

    def save(self) -> None:
        """Remember for next time what was read."""


class Outside(Protocol):
    """A source of data outside: one object, or all below a prefix. Every method may raise SourceUnavailable."""

    @property
    def url(self) -> str:
        """The address, fit to be shown and to stand in git (no secrets)."""

    @property
    def name(self) -> str:
        """The last name in the address, or an empty text: where the data would go if nobody says."""

    @property
    def at(self) -> str:
        """What the source calls the state that it shows: a commit, say. Empty where it has no name for it."""

    def look(self, single: bool | None, known: str = "") -> tuple[bool, list[SourceItem]] | None:
        """Whether it is a single object (whose path is `snapshot.FILE`), and what is there, in any order; one request,
        or one a thousand objects. `single` says what it was before, None that nobody knows. None is returned where a
        single object still has the etag `known`."""

    def read(self, item: SourceItem, start: int) -> tuple[int, int | None, Iterator[bytes]]:
        """From which byte on the source gives an item (`start`, or 0 where it can only give all), how many bytes the
        whole item has (None if it does not say), and its pieces. Raises Changed, also on the way, if it is not what
        `look` saw."""


class Intake(Protocol):
    """Where the files of a source come in: a folder aside that outlives the process, so that what was fetched once is
    there when the same is asked again."""

    def have(self, item: SourceItem) -> int:
        """How many bytes of the item are there, from its beginning."""

    def whole(self, item: SourceItem) -> bool:
        """Whether all of it is there."""

    def take(self, item: SourceItem, start: int, parts: Iterable[bytes], total: int | None) -> None:
        """Append what comes, after the first `start` bytes of what is there. Raises SourceUnavailable (try again: what
        came stays) if it is not `total` bytes in the end."""

    def size(self, item: SourceItem) -> int:
        """The bytes of an item that is whole."""

    def equal(self, item: SourceItem, path: str) -> bool:
        """Whether the file at a path of the working tree has exactly these bytes."""

    def place(self, item: SourceItem, path: str) -> None:
        """Move an item to its place in the working tree, over a file that is there. Raises BadPath, RoteError."""

    def place_tree(self, items: Iterable[SourceItem]) -> None:
        """Put a folder of all these items at the data path, where nothing is, in one rename. Raises BadPath,
        RoteError."""

    def remove(self, path: str) -> None:
        """Delete a file of the working tree, and the folders that this empties."""

    def clear(self) -> None:
        """Everything has its place: forget the rest."""


class Progress(Protocol):
    """Where work reports how far it is. Called often: an implementation draws at most some times a second."""

    def start(self, what: str, total: int | None = None, unit: str = "") -> None:
        """A piece of work begins; `total` in `unit` (`files`, `bytes`, `stages`) if known."""

    def step(self, amount: int = 1) -> None:
        """So much more is done."""

    def done(self) -> None:
        """The piece of work that began last is over."""

    def say(self, line: str) -> None:
        """A line for the person who watches."""


class Silence:
    """A Progress that shows nothing."""

    def start(self, what: str, total: int | None = None, unit: str = "") -> None:
        """Nothing is shown."""

    def step(self, amount: int = 1) -> None:
        """Nothing is shown."""

    def done(self) -> None:
        """Nothing is shown."""

    def say(self, line: str) -> None:
        """Nothing is shown."""


class Clock(Protocol):
    """Time and chance, so that tests can hold both still."""

    def now(self) -> float:
        """Seconds since 1970, UTC. Only shown and stored for people; never decides correctness."""

    def monotonic(self) -> float:
        """Seconds from some fixed point, never running backwards."""

    def token(self, count: int) -> str:
        """`count` random bytes as hexadecimal digits."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""


class Exit(msgspec.Struct, frozen=True):
    """How a command ended: `code` as the shell gives it (negative: killed by that signal), `stopped` if we asked."""

    code: int
    seconds: float
    stopped: bool = False
    exceeded: str = ""
    """The bound that it went beyond, and was ended for: `timeout` or `memory`; or `machine`: the kernel ended it,
    because the machine (or what this process may have of it) had no memory left."""
    peak: int = 0
    """The most bytes of memory that were seen; 0 if nobody looked."""
    left: bool = False
    """Whether a process of the command could not be ended: it waits for a disk that does not answer."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a command may use: seconds, and bytes of memory for it and all its children together. None: no bound."""

    timeout: float | None = None
    memory: int | None = None
    grace: float = 10.0
    """Seconds between TERM and KILL for one that is out of time."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the place has where stages run: processors, bytes of memory, and GPUs by the names that CUDA knows."""

    cpus: float
    memory: int
    gpus: tuple[str, ...] = ()


class Process(Protocol):
    """A command under way."""

    def wait(self) -> Exit:
        """Block until the command and all the processes that it started are over."""

    def stop(self, grace: float = 10.0) -> None:
        """Ask the process group to end (TERM), and end it (KILL) after `grace` seconds. Safe from any thread, and to
        call twice: the second call kills at once."""


class Executor(Protocol):
    """Where a stage's command runs."""

    def start(
        self,
        cmd: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        output: Callable[[bytes], None],
        bounds: Bounds = Bounds(),
    ) -> Process:
        """Start command lines, one after the other until one fails, in one process group of their own. What goes beyond
        its `bounds` is ended.

        `output` receives what they write (stdout and stderr as one stream), in order, from another thread. Raises
        StageFailed if the shell cannot be started.
        """

    def capacity(self) -> Capacity:
        """What there is for all stages together."""

    def unbounded(self, bounds: Bounds) -> str:
        """Why one of the bounds cannot be kept here, in words; empty if all can."""


class Committed(Protocol):
    """The files of git commits."""

    def read(self, rev: str, wanted: Callable[[str], bool], *, below: str = "") -> Mapping[str, bytes]:
        """The regular files at or below the path `below` (relative to the project's root) in that commit whose path is
        `wanted`, as committed. Empty if there are none. Raises Missing if the commit is not here."""

    def modes(self, rev: str) -> Mapping[str, str]:
        """Every file of that commit -> `file`, `executable` or `link`. Raises as `read`."""


class Incoming(Sink, Protocol):
    """A version of a model that is being put together aside, while what is in use stays as it is."""

    def keep(self, entry: Entry) -> bool:
        """Take over a file that is here already with exactly this content (its digest is computed). False if there is
        none: then it must be written."""

    def chunk(self, digest: bytes) -> bytes | None:
        """A chunk from the files that are here, by its BLAKE3 digest; verified, or None."""

    def room(self, size: int) -> None:
        """So many bytes will be written. Raises StoreFull if there is no space for them."""


class Landing(Protocol):
    """A folder on an application's machine in which versions of a model land, each of them whole or not at all."""

    def begin(self, id: SnapshotId) -> AbstractContextManager[Incoming]:
        """Begin a version. Leaving the context without an exception puts it in place in one step; with one, or by a
        crash, nothing has happened. Raises StoreFull; Unsaved if files that are not rote's own would be lost."""
