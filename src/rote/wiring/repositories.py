"""Another project, at a revision: what it has at a path, and where the bytes are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import msgspec

from rote.adapters.stores import locations
from rote.adapters.vcs import Git
from rote.adapters.vcs.clones import Clone
from rote.errors import BadName, ConfigError, Missing, NotAProject, RoteError, UsageError
from rote.laws.models import versions
from rote.ports import Progress, Sink
from rote.wiring import repoaddress
from rote.wiring.config import params, reading
from rote.wiring.config.root import find as find_root
from rote.wiring.parts import Wiring
from rote.wiring.repoaddress import RepoAddress
from rote.words import pointer
from rote.words.encoding import digest_of
from rote.words.ids import Digest, nearest, shown
from rote.words.pointer import SUFFIX, Pointer
from rote.words.run import FINISHED, Run
from rote.words.snapshot import FILE, SnapshotRef
from rote.words.version import Version


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A file: `path` below what was asked for (empty: it is that itself), and its bytes, or where they lie."""

    path: str
    size: int
    executable: bool
    digest: Digest
    data: bytes | None = None
    ref: SnapshotRef | None = None
    inner: str = ""


class Holding(msgspec.Struct, frozen=True):
    """What lies at a path: its files in order, and whether it is a single one."""

    rows: list[Row]
    single: bool


class Repository:
    """A project elsewhere. What is asked of it is asked of git and of its store."""

    def __init__(
        self, address: RepoAddress, rev: str | None, *, store: str | None, progress: Progress
    ) -> None:
        """`rev` is a branch, tag or commit, or MODEL@VERSION; None: what the repository shows first. `store` goes
        before the store that the project names."""
        self.address = address
        self._rev = rev or None
        self._asked_store = store
        self._progress = progress
        self._version: Version | None = None

    @staticmethod
    def named(text: str, rev: str | None, *, cwd: str, store: str | None, progress: Progress) -> Repository:
        """The project at a git URL, or in a folder. Raises UsageError, NotAProject."""
        return Repository(addressed(text, cwd), rev, store=store, progress=progress)

    @property
    def at(self) -> str:
        """What the revision is: a commit, or MODEL@VERSION; empty where there is neither."""
        commit = self._commit
        if self._version is not None:
            return f"{self._version.model}@{self._version.version}"
        return commit or ""

    def find(self, path: str) -> Holding:
        """What lies at a path of the project: a file of the version, data, a file that git tracks, or an out of a run
        of the commit. Raises Missing with what there is."""
        path = repoaddress.checked(path)
        commit = self._commit  # also finds the version
        if self._version is not None:
            rows = list(self._within(self._version.snapshot, "" if path == "." else path))
            if rows:
                return _holding(rows)
        rows = list(self._committed(path, commit))
        rows = rows or list(self._made(path, commit))
        if not rows:
            raise self._nothing(path)
        return _holding(rows)

    def write(self, rows: Iterable[Row], sink: Sink) -> None:
        """Write files, verified, each under its path (`file` for a single one). Raises NotFound, Corrupt."""
        groups: dict[SnapshotRef, dict[str, Row]] = {}
        for row in rows:
            if row.ref is not None:
                groups.setdefault(row.ref, {})[row.inner] = row
            else:
                data = row.data or b""
                sink.file(
                    row.path or FILE,
                    row.size,
                    row.executable,
                    bytes.fromhex(row.digest),
                    [data] if data else [],
                )
        for ref, wanted in groups.items():
            record = self._w.snapshots.record(ref)
            self._w.snapshots.restore(
                record, _Renamed(sink, wanted), only=set(wanted), progress=self._progress
            )

    def read(self, row: Row) -> Iterator[bytes]:
        """The bytes of one file, verified. Raises NotFound, Corrupt."""
        if row.ref is None:
            return iter([row.data] if row.data else [])
        return self._w.snapshots.read(self._w.snapshots.record(row.ref), row.inner)

    def close(self) -> None:
        """Write down what its store was asked."""
        if "_w" in self.__dict__:
            self._w.close("rote get")

    # ---- where things are --------------------------------------------------------------------------------------

    @cached_property
    def _clone(self) -> Clone | None:
        folder = self.address.folder
        if folder is not None and os.path.isdir(folder):
            bare = os.path.exists(os.path.join(folder, "HEAD")) and not Git(folder).present
            if not bare:
                return None
        return Clone(os.path.join(_caches(), digest_of(self.address.url.encode())[:24]), self.address.url)

    @cached_property
    def _root(self) -> str:
        """The folder that git is asked in."""
        if self._clone is None:
            assert self.address.folder is not None
            return os.path.join(self.address.folder, self.address.sub)
        return os.path.join(self._clone.folder, self.address.sub)

    @cached_property
    def _commit(self) -> str | None:
        """The commit; None in a folder without git. Finds the version as well, if `rev` names one."""
        try:
            return self._resolved(self._rev)
        except (Missing, UsageError) as e:
            if self._rev is None or "@" not in self._rev:
                raise
            try:
                model, ref = versions.named(self._rev)
                self._version = self._w.registry.get(model, ref)
            except (Missing, BadName, UsageError, ConfigError) as other:
                raise Missing(
                    f"{shown(self._rev)} is neither a revision nor a version: {e.what}; {other.what}",
                    where=self.address.url,
                    next=other.next,
                ) from e
            commit = self._version.commit
            return self._resolved(commit) if commit and self._has(commit) else None

    def _has(self, commit: str) -> bool:
        try:
            self._resolved(commit)
        except RoteError:
            return False
        return True

    def _resolved(self, rev: str | None) -> str | None:
        if self._clone is not None:
            commit = self._clone.bring(rev)
            os.makedirs(self._root, exist_ok=True)
            return commit
        git = Git(self._root)
        if not git.present:
            if rev is not None and "@" not in rev:
                raise UsageError(
                    f"{shown(rev)} cannot be looked up: this is no git repository", where=self._root
                )
            if rev is not None:
                raise Missing(f"there is no revision {shown(rev)}")
            return None
        return git.resolve(rev or "HEAD")

    @cached_property
    def _w(self) -> Wiring:
        """The project's parts. Nothing is written into its folder."""
        os.makedirs(self._root, exist_ok=True)
        wiring = Wiring(self._root, store=self._store(), progress=self._progress, cwd=self._root)
        wiring.cache = os.path.join(_caches(), digest_of(self._root.encode())[:24] + ".cache")
        os.makedirs(wiring.cache, exist_ok=True)
        return wiring

    def _store(self) -> str:
        """The address of the project's store. Raises UsageError if no other machine can reach it."""
        if self._asked_store is not None:
            return self._asked_store
        local = {} if self._clone is not None else self._said("rote.local.yaml", None)
        said = local.get("store") or self._said("rote.yaml", self._known_commit()).get("store")
        url = str(said) if said else os.path.join(".rote", "store")
        if locations.scheme_of(url) is not None:
            return url
        if self._clone is not None and not os.path.isdir(
            os.path.expanduser(url) if os.path.isabs(url) else ""
        ):
            raise UsageError(
                "the store of this project is a folder on the machine where it was made"
                + ("" if said else ": its rote.yaml names no store"),
                where=self.address.url,
                next="say where the store is: --repo-store URL; or name a store that all reach in its rote.yaml",
            )
        return os.path.normpath(os.path.join(self._root, os.path.expanduser(url)))

    def _known_commit(self) -> str | None:
        """The commit to read rote.yaml from; while a version is sought, the one that the repository shows first."""
        if "_commit" in self.__dict__:
            return self._commit
        return self._resolved(None)

    def _said(self, file: str, commit: str | None) -> Mapping[str, object]:
        if commit is not None:
            try:
                data: bytes | None = Git(self._root).show(commit, file)
            except Missing:
                data = None
        else:
            data = reading.read_bytes(self._root, file)
        return params.decode(reading.decode(data, file), file) if data is not None else {}

    # ---- what lies there ---------------------------------------------------------------------------------------

    @cached_property
    def _pointers(self) -> Mapping[str, Pointer]:
        if self._commit is None:
            return {} if self._version is not None else dict(self._w.workspace.pointers())
        found = Git(self._root).read(self._commit, lambda name: name.endswith(SUFFIX) and name != SUFFIX)
        return {
            path.removesuffix(SUFFIX): pointer.parse(text.decode("utf-8", "replace"), path)
            for path, text in sorted(found.items())
        }

    def _committed(self, path: str, commit: str | None) -> Iterator[Row]:
        """Data that a pointer pins, and files that git tracks."""
        above = next((p for p in self._pointers if path == p or path.startswith(p + "/")), None)
        if above is not None:
            ref = self._w.snapshots.find(self._pointers[above].snapshot)
            yield from self._within(ref, path[len(above) + 1 :])
            return
        pinned = [p for p in self._pointers if path == "." or p.startswith(path + "/")]
        for name in pinned:
            ref = self._w.snapshots.find(self._pointers[name].snapshot)
            below = name if path == "." else name[len(path) + 1 :]
            for row in self._within(ref, ""):
                yield msgspec.structs.replace(row, path=f"{below}/{row.path}" if row.path else below)
        for name, data, executable in self._files(path, commit):
            if name.removesuffix(SUFFIX) in pinned and name.endswith(SUFFIX):
                continue
            at = name if path == "." else name[len(path) + 1 :]
            yield Row(path=at, size=len(data), executable=executable, digest=digest_of(data), data=data)

    def _files(self, path: str, commit: str | None) -> Iterator[tuple[str, bytes, bool]]:
        if commit is None:
            return
        git = Git(self._root)
        modes = git.modes(commit)
        found = git.read(
            commit,
            lambda n: path in (".", n) or n.startswith(path + "/"),
            below="" if path == "." else path,
        )
        for name, data in found.items():
            yield name, data, modes.get(name) == "executable"

    def _within(self, ref: SnapshotRef, below: str) -> Iterator[Row]:
        """The files of a snapshot at or below a path in it."""
        for entry in self._w.snapshots.entries(self._w.snapshots.record(ref)):
            if ref.single:
                at = None if below else ""
            elif not below:
                at = entry.path
            else:
                at = "" if entry.path == below else None
                at = entry.path[len(below) + 1 :] if entry.path.startswith(below + "/") else at
            if at is not None:
                yield Row(
                    path=at,
                    size=entry.size,
                    executable=entry.executable,
                    digest=Digest(entry.digest.hex()),
                    ref=ref,
                    inner=entry.path,
                )

    def _made(self, path: str, commit: str | None) -> Iterator[Row]:
        """Outs of the newest run of the commit, or of the version's run."""
        for out, ref in self._outs(commit).items():
            if path == out or path.startswith(out + "/"):
                yield from self._within(ref, path[len(out) + 1 :])
            elif path == "." or out.startswith(path + "/"):
                below = out if path == "." else out[len(path) + 1 :]
                for row in self._within(ref, ""):
                    yield msgspec.structs.replace(row, path=f"{below}/{row.path}" if row.path else below)

    def _outs(self, commit: str | None) -> dict[str, SnapshotRef]:
        run = self._run(commit)
        return {p: ref for stage in run.stages for p, ref in stage.outs.items()} if run is not None else {}

    def _run(self, commit: str | None) -> Run | None:
        if self._version is not None:
            return self._w.runs.get(self._version.run) if self._version.run else None
        if commit is None:
            return None
        self._w.catalogue.sync()
        where = f"commit = '{commit}' and dirty = false and state = '{FINISHED}'"
        found = self._w.catalogue.runs(where, columns=["id"], limit=1).rows
        return self._w.runs.get(self._w.runs.resolve(str(found[0][0]))) if found else None

    def _nothing(self, path: str) -> Missing:
        known = [*self._pointers]
        try:
            known += self._outs(self._commit)
        except RoteError:
            pass  # it is only a hint
        if self._version is not None:
            known += [file.path for file in self._version.files]
        if self._commit is not None:
            known += Git(self._root).modes(self._commit)
        meant = nearest(path, known)
        outs = (
            "" if self._version is not None else "; outs are those of a finished run of exactly that commit"
        )
        return Missing(
            f"{shown(path, 200)} is no data, no file in git, and no out at {self.at[:12] or 'this folder'}{outs}",
            where=self.address.url,
            next=f"did you mean {meant}?"
            if meant
            else "--rev MODEL@VERSION takes it out of a version, --rev COMMIT out of the run of another commit",
        )


def addressed(text: str, cwd: str) -> RepoAddress:
    """The address of a project, as a person types it: a folder in or below it, or a git URL. Raises Missing,
    UsageError."""
    folder = os.path.join(cwd, os.path.expanduser(text))
    if os.path.isdir(folder):
        try:
            return repoaddress.of_folder(find_root(folder))
        except NotAProject:
            return repoaddress.of_folder(os.path.abspath(folder))
    if ":" in text:
        return repoaddress.parse(text)
    raise Missing(f"there is no folder {shown(text, 200)}", next="name a folder, or a git URL")


class _Renamed:
    """A ports.Sink that gives files the names under which they are wanted."""

    def __init__(self, sink: Sink, wanted: Mapping[str, Row]) -> None:
        self._sink = sink
        self._wanted = wanted

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        self._sink.file(self._wanted[path].path or FILE, size, executable, digest, parts)


def _holding(rows: list[Row]) -> Holding:
    return Holding(sorted(rows, key=lambda row: row.path.encode()), len(rows) == 1 and not rows[0].path)


def _caches() -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "rote", "repositories")
