"""What runs that were killed have left in the working trees of a project: it is cleared away, and said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from rote.adapters.worktree import lock, trees
from rote.errors import Locked, RoteError, StoreError
from rote.wiring.config.root import FOLDER
from rote.wiring.parts import Wiring

LOST = "rote was killed, or lost its store, before the run ended"
_JOURNAL = os.path.join(".rote", "overrides.json")
"""The file of rote.wiring.config.overrides, which is loaded only where it lies."""
_NAMED = 3
"""So many processes that were ended are named."""


class Leftovers:
    """What killed runs have left in one project. Everything that is done is said."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring
        self._say = wiring.progress.say

    def clear(self, *, held: bool = False) -> bool:
        """Clear every working tree in which nobody is at work; `held`: this one's lock is held. What cannot be cleared
        now (the store does not answer, the folder may not be written) stays, and is tried again by the next command.
        True if there was something in this tree."""
        found = _any(self._w.root)
        for tree in trees.trees(self._w.root):
            own = tree == self._w.root
            if not _any(tree):
                continue
            if not (held and own) and lock.foreign(os.path.join(tree, FOLDER, "lock")):
                continue  # whoever works there next holds its lock and clears it
            other = self._w if own else self._w.elsewhere(tree)
            try:
                with nullcontext() if held and own else other.workspace.lock("rote", wait=False):
                    self._clear(other)
            except Locked:
                continue  # a run is at work there: nothing of it is left over
            except (RoteError, OSError) as e:
                self._say(f"what a killed run left in {_shown(tree)} stays there for now: {e}")
        return found

    def here(self) -> None:
        """Clear this working tree, whose lock is held. Raises Corrupt, ConfigError, RoteError."""
        if _any(self._w.root):
            self._clear(self._w)

    def _clear(self, there: Wiring) -> None:
        left = trees.begun(there.root)
        if left is not None:
            # First of all: what still runs may write params files and outs.
            self._ended(left)
        from rote.wiring.config import overrides as overriding  # only where a run was killed

        for line in overriding.restore(there.root):
            self._say(f"a killed run had overridden params: {line}")
        if left is None:
            return
        where = (
            "" if there.root == self._w.root else f" in {_shown(os.path.relpath(there.root, self._w.root))}"
        )
        try:
            buried = there.runs.bury(left.run, LOST)
        except StoreError as e:
            self._say(f"run {left.run} was killed{where}, and goes on counting as running for now: {e}")
            return
        if buried:
            self._say(
                f"run {left.run} was killed{where}; it is recorded as stopped, and"
                f" `rote resume {left.run}` goes on with it"
            )
        with suppress(OSError):
            trees.over(there.root, left.run)

    def _ended(self, left: trees.Begun) -> None:
        """End what its stages have left running."""
        if not left.token:
            return
        from rote.adapters.executors import census  # only where a run was killed

        found = census.remains(left.token)
        gone = census.end(left.token)
        if found:
            names = [f"`{line[:60]}` ({pid})" for pid, line in list(found.items())[:_NAMED]]
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            self._say(f"ended what the killed run {left.run} had left running: {', '.join(names)}{more}")
        if not gone:
            self._say(
                f"something that the killed run {left.run} left could not be ended: it waits for a disk"
            )


def _any(tree: str) -> bool:
    return trees.begun(tree) is not None or os.path.lexists(os.path.join(tree, _JOURNAL))


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


@contextmanager
def working(wiring: Wiring, command: str) -> Iterator[None]:
    """Hold the lock of the working tree for a command, whoever has it is waited for; what killed runs have left is
    cleared away first."""
    with wiring.locked(command):
        Leftovers(wiring).clear(held=True)
        yield
