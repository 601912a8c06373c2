"""Versions and aliases: semver (https://semver.org), which number comes next, and what may be called what."""

from __future__ import annotations

import re

import msgspec

from rote.errors import BadName, UsageError
from rote.words.ids import shown

FIRST = "1.0.0"
"""The version of a model's first release, whatever part was asked to be raised."""

PARTS = ("major", "minor", "patch")

_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?\Z",
    re.ASCII,
)
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}\Z")


class Semver(msgspec.Struct, frozen=True, eq=False):
    """A version number. Two are equal when neither precedes the other: build metadata does not count."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: str = ""

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.pre:
            text += "-" + ".".join(self.pre)
        return f"{text}+{self.build}" if self.build else text

    def _key(self) -> tuple[object, ...]:
        # A release comes after its pre-releases; numbers come before words; fewer fields come first.
        fields = tuple((0, int(f), "") if f.isdigit() else (1, 0, f) for f in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._key() == other._key()

    def __lt__(self, other: Semver) -> bool:
        return self._key() < other._key()

    # A struct brings comparisons of its own, so that functools.total_ordering would leave these out.
    def __le__(self, other: Semver) -> bool:
        return self._key() <= other._key()

    def __gt__(self, other: Semver) -> bool:
        return self._key() > other._key()

    def __ge__(self, other: Semver) -> bool:
        return self._key() >= other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def bumped(self, part: str) -> Semver:
        """The next version in which `part` (major, minor or patch) is raised. A pre-release is raised to the release it
        precedes where that already raises the part. Raises UsageError for another part."""
        if part == "major":
            grown = self.pre and not self.minor and not self.patch
            return Semver(self.major + (not grown), 0, 0)
        if part == "minor":
            grown = self.pre and not self.patch
            return Semver(self.major, self.minor + (not grown), 0)
        if part == "patch":
            return Semver(self.major, self.minor, self.patch + (not self.pre))
        raise UsageError(f"there is no part {shown(part)} in a version", next="--bump major, minor or patch")


def parse(text: str) -> Semver:
    """Parse semver 2.0.0, at most 100 characters. Raises BadName."""
    found = _SEMVER.match(text) if len(text) <= 100 else None
    if not found:
        raise BadName(
            f"not a version: {shown(text)}", next="a version is like 1.2.3 or 1.2.3-rc.1 (https://semver.org)"
        )
    major, minor, patch, pre, build = found.groups()
    return Semver(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else (), build or "")


def release(text: str) -> Semver:
    """Parse a version that may be released: semver without build metadata. Raises BadName."""
    version = parse(text)
    if version.build:
        raise BadName(
            f"the version {shown(text)} has build metadata, which does not count when versions are ordered",
            next=f"leave out '+{version.build}'",
        )
    return version


def is_version(text: str) -> bool:
    """Whether `text` is meant as a version, not as an alias: it begins with a digit."""
    return text[:1].isdigit()


def alias(text: str) -> str:
    """Parse an alias: a letter, then letters, digits, `_` and `-`, at most 63. Raises BadName."""
    if not _ALIAS.match(text):
        raise BadName(
            f"not a valid alias: {shown(text)}",
            next="an alias is a letter, then letters, digits, '_' and '-', at most 63 in all; such as prod",
        )
    return text


def is_alias(text: str) -> bool:
    """Whether `text` could be an alias."""
    return bool(_ALIAS.match(text))


def following(existing: list[Semver], part: str) -> Semver:
    """The number of the next release: the highest of `existing` with `part` raised, or 1.0.0 if there is none.
    Raises UsageError for an unknown part."""
    if part not in PARTS:
        raise UsageError(f"there is no part {shown(part)} in a version", next="--bump major, minor or patch")
    return max(existing).bumped(part) if existing else parse(FIRST)


def _meant(model: str, version: str) -> str:
    """How a version is named, for somebody who named only its model or only its number."""
    if is_version(model):
        return f"say MODEL@{model}"
    one = model or "MODEL"
    return f"say {one}@{version or '1.0.0'} or {one}@prod" + (f"; rote model list {model}" if model else "")


def named(text: str) -> tuple[str, str]:
    """`MODEL@VERSION`, `MODEL@vVERSION` (as tags say it) or `MODEL@ALIAS` -> the model, and the version or alias.

    Raises UsageError.
    """
    model, at, version = text.partition("@")
    if not at or not model or not version:
        raise UsageError(
            f"not MODEL@VERSION: {shown(text)}",
            next=_meant(model, version),
        )
    return model, version[1:] if version[:1] == "v" and "." in version and is_version(
        version[1:]
    ) else version
