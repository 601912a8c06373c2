"""`model:NAME@REF` and `previous: PATH` among a stage's deps: what it goes on from."""

from __future__ import annotations

from typing import Final

from rote.errors import BadName
from rote.laws.models import versions
from rote.wiring.config import places
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.ids import name as model_name
from rote.words.ids import nearest, shown
from rote.words.pipeline import Stage, Warm

_MODEL: Final = "model:"
_PREVIOUS: Final = "previous"


def is_one(node: Node) -> bool:
    """Whether a dep is a warm start, or is meant to be one."""
    return isinstance(node.value, dict) or (isinstance(node.value, str) and node.value.startswith(_MODEL))


def read(section: Section, wdir: str) -> tuple[Warm, ...]:
    """The warm starts among `deps`. Raises ConfigError."""
    found: dict[str, Warm] = {}
    for place, node in section.items("deps", "paths"):
        if not is_one(node):
            continue
        one = (
            _previous(section, place, node, wdir)
            if isinstance(node.value, dict)
            else _model(section, place, node)
        )
        if one.text in found:
            raise refused(section.at(place, node), f"{shown(one.text)} stands here twice", "take one out")
        found[one.text] = one
    return tuple(found.values())


def _model(section: Section, place: str, node: Node) -> Warm:
    at = section.at(place, node)
    text = section.string(place, node).removeprefix(_MODEL)
    model, found, ref = text.partition("@")
    try:
        model_name(model, "model name")
        if not found:
            raise BadName("it names no version", next=None)
        if ref[:1].isdigit():
            versions.parse(ref)
        else:
            versions.alias(ref)
    except BadName as e:
        raise refused(
            at,
            f"{shown(text)} is no version of a model: {e.what}",
            "write model:NAME@ALIAS, as model:digits@prod",
        ) from e
    return Warm(model=model, ref=ref)


def _previous(section: Section, place: str, node: Node, wdir: str) -> Warm:
    if list(node.value) != [_PREVIOUS]:
        raise refused(
            section.at(place, node),
            "expected a path, model:NAME@ALIAS, or previous: OUT",
            "write - previous: OUT",
        )
    text = section.string(f"{place}.{_PREVIOUS}", node.value[_PREVIOUS], "text (a path)")
    return Warm(path=places.path(text, wdir, section.at(place, node), "out"))


def check(section: Section, stage: Stage) -> None:
    """Refuse an earlier result of something that the stage does not make, or that the store does not keep."""
    outs = {out.path: out for out in stage.outs}
    for one in stage.warm:
        if one.model:
            continue
        out = outs.get(one.path)
        if out is None:
            near = nearest(one.path, list(outs))
            raise refused(
                section.at("deps"),
                f"`previous` names {shown(one.path)}, which this stage does not make",
                f"did you mean {shown(near)}?" if near else "name one of its outs",
            )
        if stage.wdir != "." and not out.path.startswith(f"{stage.wdir}/"):
            raise refused(
                section.at("deps"),
                f"{shown(one.path)} lies outside of the stage's `wdir`",
                "change `wdir`, or the out",
            )
        if not out.cache:
            raise refused(
                section.at("deps"), f"{shown(one.path)} is not kept in the store", "take `cache: false` away"
            )
