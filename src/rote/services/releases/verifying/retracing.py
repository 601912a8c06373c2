"""The files of a project as they were in a run: those of its commit, the data that its pointers pin, outs of stages."""

from __future__ import annotations

from collections.abc import Mapping

from rote.errors import Missing
from rote.laws.models import links
from rote.ports import Columns, Committed
from rote.services.data import identity
from rote.services.data.snapshots import Snapshots
from rote.words import pointer
from rote.words.encoding import digest_of
from rote.words.ids import Digest, SnapshotId
from rote.words.pointer import SUFFIX, Pointer
from rote.words.snapshot import FILE, SnapshotRef

_Row = tuple[int, bool, bytes]
_HIDDEN = "__pycache__"


class Unknowable(Exception):
    """What lay at a path cannot be told here; the text says why."""


class Retraced:
    """What lay where. `commit` is None where no commit is known; then only what was put in place is there."""

    def __init__(self, snapshots: Snapshots, committed: Committed | None, commit: str | None) -> None:
        self._snapshots = snapshots
        self._committed = committed
        self._commit = commit
        self._placed: dict[str, SnapshotRef | SnapshotId] = {}
        self._modes: Mapping[str, str] | None = None
        self._digests: dict[str, tuple[int, bytes]] = {}
        self._pointers: dict[str, Pointer] | None = None

    def place(self, path: str, content: SnapshotRef | SnapshotId) -> None:
        """From now on this lies at the path: an out, or data; only its id, where no store has it."""
        self._placed[path] = content

    @property
    def pointers(self) -> dict[str, Pointer]:
        """The pointers of the commit, by data path; none without a commit. Raises Missing if it is not here,
        ConfigError."""
        if self._pointers is None:
            found: Mapping[str, bytes] = {}
            if self._commit is not None:
                found = self._repository().read(
                    self._commit, lambda name: name.endswith(SUFFIX) and name != SUFFIX
                )
            self._pointers = {
                path.removesuffix(SUFFIX): pointer.parse(text.decode("utf-8", "replace"), path)
                for path, text in sorted(found.items())
            }
        return self._pointers

    def tracked(self, path: str) -> list[str]:
        """The files of the commit at or below a path."""
        return [name for name in self._files() if path in (name, ".") or name.startswith(path + "/")]

    def identity(self, path: str) -> SnapshotId | None:
        """The id of what lay at a path; None if nothing did. Raises Unknowable, and what reading raises."""
        known = self._placed.get(path)
        if known is not None:
            return known.id if isinstance(known, SnapshotRef) else known
        rows = self._rows(path)
        if not rows:
            return None
        single = "" in rows
        if single:
            rows = {FILE: rows[""]}
        paths = sorted(rows, key=str.encode)
        listed = [rows[path] for path in paths]
        columns = Columns(
            paths, [r[0] for r in listed], bytearray(r[1] for r in listed), [r[2] for r in listed]
        )
        return identity.of_rows([columns], single=single)

    def file(self, path: str) -> Digest | None:
        """The digest of the file that lay at a path; None if none did. Raises as `identity`."""
        row = self._rows(path).get("")
        return None if row is None else Digest(row[2].hex())

    def content(self, path: str) -> bytes | None:
        """The bytes of a file of the commit."""
        if self._commit is None or path not in self._files():
            return None
        return self._repository().read(self._commit, lambda name: name == path, below=path).get(path)

    def _rows(self, path: str) -> dict[str, _Row]:
        """Path below `path` (empty: `path` itself is a file) -> size, executable, digest."""
        above = next((p for p in self._placed if path.startswith(p + "/")), None)
        if above is not None:
            return self._of(above, path[len(above) + 1 :])
        rows = self._of_commit(path)
        for place in self._placed:
            if place == path:
                return self._of(place, "")
            if path == "." or place.startswith(path + "/"):
                name = place if path == "." else place[len(path) + 1 :]
                rows = {k: row for k, row in rows.items() if not links.overlaps(k, name)}
                rows |= {f"{name}/{k}" if k else name: row for k, row in self._of(place, "").items()}
        return rows

    def _of(self, place: str, below: str) -> dict[str, _Row]:
        """The rows of what was put at `place`, below a path in it."""
        ref = self._placed[place]
        if not isinstance(ref, SnapshotRef):
            raise Unknowable(f"no store has what lay at {place}")
        found = {}
        for batch in self._snapshots.columns(self._snapshots.record(ref)):
            for at, size, executable, digest in zip(
                batch.paths, batch.sizes, batch.executables, batch.digests, strict=True
            ):
                assert digest is not None  # a snapshot's rows have theirs
                row = (size, bool(executable), digest)
                if ref.single or at == below:
                    found[""] = row
                elif not below or at.startswith(below + "/"):
                    found[at[len(below) + 1 :] if below else at] = row
        return {} if ref.single and below else found

    def _files(self) -> Mapping[str, str]:
        if self._modes is None:
            if self._commit is None:
                self._modes = {}
                return self._modes
            try:
                self._modes = self._repository().modes(self._commit)
            except Missing as e:
                raise Unknowable(f"commit {self._commit[:7]} is not in this repository") from e
        return self._modes

    def _repository(self) -> Committed:
        if self._committed is None:
            raise Missing("this is no git repository")
        return self._committed

    def _of_commit(self, path: str) -> dict[str, _Row]:
        names = [n for n in self.tracked(path) if f"/{_HIDDEN}/" not in f"/{n}"]
        link = next((n for n in names if self._files()[n] == "link"), None)
        if link is not None:
            raise Unknowable(f"{link} is a link, and where it led is not known")
        self._read(names)
        found = {}
        for name in names:
            size, digest = self._digests[name]
            at = name if path == "." else name[len(path) + 1 :]
            found[at] = (size, self._files()[name] == "executable", digest)
        return found

    def _read(self, names: list[str]) -> None:
        wanted = {name for name in names if name not in self._digests}
        if wanted and self._commit is not None:
            for name, data in self._repository().read(self._commit, wanted.__contains__).items():
                self._digests[name] = (len(data), bytes.fromhex(digest_of(data)))
