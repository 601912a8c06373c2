"""Checkpoints of a stage while it runs: brought back before it starts, taken while it works and once it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from rote.errors import Changed, RoteError
from rote.laws.pipeline import completeness
from rote.laws.pipeline.completeness import FOLDER, QUIET, RESUMED, Looks, Stat, is_temporary
from rote.ports import CheckpointFolder, Clock, HeldTree, Process, Progress
from rote.ports.logger import Logger
from rote.services.runs.attempt import Aid, Task
from rote.services.runs.checkpoints import CheckpointStore, Owner
from rote.words.encoding import digest_of
from rote.words.ids import RunId
from rote.words.pipeline import CheckpointRule, Stage
from rote.words.result import Found
from rote.words.unfinished import Checkpoint

LOOK = 1.0
"""Seconds between two looks at a folder."""
UNNAMED = "unknown"
"""What RESUMED says where the stage did not give its steps names."""
_TICK = 50_000_000
_COARSE = 2_100_000_000
"""Nanoseconds within which two writes to a file may leave one mtime; on file systems that keep whole seconds."""

_log = Logger(__name__)


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside a checkpoint folder: whose it is, and what of it is in the store."""

    owner: Owner
    nonce: str = ""
    """Of the newest checkpoint that the store was known to have; empty: none."""
    found: Found | None = None
    """What the stage has been found to read; None before the first checkpoint was taken."""
    mark: str = ""
    """Digest of the last mark that needs no saving."""


class _None:
    """The Aid of a stage without checkpoints."""

    environment: Mapping[str, str] = {}

    def started(self, process: Process, found: Callable[[], Found]) -> None:
        """There is nothing to watch."""


NONE = _None()


class Checkpointing:
    """The checkpoints of the stages of one working tree.

    `look` and `quiet` are in seconds: how often a folder is looked at, and how long a file that nobody vouches for
    has to rest.
    """

    def __init__(
        self,
        store: CheckpointStore,
        folders: Callable[[str], CheckpointFolder],
        *,
        clock: Clock,
        progress: Progress,
        holds: Callable[[Found], bool] = lambda found: True,
        look: float = LOOK,
        quiet: float = QUIET,
        resumes: Collection[RunId] = (),
    ) -> None:
        """`resumes` are the runs that this one goes on with; `holds` tells whether what a stage was found to read is
        still the same."""
        self._holds = holds
        self._resumes = frozenset(resumes)
        self._store = store
        self._folders = folders
        self._clock = clock
        self._progress = progress
        self._look = look
        self._quiet = quiet

    @contextmanager
    def along(self, task: Task) -> Iterator[Aid]:
        """Go along with an attempt at a stage (see attempt.Companion)."""
        if task.stage.checkpoints is None:
            yield NONE
            return
        watched = self.begin(task, task.stage.checkpoints)
        try:
            yield watched
        except BaseException:
            watched.finish(done=False)
            raise
        watched.finish(done=True)

    def begin(self, task: Task, rule: CheckpointRule) -> Watched:
        """Make the folder ready for the stage: with its newest checkpoint, or empty where there is none. For a stage
        that is done although it has a result, only those count that this run took, or one that it goes on with.

        What a rote that was killed could not save any more is saved first. Raises what the store raises; RoteError
        where the folder cannot be written.
        """
        stage, key, log = task.stage, task.slot or task.inputs.key(), task.log
        folder = self._folders(rule.path)
        self._salvage(folder, stage.name)
        own = self._resumes | {task.run}
        kept = [c for c in self._store.get(key) if not task.replace or c.run in own]
        owner = Owner(stage=stage.name, key=key, run=task.run, keep=rule.keep)
        note = _Note(owner=owner, nonce=kept[0].nonce if kept else "")
        aside = folder.begin(msgspec.json.encode(note))
        if aside:
            self._progress.say(f"{stage.name}: what was in the place of its checkpoints is in {aside} now")
        fit = [c for c in kept if c.found is None or self._holds(c.found)]
        if kept and not fit:
            told = "its checkpoints were made by other code, or from other files: it starts from nothing"
            self._progress.say(f"{stage.name}: {told}")
        began = self._bring(stage, rule, fit)
        if began:
            told = f"starts from the checkpoint of {_called(began)}, taken {began.made} by run {began.run}"
            self._progress.say(f"{stage.name}: {told}")
            log(f"rote: {stage.name} {told}\n".encode())
        return Watched(
            self._store, folder, note, began=began, kept=fit, clock=self._clock, say=self._progress.say,
            every=rule.every, look=self._look, quiet=self._quiet,
        )  # fmt: skip

    def _bring(self, stage: Stage, rule: CheckpointRule, kept: Sequence[Checkpoint]) -> Checkpoint | None:
        for checkpoint in kept:
            if self._store.bring(rule.path, checkpoint.snapshot):
                return checkpoint
            self._progress.say(
                f"{stage.name}: the checkpoint of {_called(checkpoint)} is no longer whole in the store; "
                "the one before it is tried"
            )
        return None

    def _salvage(self, folder: CheckpointFolder, stage: str) -> None:
        """A rote that was killed may have left a marked checkpoint that is newer than what the store has."""
        data, mark = folder.note(), folder.mark()
        if data is None or mark is None:
            return
        try:
            note = msgspec.json.decode(data, type=_Note)
            found = completeness.read(mark)
        except (msgspec.DecodeError, RoteError):
            return
        files = completeness.marked(found, folder.look()).files
        if digest_of(mark) == note.mark or files is None or note.found is None:
            return
        kept = self._store.get(note.owner.key)
        if kept and kept[0].nonce != note.nonce and kept[0].run != note.owner.run:
            return  # somebody has gone on elsewhere since
        with folder.hold(files) as held:
            if held is None:
                return
            try:
                self._store.take(note.owner, held, found.step, kept, note.found)
            except Changed:
                return
        step = f"step {found.step}" if found.step else "the stage"
        self._progress.say(f"{stage}: the checkpoint of {step} that was left here is in the store now")


def _called(checkpoint: Checkpoint) -> str:
    return f"step {checkpoint.step}" if checkpoint.step else checkpoint.made


class _Found(NamedTuple):
    """A complete checkpoint: its files, the step it was called by, and the mark that names it, if one does."""

    files: dict[str, Stat]
    step: str
    mark: bytes


class Watched:
    """The checkpoint folder of one stage that is about to run, or runs: an attempt.Aid. `finish` comes last."""

    def __init__(
        self,
        store: CheckpointStore,
        folder: CheckpointFolder,
        note: _Note,
        *,
        began: Checkpoint | None,
        kept: Sequence[Checkpoint],
        clock: Clock,
        say: Callable[[str], None],
        every: float,
        look: float,
        quiet: float,
    ) -> None:
        self.began = began
        """The checkpoint that the stage starts from."""
        self._store = store
        self._folder = folder
        self._note = note
        self._kept = list(kept)
        self._clock = clock
        self._say = say
        self._every = every
        self._look = min(look, every) or look
        self._looks = Looks(quiet)
        folder.watch()
        self._taken = _contents(folder.look())
        self._mark = b""  # the last one that was taken
        self._marks = bool(began and began.step)
        self._last: float | None = None
        self._why = ""
        self._settled = False
        self._found: Callable[[], Found] = Found
        self._told = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the stage is told."""
        told = {FOLDER: self._folder.full}
        if self.began is not None:
            told[RESUMED] = self.began.step or UNNAMED
        return told

    def started(self, process: Process, found: Callable[[], Found]) -> None:
        """The stage runs now: take checkpoints from a thread of its own."""
        self._found = found
        self._thread = threading.Thread(target=self._watch, name="rote-checkpoints", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(self._look):
            try:
                self._turn()
            except Changed as e:
                _log.debug("%s", e)  # the next look tells
            except RoteError as e:
                self._complain(e)

    def finish(self, *, done: bool) -> None:
        """The stage is over, and nothing of it runs any more. Unless it ended well, take what it left.

        What goes wrong is told, not raised: the checkpoint before stays.
        """
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        files: Mapping[str, Stat] = {}
        try:
            if done:
                self._folder.close()
                self._settle(self._folder.mark() or b"")
                return
            files = self._folder.look()
            found = self._find(files, live=False)
            self._folder.close()
            if found is not None:
                self._take(found, live=False)
        except RoteError as e:
            self._complain(e)
        if not self._kept and self._why and files:
            self._say(
                f"{self._note.owner.stage}: no checkpoint could be taken: {self._why}. Write each aside and rename it,"
                " or call rote.checkpoint when it is complete"
            )

    def _turn(self) -> None:
        files = self._folder.look()
        now = self._clock.monotonic()
        self._looks.add(files, now)
        if self._last is None or now - self._last >= self._every:
            found = self._find(files, live=True)
            if found is not None and self._take(found, live=True):
                self._last = now

    def _find(self, files: Mapping[str, Stat], *, live: bool) -> _Found | None:
        """A complete checkpoint that is not in the store yet. A stage that has ever called `rote.checkpoint` vouches
        for its checkpoints itself; nothing else of it is taken."""
        mark = self._folder.mark()
        if mark is not None:
            if mark == self._mark:
                return None
            read = completeness.read(mark)
            verdict, step = completeness.marked(read, files), read.step
        elif self._marks:
            return None
        else:
            final = [path for path in files if not is_temporary(path)]
            renamed = self._folder.renamed()
            verdict, step = self._looks.judge(files, self._folder.writing(final) if live else (), renamed), ""
        self._why = verdict.why
        if verdict.files is None or (mark is None and _contents(verdict.files) == self._taken):
            return None
        return _Found(verdict.files, step, mark or b"")

    def _take(self, found: _Found, *, live: bool) -> bool:
        if found.mark and not self._settled:
            self._settle(self._mark)  # saving may take minutes: killed now, what lies here is worth as much
        with self._folder.hold(found.files) as held:
            if held is None or (live and not found.mark and not self._rests(found.files, held)):
                return False
            self._kept = self._store.take(self._note.owner, held, found.step, self._kept, self._found())
        self._taken = _contents(found.files)
        self._mark, self._marks = found.mark, bool(found.mark)
        self._told = False
        self._settle(found.mark)
        return True

    def _rests(self, files: Mapping[str, Stat], held: HeldTree) -> bool:
        """Wait until a write to these files would move their mtimes; whether there was none until then."""
        newest = max(stat.ctime for stat in files.values())
        rest = newest + (_COARSE if newest % 1_000_000_000 == 0 else _TICK) - int(self._clock.now() * 1e9)
        if rest > 0 and self._over.wait(min(rest, _COARSE) / 1e9):
            return False  # what comes after the end of the stage looks for itself
        return held.is_still()

    def _settle(self, mark: bytes) -> None:
        """Write down what is in the store, for a rote that comes after one that was killed."""
        nonce = self._kept[0].nonce if self._kept else ""
        note = msgspec.structs.replace(
            self._note, nonce=nonce, found=self._found(), mark=digest_of(mark) if mark else ""
        )
        self._folder.keep(msgspec.json.encode(note))
        self._settled = True

    def _complain(self, error: RoteError) -> None:
        """Once until a checkpoint could be taken again: a stage is not stopped for what concerns its checkpoints."""
        if not self._told:
            self._told = True
            self._say(
                f"{self._note.owner.stage}: a checkpoint could not be saved: {error}; the one before stays"
            )


def _contents(files: Mapping[str, Stat]) -> dict[str, Stat]:
    """What tells one content from another: a chmod is no new checkpoint."""
    return {path: stat._replace(ctime=0) for path, stat in files.items() if not is_temporary(path)}
