"""The working trees of one project on this machine, and the note in each of the run that is made there."""

from __future__ import annotations

import os

import msgspec

from rote.errors import BadName
from rote.words.ids import RunId, run_id

SMOKE = os.path.join(".rote", "smoke")
REVISIONS = os.path.join(".rote", "revs")
"""Where trees of smoke runs and of other revisions lie, below the project's folder."""
_OWN = ".rote"
_NOTE = "running"


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was begun in a tree: its id, the number of its process (0: not said), and by which token the
    processes of its stages are found (empty: not said)."""

    run: RunId
    pid: int = 0
    token: str = ""


def trees(root: str) -> list[str]:
    """The project's folder `root`, and the folder in each of its other working trees that stands for it."""
    found = [root]
    folder = os.path.join(root, REVISIONS)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    if names:
        below = _below_repository(root)
        found += [os.path.normpath(os.path.join(folder, n, below)) for n in names if not n.endswith(".lock")]
    found += [os.path.join(tree, SMOKE) for tree in found]
    return [found[0], *(tree for tree in found[1:] if os.path.isdir(os.path.join(tree, _OWN)))]


def _below_repository(root: str) -> str:
    """Where the project lies in its git repository."""
    top = _top(root)
    return os.path.relpath(root, top) if top else "."


def _top(folder: str) -> str | None:
    """The folder of the git repository that a folder lies in."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def instead(root: str) -> list[tuple[str, str]]:
    """Of a tree that was laid out beside the user's: which folder stands for which, (theirs, this one), the outer
    first. Empty for the user's own."""
    found = []
    beyond, revision, inner = root.partition(os.sep + REVISIONS + os.sep)
    if revision:
        commit = inner.partition(os.sep)[0]
        found.append((_top(beyond) or beyond, os.path.join(beyond, REVISIONS, commit)))
    if root.endswith(os.sep + SMOKE):
        found.append((root[: -len(SMOKE) - 1], root))
    return found


def apart(root: str) -> str:
    """Of a tree of another revision: the user's tree, of which no code is to be read; empty for any other."""
    return next((theirs for theirs, ours in instead(root) if not ours.endswith(os.sep + SMOKE)), "")


def note(tree: str, begun: Begun) -> None:
    """Write down that a run begins in a tree. Raises OSError."""
    with open(os.path.join(tree, _OWN, _NOTE), "w", encoding="ascii") as f:
        f.write(f"{begun.run} {begun.pid} {begun.token}".rstrip() + "\n")


def begun(tree: str) -> Begun | None:
    """The run whose note lies in a tree: it is under way there, or was killed."""
    try:
        with open(os.path.join(tree, _OWN, _NOTE), encoding="ascii") as f:
            run, pid, token = [*f.read(200).split(), "", "", ""][:3]
        return Begun(run=run_id(run), pid=int(pid) if pid.isdigit() else 0, token=token)
    except (OSError, UnicodeDecodeError, BadName):
        return None


def over(tree: str, run: RunId) -> None:
    """Take the note away: this run has ended. The note of another one, which could not be settled yet, stays. Raises
    OSError."""
    noted = begun(tree)
    if noted is not None and noted.run == run:
        os.unlink(os.path.join(tree, _OWN, _NOTE))
