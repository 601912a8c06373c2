"""dvc.yaml -> rote.yaml: the same stages in the same words, without what rote has no use for."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import yaml

from rote.wiring.config import yamltext
from rote.wiring.config.expressions import Options
from rote.wiring.config.nodes import Node
from rote.wiring.config.params import SUFFIXES
from rote.wiring.config.vocabulary import OPTIONS
from rote.words.pipeline import Pipeline

_SHOWING: Final = ("metrics", "plots", "params", "artifacts")
"""Keys at the top of a dvc.yaml that are no part of the stages."""
_REMOTES: Final = ("remote", "push", "checkpoint")


class Converted(msgspec.Struct, frozen=True):
    """A rote.yaml: its path, its text, and what is worth knowing about it."""

    file: str
    text: str
    notes: tuple[str, ...] = ()


def convert(
    texts: Mapping[str, str],
    pipeline: Pipeline,
    before: str,
    unreadable: Collection[str],
    options: Options = Options(),
) -> list[Converted]:
    """The rote.yaml files for these dvc.yaml files (path -> text), the root's first. `before` is the text of the
    rote.yaml that is there; `unreadable` are entries whose metrics files hold more than numbers; `options` are those of
    `[parsing]` in `.dvc/config`."""
    folders = [posixpath.dirname(file) for file in texts if posixpath.dirname(file)]
    found = []
    for file, text in {"dvc.yaml": "", **texts}.items():
        folder = posixpath.dirname(file)
        body, notes = _body(text, file, {name.partition(":")[2] if folder else name for name in unreadable})
        if not folder:
            head = [before.rstrip() + "\n"] if before.strip() else []
            head += ["# The stages of dvc.yaml, taken over by `rote import dvc`.\n"]
            if folders:
                head.append(_dumped({"pipelines": sorted(folders)}))
            if options != Options():
                head.append(_dumped({"options": _options(options)}))
            if pipeline.models and "\nmodels:" not in f"\n{before}":
                head.append(
                    _dumped({"models": {m.name: _model(m.files, m.desc) for m in pipeline.models.values()}})
                )
            body = "\n".join([*head, body])
        found.append(Converted(posixpath.join(folder, "rote.yaml"), body.rstrip() + "\n", notes))
    return found


def _options(options: Options) -> dict[str, str]:
    return {
        name: OPTIONS[name][1] for name, other in (("bool", options.off), ("list", options.each)) if other
    }


def _model(files: tuple[str, ...], desc: str) -> dict[str, Any]:
    return {"desc": desc, "files": list(files)} if desc else {"files": list(files)}


def _body(text: str, file: str, unreadable: set[str]) -> tuple[str, tuple[str, ...]]:
    node = yamltext.read(text, file)
    if not isinstance(node.value, dict):
        return "", ()
    content: dict[str, Any] = {
        name: below.bare() for name, below in node.value.items() if name not in _SHOWING
    }
    notes = [
        f"{file}: `{name}` is only for showing, and is left out"
        for name in ("metrics", "plots", "params")
        if name in node.value
    ]
    changed = []
    for name, entry in (content.get("stages") or {}).items():
        body = entry.get("do", entry)
        changed += [f"{file}: stages.{name}: {told}" for told in _cleaned(body, name in unreadable)]
    if changed or any(node.plain for node in node.value.values()):
        return _dumped(content), (*notes, *changed, f"{file}: its comments are not in the new file")
    return _without(text, node), tuple(notes)


def _cleaned(body: dict[str, Any], unreadable: bool) -> list[str]:
    """Take out of a stage what rote has no use for; what that was."""
    told = []
    if body.pop("meta", None) is not None:
        told.append("`meta` is left out")
    if not any(
        body.get(key) for key in ("deps", "params", "outs", "metrics", "plots", "frozen", "always_changed")
    ):
        body["always_changed"] = True
        told.append("it has neither deps nor outs, so it is `always_changed`, as to DVC")
    for kind in ("outs", "metrics", "plots"):
        for index, item in enumerate(body.get(kind) or []):
            if isinstance(item, dict):
                [(path, options)] = item.items()
                kept = (
                    {k: v for k, v in (options or {}).items() if k not in _REMOTES}
                    if isinstance(options, dict)
                    else {}
                )
                if kept != (options or {}):
                    told.append(f"the options of {path} that are about remotes or drawing are left out")
                    body[kind][index] = {path: kept} if kept else path
    moved = [
        item for item in body.get("metrics") or [] if unreadable or not _path(item).lower().endswith(SUFFIXES)
    ]
    if moved:
        told.append(f"{', '.join(map(_path, moved))} holds more than numbers, so it is an out")
        body["metrics"] = [item for item in body["metrics"] if item not in moved]
        body["outs"] = [*(body.get("outs") or []), *(_path(item) for item in moved)]
        if not body["metrics"]:
            del body["metrics"]
    return told


def _path(item: Any) -> str:
    return str(next(iter(item))) if isinstance(item, dict) else str(item)


def _without(text: str, node: Node) -> str:
    """The text without the keys at the top that are only for showing; comments stay."""
    lines = text.splitlines(keepends=True)
    begins = sorted(node.lines.values())
    for name in _SHOWING:
        if name in node.lines:
            begin = node.lines[name]
            end = next((line for line in begins if line > begin), len(lines) + 1)
            lines[begin - 1 : end - 1] = [""] * (end - begin)
    return "".join(lines)


def _dumped(content: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=10_000)
    return text
