"""`stages.NAME` -> Stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rote.errors import BadName
from rote.laws.gates import expectations
from rote.laws.pipeline.overriding import DEFAULT_FILE
from rote.wiring.config import checks, environment, limiting, places, smoke, warm
from rote.wiring.config.checkpoints import read as checkpoint_rule
from rote.wiring.config.nodes import Node
from rote.wiring.config.params import SUFFIXES
from rote.wiring.config.refusal import refused, unknown
from rote.wiring.config.section import Section
from rote.wiring.config.vocabulary import STAGE
from rote.words.ids import shown, stage_name
from rote.words.pipeline import At, Check, Out, Param, Stage

_NAMES: Final = tuple(STAGE)

# Options of outs in dvc.yaml that change nothing here: how a plot is drawn is not part of a result.
_HARMLESS: Final = frozenset([
    "push", "desc", "type", "labels", "meta", "x", "y", "x_label", "y_label", "title", "template", "header",
])  # fmt: skip
_REFUSED: Final = {
    "remote": ("rote has one store", "remove `remote`; `rote config` shows the store"),
    "checkpoint": ("an out is either a result or a checkpoint", "remove `checkpoint`"),
}
_MEANT: Final = ("cache", "persist")
_ABOUT_REMOTES: Final = frozenset(["remote", "push"])


def read(name: str, section: Section, folder: str = ".", *, dvc: bool = False) -> Stage:
    """One stage of the pipeline file in `folder`, without templates; `dvc`: of a dvc.yaml. Raises ConfigError."""
    at = section.at()
    try:
        stage_name(name)
    except BadName as e:
        raise refused(
            at,
            e.what,
            "a stage's name is letters, digits, '.', '_', '-', and ASCII text after an '@', at most 200",
        ) from e
    section.known((*_NAMES, "meta") if dvc else _NAMES, "a stage")
    wdir = places.folder(section.text("wdir", "."), section.at("wdir"), folder)
    check = checks.read(section, wdir)
    deps = _deps(section, wdir, check)
    stage = Stage(
        name=name,
        cmd=expectations.lines(check.tables, check.expect) if check and check.expect else _commands(section),
        deps=deps,
        check=check,
        warm=warm.read(section, wdir),
        params=_params(section, wdir, dvc),
        outs=tuple(_outs(section, wdir, dvc)),
        frozen=section.flag("frozen"),
        always_changed=section.flag("always_changed"),
        wdir=wdir,
        **environment.read(section, wdir),
        checkpoints=checkpoint_rule(section, wdir),
        **limiting.read(section),
        smoke=smoke.read(section, wdir, deps),
        desc=section.text("desc"),
        at=at,
    )
    warm.check(section, stage)
    if stage.frozen and stage.always_changed:
        raise refused(
            section.at("frozen"), "a stage is either `frozen` or `always_changed`, not both", "remove one"
        )
    return stage


def _commands(section: Section) -> tuple[str, ...]:
    commands = tuple(text for text, _ in section.texts("cmd"))
    if not commands:
        raise refused(section.at(), "this stage has no `cmd`; expected a command line", "write cmd: COMMAND")
    return commands


def _deps(section: Section, wdir: str, check: Check | None) -> tuple[str, ...]:
    found: dict[str, int] = {}
    for place, node in section.items("deps", "paths"):
        if warm.is_one(node):
            continue
        path = places.path(section.string(place, node, "text (a path)"), wdir, section.at(place, node), "dep")
        if path in found:
            first = found[path]
            raise refused(
                section.at(place, node), f"the dep {shown(path)} stands here twice; first in line {first}"
            )
        found[path] = node.line
    # What is checked is read.
    return tuple(dict.fromkeys([*found, *(check.paths if check else ())]))


def _outs(section: Section, wdir: str, dvc: bool) -> Iterator[Out]:
    for key, kind in (("outs", "out"), ("metrics", "metrics"), ("plots", "plots")):
        for place, node in section.items(key, "paths"):
            options: dict[str, bool] = {}
            if isinstance(node.value, dict):
                text, options = _option(section, place, node, dvc)
            else:
                text = section.string(place, node, "text (a path)")
            at = section.at(place, node)
            path = places.path(text, wdir, at, kind if kind == "out" else f"{kind} file")
            if path in ("rote.yaml", "rote.local.yaml") or path.endswith(".rote"):
                raise refused(at, f"{shown(path)} is a file of rote's own", "choose another path for the out")
            # Metrics and plots are reports: small, and part of what a result is.
            cached = options.get("cache", True) or kind != "out"
            yield Out(path, kind, options.get("persist", False), cached)


def _option(section: Section, place: str, node: Node, dvc: bool) -> tuple[str, dict[str, bool]]:
    """The path of an out that is written as `{path: {option: value}}`, and those of its options that mean something."""
    if len(node.value) != 1:
        raise refused(
            section.at(place, node),
            "expected one path with its options, found several",
            "begin each with `- `",
        )
    [(text, options)] = node.value.items()
    meant: dict[str, bool] = {}
    if options.value is None:
        return str(text), meant
    if isinstance(options.value, list) and dvc:
        return str(text), meant  # how a plot is drawn, several times
    if not isinstance(options.value, dict):
        raise section.wrong(f"{place}.{text}", options, "a mapping of options")
    for name, value in options.value.items():
        at = At(section.file, options.lines[name], f"{section.key}.{place}.{text}.{name}")
        if name in _MEANT:
            if not isinstance(value.value, bool):
                raise section.wrong(f"{place}.{text}.{name}", value, "true or false")
            meant[name] = value.value
        elif dvc and name in _ABOUT_REMOTES:
            continue
        elif name in _REFUSED and value.value not in (False, None):
            raise refused(at, *_REFUSED[name])
        elif name == "push" and value.value is False:
            raise refused(
                at, "every out is kept in the store", "remove `push: false`, or write `cache: false`"
            )
        elif name not in _HARMLESS and name not in _REFUSED:
            raise unknown(at, name, sorted([*_HARMLESS, *_MEANT]), "an out")
    return str(text), meant


def _params(section: Section, wdir: str, dvc: bool) -> tuple[Param, ...]:
    found: dict[Param, None] = {}
    for place, node in section.items("params", "params"):
        if isinstance(node.value, dict):
            for file, below in node.value.items():
                found.update(dict.fromkeys(_of_file(section, f"{place}.{file}", file, below, wdir)))
            continue
        text = section.string(place, node, "text (a param) or a mapping of a file to its params")
        file, colon, key = text.partition(":")
        if not colon or dvc:  # to DVC a colon is a part of the key
            file, key = DEFAULT_FILE, text
        found[Param(_file(file, wdir, section.at(place, node)), key.strip())] = None
    return tuple(found)


def _of_file(section: Section, place: str, file: str, node: Node, wdir: str) -> Iterator[Param]:
    path = _file(file, wdir, section.at(place, node))
    if node.value is None or node.value == []:
        yield Param(path, "")
        return
    if isinstance(node.value, str):
        yield Param(path, section.string(place, node))
        return
    if not isinstance(node.value, list):
        raise section.wrong(place, node, "a list of params")
    for index, each in enumerate(node.value):
        yield Param(path, section.string(f"{place}[{index}]", each, "text (a param)"))


def _file(text: str, wdir: str, at: At) -> str:
    path = places.path(text.strip(), wdir, at, "params file") if text.strip() else ""
    if not path.lower().endswith(SUFFIXES):
        raise refused(
            at,
            f"{shown(text)} is not a params file; expected one that ends with {', '.join(SUFFIXES)}",
            "write FILE:KEY with a params file, or list the file under `deps`",
        )
    return path
