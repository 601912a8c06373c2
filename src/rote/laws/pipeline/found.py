"""What stages were found to read: questions, answers, and what follows from them (docs/format.md, 7.4 and 7.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from rote.words.encoding import canonical, tagged
from rote.words.ids import Digest, StageKey
from rote.words.result import Found, Listed, Sought

MOST_SEATS = 16
"""So many results of one stage key stand for a set of questions each."""
_LIBRARIES = (".so", ".pyd", ".dylib")
HIDDEN = frozenset(["__pycache__", ".git", ".rote"])
"""Names that no listing tells."""


def asked_too(asked: Found, found: Found) -> Found:
    """The questions of both; the answers mean nothing."""
    files: dict[str, Digest | None] = {**asked.files, **found.files}
    folders = dict(asked.folders)
    for path, listed in found.folders.items():
        besides = listed.besides if path not in folders else [*folders[path].besides, *listed.besides]
        folders[path] = Listed(besides=sorted(set(besides)))
    modules = dict(asked.modules)
    for path, sought in found.modules.items():
        names = sought.sought if path not in modules else [*modules[path].sought, *sought.sought]
        modules[path] = Sought(sought=sorted(set(names)))
    return Found(files=files, folders=folders, modules=modules)


def same_questions(one: Found, two: Found) -> bool:
    """Whether both ask the same."""
    return (
        one.files.keys() == two.files.keys()
        and {p: f.besides for p, f in one.folders.items()} == {p: f.besides for p, f in two.folders.items()}
        and {p: m.sought for p, m in one.modules.items()} == {p: m.sought for p, m in two.modules.items()}
    )


def seat(key: StageKey, number: int) -> StageKey:
    """Where the first result with a further set of questions lies: the first of all under the stage key itself."""
    return StageKey(tagged("slot", canonical({"key": key, "set": number}))) if number else key


def slot(key: StageKey, answers: Found) -> StageKey:
    """Where another result with a known set of questions lies, by its answers."""
    whole = {"files": answers.files, "folders": answers.folders, "modules": answers.modules}
    return StageKey(tagged("slot", canonical({"key": key, "asked": whole})))


def names_told(names: Iterable[str], besides: Iterable[str]) -> list[str]:
    """What a listing tells of a folder's entries."""
    return sorted(set(names) - HIDDEN - set(besides))


def could_be(names: Iterable[str], sought: Iterable[str]) -> list[str]:
    """The entries of a folder that could be one of these modules. Of the folders in it, `names` has those that hold
    `__init__.py`."""
    wanted = frozenset(sought)
    return sorted(name for name in names if name.partition(".")[0] in wanted and _is_module(name))


def _is_module(name: str) -> bool:
    _, dot, suffix = name.partition(".")
    return not dot or suffix in ("py", "pyc") or name.endswith(_LIBRARIES)


class Difference(msgspec.Struct, frozen=True):
    """One answer that is another now. `kind` is `file`, `folder` or `module`; old and new as they are shown."""

    kind: str
    path: str
    old: str | None
    new: str | None


def differences(old: Found, new: Found) -> list[Difference]:
    """Every question of `old` whose answer in `new` is another."""
    return [*_files(old.files, new.files), *_folders(old.folders, new.folders), *_modules(old, new)]


def _files(old: Mapping[str, Digest | None], new: Mapping[str, Digest | None]) -> Iterator[Difference]:
    for path, was in old.items():
        now = new.get(path)
        if was != now:
            yield Difference("file", path, was, now)


def _folders(old: Mapping[str, Listed], new: Mapping[str, Listed]) -> Iterator[Difference]:
    for path, listed in old.items():
        now = new[path].names if path in new else None
        if listed.names != now:
            yield Difference("folder", path, *_one_side(listed.names, now))


def _one_side(old: list[str] | None, new: list[str] | None) -> tuple[str | None, str | None]:
    """The names that only one of both has."""
    gone = None if old is None else ", ".join(sorted(set(old) - set(new or [])))
    come = None if new is None else ", ".join(sorted(set(new) - set(old or [])))
    return gone, come


def _modules(old: Found, new: Found) -> Iterator[Difference]:
    for path, sought in old.modules.items():
        now = new.modules[path].there if path in new.modules else []
        files = {name for name in sought.there if _join(path, name) in old.files}
        # A file that was imported and is gone is told as a file already.
        gone, come = set(sought.there) - set(now) - files, set(now) - set(sought.there)
        if gone or come:
            yield Difference("module", path, ", ".join(sorted(gone)), ", ".join(sorted(come)))


def _join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"
