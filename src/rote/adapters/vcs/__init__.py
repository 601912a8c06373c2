"""Git, asked in as few processes as possible. The only module that starts git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from rote.errors import Missing, RoteError, UsageError
from rote.laws.pipeline.redaction import redact
from rote.words.ids import shown
from rote.words.run import Commit

DIFF_CAP = 256 * 1024
"""Bytes of a diff that are kept."""
_MODES = {b"100644": "file", b"100755": "executable", b"120000": "link"}
# What the user's or a hostile repository's configuration could make git do besides answering.
CALM = (
    "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "diff.external=", "-c", "color.ui=false",
    "-c", "core.pager=cat", "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false",
    "-c", "status.renames=false",
)  # fmt: skip
_HOOKLESS = ("-c", f"core.hooksPath={os.devnull}", "-c", "advice.detachedHead=false")
_DIFF = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


class GitTag(msgspec.Struct, frozen=True):
    """A tag: its name, the id of what it names (an annotated tag is an object of its own), and the commit."""

    name: str
    id: str
    commit: str


class Git:
    """The repository that the folder `root` lies in, if there is one. Paths are relative to `root`, with `/`; a
    name that is not UTF-8 comes with surrogate escapes, as from the os module."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._git_dir = _find_git_dir(self.root)

    @property
    def present(self) -> bool:
        """Whether there is a repository."""
        return self._git_dir is not None

    @property
    def shallow(self) -> bool:
        """Whether the repository holds only a part of its history."""
        return self._git_dir is not None and os.path.exists(os.path.join(_common(self._git_dir), "shallow"))

    def commit(self) -> Commit:
        """Where the working tree stands, and its uncommitted changes to tracked files. One process, two if there are
        changes; none without a repository. Raises RoteError."""
        if self._git_dir is None:
            return Commit()
        out = self._run(
            "status",
            "--porcelain=v2",
            "--branch",
            "-z",
            "--untracked-files=no",
            "--ignore-submodules=untracked",
        )
        head: dict[str, str] = {}
        dirty = False
        for record in out.split(b"\0"):
            if record.startswith(b"# branch."):
                key, _, value = record[9:].decode("utf-8", "replace").partition(" ")
                head[key] = value
            elif record[:1] in (b"1", b"2", b"u"):
                dirty = True
        id = head.get("oid")
        id = None if id in (None, "(initial)") else id
        branch = head.get("head")
        diff, cut = self._diff(id) if dirty else ("", False)
        return Commit(
            id=id,
            branch=None if branch == "(detached)" else branch,
            dirty=dirty,
            diff=diff,
            diff_cut=cut,
            shallow=self.shallow,
        )

    def ls_files(self, paths: Sequence[str] = (), *, others: bool = False) -> list[str]:
        """Tracked files below `root`, or those of `paths` (files or folders, taken literally); with `others` also those
        that are neither tracked nor ignored."""
        if self._git_dir is None:
            return []
        kinds = ("--cached", "--others", "--exclude-standard") if others else ("--cached",)
        out = self._run("--literal-pathspecs", "ls-files", "-z", *kinds, "--", *paths)
        return sorted({os.fsdecode(name) for name in out.split(b"\0") if name})

    def is_ignored(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that git ignores."""
        asked = [os.fsencode(path) for path in paths]
        if self._git_dir is None or not asked:
            return set()
        out = self._run("check-ignore", "-z", "--stdin", input=b"\0".join(asked) + b"\0", good=(0, 1))
        return {os.fsdecode(name) for name in out.split(b"\0") if name}

    def resolve(self, rev: str) -> str:
        """The id of the commit that `rev` names. Raises Missing, UsageError."""
        self._must_have_repository(rev)
        out = self._run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", good=(0, 1, 128)
        )
        if not out.strip():
            raise self._no_rev(rev)
        return out.decode("ascii").strip()

    def show(self, rev: str, path: str) -> bytes:
        """The content of a file at a commit. Raises Missing (no such commit; no such file in it), UsageError."""
        found = self.read(rev, lambda name: name == path, below=path)
        if path not in found:
            raise Missing(
                f"there is no file {shown(path)} in {rev}", next=f"git ls-tree -r --name-only {rev}"
            )
        return found[path]

    def read(self, rev: str, wanted: Callable[[str], bool], *, below: str = "") -> dict[str, bytes]:
        """The files of a commit below `root` (and below `below`) whose path is `wanted`, in three
        processes however many they are. Links and submodules are left out. Raises Missing, UsageError."""
        ids = {
            name: id
            for mode, id, name in self._listed(rev, below)
            if mode in (b"100644", b"100755") and wanted(name)
        }
        if not ids:
            return {}
        blobs = self._run("cat-file", "--batch", input=b"".join(id + b"\n" for id in ids.values()))
        return dict(zip(ids, _blobs(blobs, len(ids)), strict=True))

    def modes(self, rev: str) -> dict[str, str]:
        """Every file of a commit below `root` -> what it is: `file`, `executable` or `link`; submodules are left out.
        Two processes. Raises Missing, UsageError."""
        return {name: _MODES[mode] for mode, _, name in self._listed(rev, "") if mode in _MODES}

    def _listed(self, rev: str, below: str) -> Iterator[tuple[bytes, bytes, str]]:
        """(mode, object id, path) of every file of a commit."""
        commit = self.resolve(rev)
        scope = ("--", below) if below else ()
        for line in self._run("--literal-pathspecs", "ls-tree", "-r", "-z", commit, *scope).split(b"\0"):
            about, _, name = line.partition(b"\t")
            fields = about.split()
            if len(fields) == 3:
                yield fields[0], fields[2], os.fsdecode(name)

    def ever(self, suffix: str) -> list[bytes]:
        """The contents that files whose name ends with `suffix` have or had, anywhere in the repository, in any commit
        that a branch, a tag, a remote's branch, the stash or the checkout leads to. Each content once, in three
        processes at most. Raises RoteError."""
        if self._git_dir is None:
            return []
        head = self._run("rev-parse", "--verify", "--quiet", "HEAD", good=(0, 1, 128)).split()
        start = [head[0].decode("ascii")] if head else []
        out = self._run(
            "log", "--all", *start, "--format=", "--raw", "-z", "-m", "--root", "--no-abbrev", "--no-renames",
            "--diff-filter=AMT", "--", f":(top,glob)**/*{suffix}",
        )  # fmt: skip
        ids: dict[bytes, None] = {}
        for field in out.split(b"\0"):
            about = field.strip().split()
            if field.strip().startswith(b":") and len(about) == 5 and about[1] in (b"100644", b"100755"):
                ids[about[3]] = None
        if not ids:
            return []
        blobs = self._run("cat-file", "--batch", input=b"".join(id + b"\n" for id in ids))
        return list(_blobs(blobs, len(ids)))

    def place(self, rev: str, folder: str) -> str:
        """Lay the commit `rev` out in the folder `folder`, which is a working tree of this repository then, clean; one
        that is there already is used again, and keeps what is ignored. No hook is run. Returns the folder in it that
        `root` is in this one. Raises Missing, UsageError, RoteError."""
        commit = self.resolve(rev)
        if os.path.exists(os.path.join(folder, ".git")):
            there = Git(folder)
            there._run(*_HOOKLESS, "checkout", "--quiet", "--force", "--detach", commit)
            there._run("clean", "--quiet", "-ffd")
        else:
            self._run("worktree", "prune")
            self._run(*_HOOKLESS, "worktree", "add", "--quiet", "--force", "--detach", folder, commit)
        below = self._run("rev-parse", "--show-prefix").rstrip(b"\n")
        return os.path.normpath(os.path.join(folder, os.fsdecode(below)))

    def top(self) -> str:
        """The folder of the whole working tree that `root` lies in. Raises RoteError."""
        return os.fsdecode(self._run("rev-parse", "--show-toplevel").rstrip(b"\n"))

    def remove(self, folder: str) -> None:
        """Take away a working tree that `place` made, with all that is in it. Raises RoteError."""
        self._run("worktree", "remove", "--force", "--force", folder)

    def tags(self) -> list[GitTag]:
        """Every tag that leads to a commit, in the order in which they were made. One process."""
        if self._git_dir is None:
            return []
        form = "%(objectname)%00%(objecttype)%00%(*objectname)%00%(*objecttype)%00%(refname)"
        out = self._run("for-each-ref", "--sort=creatordate", f"--format={form}", "refs/tags/")
        found = []
        for line in out.splitlines():
            id, kind, inner, inner_kind, ref = line.split(b"\0", 4)
            commit = id if kind == b"commit" else inner if inner_kind == b"commit" else b""
            name = ref.removeprefix(b"refs/tags/").decode("utf-8", "surrogateescape")
            if commit:
                found.append(GitTag(name=name, id=id.decode("ascii"), commit=commit.decode("ascii")))
        return found

    def changed(self, old: str, new: str) -> list[str] | None:
        """The paths below `root` that differ between two commits; None if one of them is not here."""
        self._must_have_repository(old)
        out = self._run(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--relative", "--end-of-options", old, new,
            good=(0, 128),
        )  # fmt: skip
        if not out and old != new and not self._both(old, new):
            return None
        return [os.fsdecode(name) for name in out.split(b"\0") if name]

    def _both(self, *commits: str) -> bool:
        asked = b"".join(commit.encode("ascii") + b"\n" for commit in commits)
        told = self._run("cat-file", "--batch-check=%(objecttype)", input=asked).split()
        return told == [b"commit"] * len(commits)

    def origin(self) -> str:
        """The address of the remote `origin`, without secrets; empty if there is none."""
        if self._git_dir is None:
            return ""
        out = self._run("config", "--get", "remote.origin.url", good=(0, 1))
        return redact(out.decode("utf-8", "replace").strip())

    def _must_have_repository(self, rev: str) -> None:
        if self._git_dir is None:
            raise UsageError(
                f"{shown(rev)} cannot be looked up: this is no git repository",
                where=self.root,
                next="git init, and commit what you want to come back to",
            )
        if not rev or rev.startswith("-") or any(not c.isprintable() for c in rev):
            raise UsageError(f"not a revision: {shown(rev)}")

    def _no_rev(self, rev: str) -> Missing:
        if self.shallow:
            return Missing(
                f"there is no revision {shown(rev)} in this shallow clone, which holds only a part of the history",
                where=self.root,
                next="git fetch --unshallow",
            )
        if (
            rev.startswith("HEAD")
            and not self._run("rev-parse", "--verify", "--quiet", "HEAD", good=(0, 1)).strip()
        ):
            return Missing(
                "there is no commit yet",
                where=self.root,
                next='git add --all && git commit -m "The beginning"',
            )
        return Missing(f"there is no revision {shown(rev)}", where=self.root, next="git log --oneline")

    def _diff(self, commit: str | None) -> tuple[str, bool]:
        """The changes since the commit, and whether there was more than the cap."""
        if commit is None:
            # before the first commit: everything in the index is new
            commit = self._run("hash-object", "-t", "tree", "--stdin", input=b"").decode("ascii").strip()
        with self._start("diff", *_DIFF, "--ignore-submodules=untracked", commit, "--") as process:
            assert process.stdout is not None
            data = process.stdout.read(DIFF_CAP + 1)
            cut = len(data) > DIFF_CAP
            if cut:
                process.kill()
        text = data[:DIFF_CAP].decode("utf-8", "replace")
        while len(text.encode("utf-8")) > DIFF_CAP:
            # bytes that are not UTF-8 grow when they are replaced
            text = text[: -max(1, (len(text.encode("utf-8")) - DIFF_CAP) // 3)]
            cut = True
        return text, cut

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["git", *CALM, *words],
                cwd=self.root,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if words[0] == "diff" else subprocess.PIPE,
            )
        except FileNotFoundError as e:
            raise RoteError(
                "this is a git repository, but there is no git to ask", where=self.root, next="install git"
            ) from e
        except OSError as e:
            raise RoteError(f"git cannot be started: {e.strerror}", where=self.root) from e

    def _run(self, *words: str, input: bytes = b"", good: tuple[int, ...] = (0,)) -> bytes:
        with self._start(*words) as process:
            out, err = process.communicate(input)
        if process.returncode not in good:
            said = (
                " ".join(redact(err.decode("utf-8", "replace")).split()) or f"exit code {process.returncode}"
            )
            verb = next(w for w in words if not w.startswith("-"))
            raise RoteError(
                f"git {verb} failed: {said[:500]}", where=self.root, next=_advice(said, self.root)
            )
        return out


def _advice(said: str, root: str) -> str:
    if "dubious ownership" in said:
        return f"git config --global --add safe.directory {root}, if you trust this repository"
    return "git status"


def environment() -> dict[str, str]:
    """Ours without what would make git look at another repository, run other programs or speak another language."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # a test or a service may keep its configuration apart; these name files only, and cannot redirect the repository
    for key in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"):
        if key in os.environ:
            env[key] = os.environ[key]
    # reading must not wait for, or take, the index's lock
    env.update(
        GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", GIT_NO_REPLACE_OBJECTS="1", LC_ALL="C", LANGUAGE=""
    )
    return env


def _find_git_dir(root: str) -> str | None:
    """The git folder of the repository that `root` lies in, found without a process."""
    folder = root
    while True:
        place = os.path.join(folder, ".git")
        if os.path.isdir(place):
            return place if os.path.exists(os.path.join(place, "HEAD")) else None
        if os.path.isfile(place):
            with open(place, encoding="utf-8", errors="surrogateescape") as file:
                line = file.readline().rstrip("\n")
            if line.startswith("gitdir: "):
                return os.path.normpath(os.path.join(folder, line[len("gitdir: ") :]))
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _common(git_dir: str) -> str:
    """Where a worktree's git folder keeps what all worktrees share."""
    try:
        with open(os.path.join(git_dir, "commondir"), encoding="utf-8", errors="surrogateescape") as file:
            return os.path.normpath(os.path.join(git_dir, file.read().strip()))
    except OSError:
        return git_dir


def _blobs(out: bytes, count: int) -> Iterable[bytes]:
    at = 0
    for _ in range(count):
        end = out.index(b"\n", at)
        fields = out[at:end].split()
        if fields[1] == b"missing":
            raise Missing(f"git does not hold the object {fields[0].decode()}", next="git fetch --refetch")
        size = int(fields[2])
        yield out[end + 1 : end + 1 + size]
        at = end + size + 2
