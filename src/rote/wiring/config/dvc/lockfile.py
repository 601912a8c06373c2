"""`dvc.lock`, entries of DVC's cache of runs, and `.dvc` files: YAML text -> marks."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

from rote.laws.data.dvcsums import is_sum
from rote.wiring.config import places, yamltext
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.words.foreign import Made, Mark, Pinned
from rote.words.ids import shown
from rote.words.pipeline import At

_REMADE: Final = "dvc repro makes it anew; or delete it, then rote runs the stages"


def lock(text: str, file: str) -> dict[str, Node]:
    """The entries of a dvc.lock by stage name. Raises ConfigError."""
    node = yamltext.read(text, file)
    if node.value is None:
        return {}
    at = At(file, node.line)
    if not isinstance(node.value, dict):
        raise refused(at, f"expected a mapping, found {node.kind}", _REMADE)
    schema = node.value.get("schema")
    if schema is None:  # that of DVC 1
        return dict(node.value)
    if str(schema.value) != "2.0":
        raise refused(
            At(file, schema.line, "schema"), f"this rote reads dvc.lock of schema 2.0, not {schema.text}"
        )
    stages = node.value.get("stages")
    if stages is None or stages.value is None:
        return {}
    if not isinstance(stages.value, dict):
        raise refused(At(file, stages.line, "stages"), f"expected a mapping, found {stages.kind}", _REMADE)
    return dict(stages.value)


def run(text: str, file: str, wdir: str) -> Made | None:
    """An entry of the cache of runs, for a stage that runs in `wdir`. Raises ConfigError."""
    return made(yamltext.read(text, file), wdir, At(file, 1))


def made(node: Node, wdir: str, at: At) -> Made | None:
    """An entry of a stage that runs in `wdir`; None if it says what rote cannot compare (a URL, a database).

    Raises ConfigError if it is damaged.
    """
    content = node.bare()
    if not isinstance(content, dict) or "cmd" not in content:
        raise refused(at, "this entry has no `cmd`", _REMADE)
    cmd = content["cmd"]
    deps = _marks(content.get("deps"), wdir, at, "deps")
    outs = _marks(content.get("outs"), wdir, at, "outs")
    params = content.get("params") or {}
    if deps is None or outs is None or not isinstance(params, dict):
        return None
    return Made(
        cmd=tuple(str(line) for line in cmd) if isinstance(cmd, list) else (str(cmd),),
        deps=deps,
        params={
            _joined(wdir, file): values or {}
            for file, values in params.items()
            if isinstance(values or {}, dict)
        },
        outs=outs,
        at=at,
    )


def _marks(items: Any, wdir: str, at: At, kind: str) -> dict[str, Mark] | None:
    found: dict[str, Mark] = {}
    for item in items or []:
        if not isinstance(item, dict) or not isinstance(item.get("path"), str):
            raise refused(At(at.file, at.line, f"{at.key}.{kind}"), "an entry has no `path`", _REMADE)
        mark = mark_of(item)
        path = _joined(wdir, item["path"])
        if mark is None or path.startswith(("/", "../")) or "://" in path:
            return None
        found[path] = mark
    return found


def mark_of(item: Mapping[str, Any]) -> Mark | None:
    """The mark of an item with `md5`, `hash`, `isexec`; None if it has no md5."""
    digest = item.get("md5")
    if not is_sum(digest):
        return None
    return Mark(str(digest), legacy=item.get("hash") is None, executable=item.get("isexec") is True)


def _joined(wdir: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(wdir, path))


def pins(text: str, file: str) -> list[Pinned]:
    """What a `.dvc` file pins. Raises ConfigError."""
    node = yamltext.read(text, file)
    at = At(file, 1)
    if not isinstance(node.value, dict) or "outs" not in node.value:
        raise refused(at, "this is no file of DVC's: it has no `outs`", "take it from git again")
    if "cmd" in node.value:
        line = node.value["cmd"].line
        raise refused(
            At(file, line, "cmd"),
            "a stage in a .dvc file is of DVC before version 1, which rote does not read",
            "write the stage into dvc.yaml",
        )
    wdir = node.value["wdir"].value if "wdir" in node.value else "."
    base = posixpath.normpath(posixpath.join(posixpath.dirname(file) or ".", str(wdir or ".")))
    outs = node.value["outs"]
    found = []
    for index, out in enumerate(outs.value if isinstance(outs.value, list) else []):
        item = out.bare() if isinstance(out.value, dict) else {}
        here = At(file, out.line, f"outs[{index}]")
        if not isinstance(item.get("path"), str):
            raise refused(here, "this entry has no `path`", "take the file from git again")
        mark = mark_of(item)
        if mark is None:
            what = (
                "it is kept by versions of a cloud"
                if "cloud" in item or "files" in item
                else "it has no `md5`"
            )
            raise refused(
                here, f"rote reads data that has an md5: {shown(item['path'])}: {what}", "leave it to DVC"
            )
        found.append(
            Pinned(
                path=places.path(item["path"], base, here, "data"),
                mark=mark,
                files=int(item.get("nfiles") or 1),
                size=int(item.get("size") or 0),
                remote=item.get("remote"),
                at=here,
            )
        )
    return found
