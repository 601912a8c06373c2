"""Which of the results under a stage key holds for the files as they are (docs/format.md, 7.5)."""

from __future__ import annotations

import msgspec

from rote import found as law
from rote.found import Difference
from rote.ids import StageKey
from rote.ports import Files
from rote.record import Found, Listed, Result, Sought
from rote.results import Results


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What was found under a stage key: the result that holds, or the slot that is free for one.

    Without a result, `near` is the one whose found files differ least, and `differences` says in what. `slot` is None
    if no further result is kept.
    """

    slot: StageKey | None
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

    def find(self, key: StageKey) -> Match:
        """Walk the results under the key. One GET where none, or the first, holds. Raises Corrupt, TooNew."""
        asked, slot, near, least = Found(), key, None, list[Difference]()
        for _ in range(law.MOST_STEPS):
            result = self.results.get(slot)
            if result is None:
                return Match(slot=slot, near=near, differences=least)
            differences = self.holds(result)
            if not differences:
                return Match(slot=slot, result=result)
            if near is None or len(differences) <= len(least):
                near, least = result, differences
            more = law.asked_too(asked, result.found or Found())
            if law.same_questions(asked, more):
                break
            asked = more
            slot = law.slot(key, self.answer(asked))
        return Match(slot=None, near=near, differences=least)
