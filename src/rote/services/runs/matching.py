"""Which of the results under a stage key holds for the files as they are (docs/format.md, 7.5)."""

from __future__ import annotations

import msgspec

from rote.laws.pipeline import found as law
from rote.laws.pipeline.found import Difference
from rote.ports import Files
from rote.services.runs.results import Results
from rote.words.ids import StageKey
from rote.words.result import Found, Listed, Result, Sought


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What was found under a stage key: the result that holds, and the slot where it lies.

    Without a result, `near` is the one whose found files differ least, and `differences` says in what; `slot` stands
    for the files as they are then, as far as any result asks for them: the same on every machine that has the same.
    """

    slot: StageKey
    result: Result | None = None
    near: Result | None = None
    differences: list[Difference] = []


class Matching:
    """Results by stage key and by the files that stages were found to read. Thread-safe."""

    def __init__(self, results: Results, files: Files) -> None:
        self.results = results
        self.files = files

    def answer(self, asked: Found) -> Found:
        """The same questions with the answers of the files as they are."""
        return Found(
            files={path: self.files.digest(path) for path in asked.files},
            folders={
                path: Listed(besides=listed.besides, names=self.files.names(path, listed.besides))
                for path, listed in asked.folders.items()
            },
            modules={
                path: Sought(sought=sought.sought, there=self.files.modules(path, sought.sought))
                for path, sought in asked.modules.items()
            },
        )

    def holds(self, result: Result) -> list[Difference]:
        """What differs from what the result was made of; nothing: it holds."""
        if not result.found:
            return []
        return law.differences(result.found, self.answer(result.found))

    def still(self, found: Found) -> bool:
        """Whether every question has the same answer now."""
        return not law.differences(found, self.answer(found))

    def find(self, key: StageKey, hint: StageKey | None = None) -> Match:
        """The result under the key that holds. `hint` is a slot to look into first. One GET where nothing is known, or
        where the first one holds; two for each set of questions otherwise. Raises Corrupt, TooNew."""
        asked, near, least = Found(), None, list[Difference]()
        if hint is not None and hint != key:
            result = self.results.get(hint)
            if result is not None and result.key == key:
                near, least = result, self.holds(result)
                if not least:
                    return Match(slot=hint, result=result)
        for number in range(law.MOST_SEATS):
            seat = law.seat(key, number)
            result = self.results.get(seat)
            if result is None:
                break
            differences = self.holds(result)
            if not differences:
                return Match(slot=seat, result=result)
            if near is None or len(differences) < len(least):
                near, least = result, differences
            questions = result.found or Found()
            other = law.slot(key, self.answer(questions))
            result = self.results.get(other)
            if result is not None and not self.holds(result):
                return Match(slot=other, result=result)
            asked = law.asked_too(asked, questions)
        slot = law.slot(key, self.answer(asked)) if asked else key
        return Match(slot=slot, near=near, differences=least)

    def place(self, key: StageKey, found: Found | None, *, replace: bool) -> tuple[StageKey | None, bool]:
        """The slot into which a result with these findings belongs, and whether one in force there is replaced. None:
        it is not kept, because it would stand for whatever the files are while others are known to depend on them."""
        answers = found or Found()
        for number in range(law.MOST_SEATS):
            seat = law.seat(key, number)
            result = self.results.get(seat)
            if result is None:
                return (seat if found or not number else None), replace
            known = result.found or Found()
            if known == answers or not known:
                return seat, replace
            if law.same_questions(known, answers):
                return law.slot(key, answers), replace
        return (law.seat(key, law.MOST_SEATS - 1) if found else None), True
