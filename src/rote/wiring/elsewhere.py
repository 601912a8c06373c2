"""Working trees of a project besides the one that its user works in: for smoke runs, and for other revisions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rote.adapters.vcs import Git
from rote.adapters.worktree import lock
from rote.adapters.worktree.laying import Laying, without
from rote.adapters.worktree.places import delete
from rote.adapters.worktree.trees import REVISIONS, SMOKE
from rote.errors import Missing, UsageError
from rote.laws.pipeline import smoking
from rote.wiring.config import FILE
from rote.wiring.config import overrides as overriding
from rote.wiring.config.settings import LOCAL_FILE
from rote.wiring.parts import Wiring
from rote.words.ids import shown


class Elsewhere:
    """The other working trees of one project. The user's own is only read."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    # ---- smoke -------------------------------------------------------------------------------------------------

    @contextmanager
    def smoke(self, command: str, *, wait: bool) -> Iterator[Wiring]:
        """A tree with the project's files as they are now, and less data, until the context is left by the only process
        in it. Raises Locked, UsageError, RoteError."""
        if self._w.pipeline.dvc:
            raise UsageError(
                "stages of a dvc.yaml cannot say what they are content with in a smoke run",
                safe="nothing was done",
                next="rote import dvc, then `smoke` in rote.yaml",
            )
        root = os.path.join(self._w.root, SMOKE)
        os.makedirs(os.path.join(root, ".rote", "cache"), exist_ok=True)
        other = self._w.elsewhere(root)
        with other.workspace.lock(command, wait=wait, say=self._w.progress.say):
            self._lay(Laying(self._w.root, root))
            yield other

    def _lay(self, laying: Laying) -> None:
        pipeline, git = self._w.pipeline, self._w.git
        stages = pipeline.stages.values()
        made = {out.path for stage in stages for out in stage.outs}
        made |= {stage.checkpoints.path for stage in stages if stage.checkpoints}
        deps = {dep for stage in stages for dep in stage.deps}
        samples = smoking.samples(pipeline.stages)
        besides = made | {path for path, _ in self._w.workspace.pointers()} | samples.keys()
        if not git.present:  # then nothing else tells data from code
            besides |= {dep for dep in deps if os.path.isdir(os.path.join(self._w.root, dep))}
        laying.begin()
        laying.copy(without(_files(git) if git.present else laying.files(), besides))
        said = [*pipeline.files, *pipeline.named, LOCAL_FILE]
        said += [path for stage in stages for path in [*stage.locks, *(param.file for param in stage.params)]]
        laying.copy(without(said, made))
        for path, data in overriding.originals(self._w.root).items():
            laying.write(path, data)  # a run under way has overridden it, for itself alone
        for path in laying.environments():
            laying.link(path)
        frozen = {out.path for stage in stages if stage.frozen for out in stage.outs}
        laying.bring(sorted(frozen | set(without(deps, made | samples.keys()))))
        for path, wanted in sorted(samples.items()):
            if isinstance(wanted, int):
                laying.sample(path, wanted)
            elif os.path.exists(os.path.join(self._w.root, wanted)):
                laying.link(path, wanted)
            else:
                raise Missing(
                    f"the sample {shown(wanted)} of {shown(path)} is not there",
                    where=f"{FILE}: smoke.sample",
                    safe="nothing was done",
                    next=f"make it, or write how many files to take: sample: {{{path}: 100}}",
                )
        laying.end()

    # ---- revisions ---------------------------------------------------------------------------------------------

    @contextmanager
    def revision(self, rev: str, command: str, *, wait: bool) -> Iterator[tuple[Wiring, str]]:
        """A clean tree of the commit that `rev` names, with its data checked out, and the commit's id. It stays until
        `remove`. Raises Missing, UsageError, Locked."""
        commit = self._w.git.resolve(rev)
        folder = os.path.join(self._w.root, REVISIONS, commit[:16])
        with lock.held(f"{folder}.lock", command, wait=wait, say=self._w.progress.say):
            root = self._w.git.place(commit, folder)
            self._submodules(commit, folder)
            self._furnish(root, rev)
            other = self._w.elsewhere(root)
            other.data.checkout()
            yield other, commit

    def _submodules(self, commit: str, folder: str) -> None:
        if not os.path.exists(os.path.join(folder, ".gitmodules")):
            return
        from rote.adapters.vcs import submodules  # only where there are some

        left = submodules.lay(self._w.git.top(), commit, folder, delete)
        if left:
            self._w.progress.say(
                f"not there, because they were never initialized here: the submodules {', '.join(left)}"
                " (git submodule update --init)"
            )

    def _furnish(self, root: str, rev: str) -> None:
        """What git does not have, and a clone would be given: this machine's settings, and virtual environments."""
        if not any(os.path.exists(os.path.join(root, name)) for name in (FILE, "dvc.yaml")):
            raise UsageError(
                f"{shown(rev)} has no {FILE}, so there is nothing to run",
                safe="nothing was done",
                next="name a later revision: git log --oneline -- rote.yaml",
            )
        os.makedirs(os.path.join(root, ".rote", "cache"), exist_ok=True)
        laying = Laying(self._w.root, root)
        for path in [LOCAL_FILE, os.path.join(".dvc", "config.local")]:
            if not os.path.lexists(os.path.join(root, path)):
                laying.copy([path])
        for path in [*laying.environments(), os.path.join(".dvc", "cache")]:
            if not os.path.lexists(os.path.join(root, path)):
                laying.link(path)

    def remove(self, commit: str) -> None:
        """Take the tree of a commit away."""
        self._w.git.remove(os.path.join(self._w.root, REVISIONS, commit[:16]))


def _files(git: Git) -> Iterator[str]:
    """The files that git tracks, and new ones that it does not ignore; also those of submodules."""
    for path in git.ls_files(others=True):
        inner = os.path.join(git.root, path)
        if os.path.lexists(os.path.join(inner, ".git")):
            yield from (f"{path.rstrip('/')}/{file}" for file in _files(Git(inner)))
        else:
            yield path
