"""What of a stage's surroundings decides its result, and how the stage is watched: `env`, `trace`, `strict`."""

from __future__ import annotations

import re
from typing import Final, TypedDict

from rote.wiring.config import places
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.ids import nearest, shown

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_IMAGE = re.compile(r"(.*@)?[a-z0-9]+:[0-9a-f]{32,}\Z")
_PARTS: Final = ("vars", "locks", "image", "python")
_TRACES: Final = ("python", "strace", "off")


class Surroundings(TypedDict):
    """The fields of a Stage that are read here."""

    env: tuple[str, ...]
    locks: tuple[str, ...]
    image: str
    python: bool
    trace: str
    strict: bool


def read(section: Section, wdir: str) -> Surroundings:
    """The keys `env`, `trace` and `strict` of a stage. Raises ConfigError."""
    node = section.get("env")
    if node is None or not isinstance(node.value, dict):
        found = Surroundings(
            env=_names(section, "env"), locks=(), image="", python=False, trace="python", strict=False
        )
    else:
        found = _mapping(Section(node, section.file, f"{section.key}.env"), wdir)
    found["trace"] = _trace(section)
    found["strict"] = section.flag("strict")
    return found


def _mapping(env: Section, wdir: str) -> Surroundings:
    env.known(_PARTS, "env")
    locks: dict[str, None] = {}
    for text, node in env.texts("locks"):
        locks[places.path(text, wdir, env.at("locks", node), "lock file")] = None
    return Surroundings(
        env=_names(env, "vars"),
        locks=tuple(locks),
        image=_image(env),
        python=env.flag("python"),
        trace="python",
        strict=False,
    )


def _names(section: Section, key: str) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for place, node in section.items(key, "names"):
        name = section.string(place, node, "text (the name of a variable)")
        if not _NAME.match(name):
            hint = (
                f"write {name.partition('=')[0]}; its value is taken from the environment"
                if "=" in name
                else None
            )
            raise refused(section.at(place, node), f"{shown(name)} is not the name of a variable", hint)
        names[name] = None
    return tuple(names)


def _image(env: Section) -> str:
    text = env.text("image")
    if text and not _IMAGE.match(text):
        raise refused(
            env.at("image", _node(env, "image")),
            f"{shown(text)} is not the digest of an image; a tag may name another image tomorrow",
            "write sha256:…, as `docker image inspect --format '{{.Id}}' NAME` prints it",
        )
    return text


def _trace(section: Section) -> str:
    text = section.text("trace", "python")
    if text not in _TRACES:
        meant = nearest(text, list(_TRACES))
        raise refused(
            section.at("trace", _node(section, "trace")),
            f"expected one of {', '.join(_TRACES)}, found {shown(text)}",
            f"did you mean {meant}?" if meant else "remove `trace`",
        )
    return text


def _node(section: Section, key: str) -> Node | None:
    return section.get(key)
