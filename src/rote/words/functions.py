"""Stages as Python functions: how a function says what it reads and makes (docs/rote-yaml.md, "Stages in Python").

    @rote.stage
    def train(
        data: Annotated[Path, rote.Dep("data/digits")],
        rate: Annotated[float, rote.Param("train.rate")],
        model: Annotated[Path, rote.Out("build/model.pt")],
    ) -> Annotated[dict[str, float], rote.Metrics("metrics.json")]: ...

The file is read, never imported, to learn its stages: what stands in the marks is therefore written out, not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

_Function = TypeVar("_Function", bound=Callable[..., Any])

MARKED: Final = "__rote_stage__"


class Mark:
    """What an argument of a stage is."""

    def __init__(self, path: str, **options: bool) -> None:
        self.path = path
        self.options = options


class Dep(Mark):
    """A file or folder that the stage reads; the argument is its `pathlib.Path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)


class Out(Mark):
    """A file or folder that the stage makes; the argument is its `pathlib.Path`. `cache=False` and `persist=True` mean
    what they mean in rote.yaml."""

    def __init__(self, path: str, *, cache: bool = True, persist: bool = False) -> None:
        super().__init__(path, cache=cache, persist=persist)


class Metrics(Mark):
    """A metrics file. As an argument: its `pathlib.Path`. On what the function returns: a mapping, which is written
    there."""

    def __init__(self, path: str) -> None:
        super().__init__(path)


class Plots(Mark):
    """A file of plots; the argument is its `pathlib.Path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)


class Param(Mark):
    """A param, `KEY` of params.yaml or `FILE:KEY`; the argument is its value, of the type that the argument has."""

    def __init__(self, path: str) -> None:
        super().__init__(path)


class Model(Mark):
    """A model that the stage goes on from, `NAME@ALIAS` or `NAME@VERSION`; the argument is the `pathlib.Path` of a
    folder with its files, or None while there is none."""

    def __init__(self, path: str) -> None:
        super().__init__(path)


class Previous(Mark):
    """An out of the stage itself, whose earlier result it goes on from; the argument is its `pathlib.Path`, or None the
    first time."""

    def __init__(self, path: str) -> None:
        super().__init__(path)


@overload
def stage(function: _Function, /) -> _Function: ...
@overload
def stage(**options: Any) -> Callable[[_Function], _Function]: ...
def stage(function: Any = None, /, **options: Any) -> Any:
    """Make a function a stage; it stays an ordinary function. `options` are the keys of a stage in rote.yaml other than
    `cmd` (`env`, `frozen`, more `deps`, …)."""

    def marked(function: Any) -> Any:
        setattr(function, MARKED, options)
        return function

    return marked if function is None else marked(function)
