"""Data that DVC pins, and outs that it knows: how they stand, and bringing them from DVC's cache and remotes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from rote.errors import BadPath, Missing
from rote.ports import Progress, Workspace
from rote.ports.foreign import ForeignRecords, ForeignSums
from rote.services.data.bringing import Brought
from rote.services.data.data import DataStatus
from rote.services.runs.taking import Taking
from rote.words.foreign import Mark, Pinned
from rote.words.ids import Digest, SnapshotId
from rote.words.pipeline import Stage
from rote.words.pointer import Pointer

SUFFIX = ".dvc"


class Pinning:
    """The pinned data of one project. `pins` reads what is pinned, the first time it is asked for."""

    def __init__(
        self,
        workspace: Workspace,
        taking: Taking,
        *,
        pins: Callable[[], list[Pinned]],
        sums: ForeignSums,
        records: ForeignRecords,
        stages: Mapping[str, Stage],
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        self._read = pins
        self._known: list[Pinned] | None = None
        self._sums = sums
        self._taking = taking
        self._records = records
        self._stages = stages
        self._progress = progress

    def pins(self) -> list[Pinned]:
        """What is pinned, by path. Raises ConfigError."""
        if self._known is None:
            self._known = self._read()
        return self._known

    def status(self) -> list[DataStatus]:
        """How each pinned path stands to its pin."""
        found = [self._status(pinned) for pinned in self.pins()]
        self._sums.save()
        return found

    def _status(self, pinned: Pinned) -> DataStatus:
        pointer = Pointer(SnapshotId(Digest("")), pinned.files, pinned.size, not pinned.mark.folder)
        try:
            here = self._sums.of(pinned.path, legacy=pinned.mark.legacy)
        except BadPath as e:
            return DataStatus(pinned.path, pointer, "refused", problem=e.what)
        if here is None:
            return DataStatus(pinned.path, pointer, "absent")
        return DataStatus(pinned.path, pointer, "unchanged" if here == pinned.mark.md5 else "changed")

    def takes(self, path: str) -> bool:
        """Whether the path is pinned, or an out that DVC knows; or a folder that holds such."""
        plain = path.removesuffix(SUFFIX)
        known = [pinned.path for pinned in self.pins()] + [out for out, _ in self._outs()]
        return any(plain == one or one.startswith(f"{path}/") for one in known)

    def checkout(
        self, paths: Sequence[str] | None = None, *, force: bool = False
    ) -> list[tuple[str, Brought]]:
        """Bring pinned data and outs that DVC knows: all, or those of `paths`. Without `paths`, outs that neither the
        cache nor a remote has are left to `rote run`. Raises Missing, Unsaved, Corrupt, StoreUnavailable."""
        found = []
        for pinned in self.pins():
            if paths is None or _named(pinned.path, paths):
                brought = self._taking.bring(pinned.path, pinned.mark, remote=pinned.remote, force=force)
                found.append((pinned.path, brought))
        for path, mark in self._outs():
            if paths is None or _named(path, paths):
                try:
                    found.append((path, self._taking.bring(path, mark, force=force)))
                except Missing:
                    if paths is not None:
                        raise
        self._sums.save()
        return found

    def _outs(self) -> list[tuple[str, Mark]]:
        """The outs of stages as dvc.lock has them, but for those that git keeps."""
        found = []
        for stage in self._stages.values():
            made = self._records.lock(stage)
            found += [(out.path, made.outs[out.path]) for out in stage.outs if made and out.path in made.outs]
        return found

    def absent(self, deps: Collection[str]) -> dict[str, Pinned]:
        """What is pinned, is needed by one of `deps`, and is not here."""
        return {
            pinned.path: pinned
            for pinned in self.pins()
            if any(_touch(pinned.path, dep) for dep in deps) and self._workspace.kind(pinned.path) is None
        }

    def bring_absent(self, deps: Collection[str]) -> None:
        """Bring what is `absent`. Raises Missing, Corrupt, StoreUnavailable."""
        for path, pinned in self.absent(deps).items():
            self._progress.say(f"{path}: brought, as {pinned.at.file} pins it")
            self._taking.bring(path, pinned.mark, remote=pinned.remote)


def _named(path: str, paths: Sequence[str]) -> bool:
    return any(path == one.removesuffix(SUFFIX) or path.startswith(f"{one}/") for one in paths)


def _touch(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")
