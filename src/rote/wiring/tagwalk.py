"""Releasing by git tag: what the tags of a repository ask for, and whether it is done. Any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from rote.adapters.vcs import GitTag
from rote.errors import Missing, RoteError
from rote.laws.models import tagnames
from rote.laws.models import versions as law
from rote.laws.models.remarks import DEPRECATE
from rote.laws.models.tagnames import ALIAS, BESIDE, VERSION, WRONG, TagName
from rote.wiring.parts import Wiring
from rote.words.channel import AliasMove
from rote.words.ids import nearest
from rote.words.run import Run
from rote.words.version import Version

DONE, THERE, WOULD, FAILED, LEFT = "done", "there", "would", "failed", "left"


class Followed(msgspec.Struct, frozen=True):
    """What became of a tag. `state`: `done` now, `there` already, `would` be done, `failed`, or `left` alone; `told`
    says what, or why."""

    tag: str
    commit: str
    state: str
    told: str


class _Tag(msgspec.Struct, frozen=True):
    git: GitTag
    name: TagName


class Doing(msgspec.Struct, frozen=True):
    """What a walk may do: `release(model, run, number)` makes a version of a run, `promote(model, version, alias, why)`
    moves an alias, `run_of(model, commit)` finds a run of a commit, `counts(run, commit)` says whether a run counts for
    a commit."""

    release: Callable[[str, Run, str], Version]
    promote: Callable[[str, str, str, str], object]
    run_of: Callable[[str, str], Run]
    counts: Callable[[Run, str], bool]


class TagWalk:
    """Follows the tags of one repository."""

    def __init__(self, wiring: Wiring, doing: Doing) -> None:
        self._w = wiring
        self._do = doing

    def follow(self, only: str | None = None, *, dry_run: bool = False) -> list[Followed]:
        """Do what the tags ask for, of one model or all in rote.yaml: versions in their order, then aliases. A tag that
        fails is in the result, and the others go on. Raises what git raises."""
        known = set(self._w.pipeline.models)
        tags: list[_Tag] = []
        found: list[Followed] = []
        for git in self._w.git.tags():
            name = tagnames.parse(git.name)
            if name is None or (only is not None and name.model != only):
                continue
            if name.model in known:
                tags.append(_Tag(git, name))
            elif name.kind in (VERSION, ALIAS):
                near = nearest(name.model, list(known))
                hint = f"; is it {near}?" if near else ""
                found.append(_of(git, LEFT, f"rote.yaml describes no model {name.model}{hint}"))
        found += [self._beside(tag) for tag in tags if tag.name.kind in (BESIDE, WRONG)]
        versions = [tag for tag in tags if tag.name.kind == VERSION]
        found += [self._tried(self._version, tag, versions, dry_run) for tag in versions if not tag.name.back]
        found += [self._tried(self._back, tag, versions, dry_run) for tag in versions if tag.name.back]
        for tag in _latest(tag for tag in tags if tag.name.kind == ALIAS):
            found.append(self._tried(self._alias, tag, versions, dry_run))
        return found

    def _beside(self, tag: _Tag) -> Followed:
        if tag.name.kind == WRONG:
            return _of(tag.git, FAILED, tag.name.value)
        return _of(tag.git, LEFT, f"a tag {tag.name.model}@{tag.name.value} asks for nothing")

    def _tried(
        self, follow: Callable[[_Tag, list[_Tag], bool], Followed], tag: _Tag, versions: list[_Tag], dry: bool
    ) -> Followed:
        try:
            return follow(tag, versions, dry)
        except RoteError as e:
            told = e.what + (f" (next: {e.next})" if e.next else "")
            return _of(tag.git, FAILED, told)

    def _version(self, tag: _Tag, versions: list[_Tag], dry: bool) -> Followed:
        model, number = tag.name.model, tag.name.value
        there = self._w.registry.find(model, number)
        if there is not None:
            return self._there(tag, there)
        deleted = self._w.registry.remarks.of(model, number).deleted
        if deleted is not None:
            return _of(
                tag.git, LEFT, f"{model}@{number} was deleted ({deleted.at}); the tag asks for nothing more"
            )
        if any(
            other.name.back and other.name.value == number for other in versions if other.name.model == model
        ):
            return _of(tag.git, LEFT, f"taken back by the tag {model}@v{number}!")
        run = self._do.run_of(model, tag.git.commit)
        if dry:
            return _of(tag.git, WOULD, f"release {model}@{number} from run {run.id}")
        made = self._do.release(model, run, number)
        return _of(tag.git, DONE, f"released {model}@{made.version} from run {run.id}")

    def _there(self, tag: _Tag, there: Version) -> Followed:
        name = f"{there.model}@{there.version}"
        if there.commit == tag.git.commit:
            return _of(tag.git, THERE, f"{name} is released")
        try:
            run = self._w.runs.get(there.run) if there.run else None
        except Missing:
            run = None
        if run is not None and self._do.counts(run, tag.git.commit):
            return _of(tag.git, THERE, f"{name} is released, from run {run.id}")
        return _of(
            tag.git,
            FAILED,
            f"{name} was released from commit {(there.commit or 'none')[:12]}, and the tag is at another: a version "
            "never changes (next: give the new one a new number)",
        )

    def _back(self, tag: _Tag, versions: list[_Tag], dry: bool) -> Followed:
        model, number = tag.name.model, tag.name.value
        if self._w.registry.find(model, number) is None:
            return _of(tag.git, THERE, f"{model}@{number} is not there")
        if self._w.registry.remarks.of(model, number).deprecated:
            return _of(tag.git, THERE, f"{model}@{number} is deprecated")
        if dry:
            return _of(tag.git, WOULD, f"deprecate {model}@{number}")
        why = tagnames.why(tag.git.name, tag.git.id)
        self._w.registry.remarks.say(model, number, DEPRECATE, text=why)
        return _of(tag.git, DONE, f"deprecated {model}@{number}")

    def _alias(self, tag: _Tag, versions: list[_Tag], dry: bool) -> Followed:
        model, alias = tag.name.model, tag.name.value
        if tag.name.back:
            return _of(tag.git, LEFT, f"an alias is not taken away: {model}@{alias} is where it is")
        here = [v for v in versions if v.git.commit == tag.git.commit and not v.name.back]
        numbers = [v.name.value for v in here if v.name.model == model]
        if not numbers:
            return _of(
                tag.git, FAILED, f"there is no tag {model}@v… at this commit, so which version is not said"
            )
        number = max(numbers, key=law.parse)
        why = tagnames.why(tag.git.name, tag.git.id)
        asked = self._asked(model, alias)
        if asked is not None and asked.why == why:
            told = f"was followed before: move {asked.seq} of {model}@{alias}, to {asked.version}"
            again = (
                f"; another tag, such as {model}#{alias}#{(tag.name.counter or 1) + 1}, moves it to {number}"
            )
            return _of(tag.git, THERE, told + (again if asked.version != number else ""))
        held = self._w.registry.channels.read(model, alias)
        if held is not None and held.channel.version == number and dry:
            return _of(tag.git, THERE, f"{alias} points at {model}@{number}")
        if held is not None and held.channel.version == number:
            # Noted, so that a rollback by hand afterwards is not undone by the next walk.
            self._w.registry.renew(model, alias, why)
            return _of(tag.git, THERE, f"{alias} points at {model}@{number}")
        if dry:
            return _of(tag.git, WOULD, f"point {alias} at {model}@{number}")
        self._do.promote(model, number, alias, why)
        return _of(tag.git, DONE, f"{alias} points at {model}@{number}")

    def _asked(self, model: str, alias: str) -> AliasMove | None:
        """The last move of the alias that a tag asked for. So a rollback by hand is not undone by the next walk."""
        moves: list[AliasMove] = self._w.registry.channels.history(model, alias)
        return next((move for move in moves if tagnames.is_why(move.why)), None)


def _latest(tags: Iterable[_Tag]) -> list[_Tag]:
    """Of each alias the tag that was made last: the highest number, or where there are none, the newest."""
    latest: dict[tuple[str, str], _Tag] = {}
    for tag in tags:
        key = (tag.name.model, tag.name.value)
        other = latest.get(key)
        if other is None or (tag.name.counter or 0) >= (other.name.counter or 0):
            latest[key] = tag
    return list(latest.values())


def _of(git: GitTag, state: str, told: str) -> Followed:
    return Followed(git.name, git.commit, state, told)
