"""The chain from data to the files of a version: its links, and which out of a run a file can come from."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

DATA, CODE, ENVIRONMENT, STAGES, METRICS, FILES = "data", "code", "environment", "stages", "metrics", "files"
CHAIN = (DATA, CODE, ENVIRONMENT, STAGES, METRICS, FILES)
"""The links, in the order in which they are looked at."""

OK, OPEN, BROKEN, AFTER = "ok", "open", "broken", "not looked at"


class Link(msgspec.Struct, frozen=True):
    """A link that was looked at. `state`: `ok`, `broken`, `open` (nothing speaks against it, but a part of it could not
    be looked at here) or `not looked at` (it comes after a broken one). `told` is what was found, `left` what could not
    be looked at and why."""

    name: str
    state: str
    told: list[str] = []
    left: list[str] = []


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a verification. `what` is the version (`digits@1.0.0`), or the folder or file that was looked at;
    `broken` the first link that is broken, if any, `why` and `next` are for people."""

    what: str
    links: list[Link]
    model: str = ""
    version: str = ""
    broken: str | None = None
    why: str = ""
    next: str = ""

    @property
    def whole(self) -> bool:
        """Whether every link was looked at completely, and is sound."""
        return all(link.state == OK for link in self.links)


class Broken(Exception):
    """A link is broken: what was found, and what to do next."""

    def __init__(self, why: str, next: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.next = next


class Looking:
    """What is found while one link is looked at."""

    def __init__(self) -> None:
        self._told: dict[str, None] = {}
        self._left: dict[str, None] = {}

    def ok(self, text: str) -> None:
        """Something is as it should be."""
        self._told[text] = None

    def open(self, text: str) -> None:
        """Something cannot be looked at, and why."""
        self._left[text] = None

    def link(self, name: str, *, broken: bool = False) -> Link:
        """The link, now that it was looked at."""
        state = BROKEN if broken else OPEN if self._left else OK
        return Link(name, state, list(self._told), list(self._left))


def inside(out: str, path: str) -> Iterator[str]:
    """Where in the out `out` (a path of the project) the file at `path` of a version can come from; empty: from the
    out itself, a single file. An entry of `models.NAME.files` lands under its last name, so that the end of the out's
    path is the beginning of the file's: build/model.onnx, model.onnx -> ""; build, build/a -> a; a/x, x/y/z -> y/z.
    """
    names = out.split("/")
    for begin in range(len(names)):
        end = "/".join(names[begin:])
        if path == end:
            yield ""
        elif path.startswith(end + "/"):
            yield path[len(end) + 1 :]


def overlaps(one: str, two: str) -> bool:
    """Whether one path is the other, or lies in it."""
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")
