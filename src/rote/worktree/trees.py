"""The working trees of one project on this machine, and the note in each of the run that is made there."""

from __future__ import annotations

import os

import msgspec

from rote.errors import BadName
from rote.ids import RunId, run_id

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
    folder = root
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return "."
        folder = above
    return os.path.relpath(root, folder)


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


def over(tree: str) -> None:
    """Take the note away: the run has ended. Raises OSError."""
    os.unlink(os.path.join(tree, _OWN, _NOTE))
