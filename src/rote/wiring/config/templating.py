"""Templates in rote.yaml: Nodes with `${…}` in them -> Nodes without, which keep the lines they were written in."""

from __future__ import annotations

from typing import Any

from rote.errors import ConfigError
from rote.wiring.config.context import Context
from rote.wiring.config.expressions import OPEN, BadTemplate, Options, is_in, templates, unescaped, written
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.wiring.config.sources import Sources
from rote.words.ids import nearest, shown
from rote.words.pipeline import At

DEFAULT = "params.yaml"


class Templating:
    """Resolves the templates of one pipeline file, in the folder `folder` of the project (`.` for its root). `options`
    says how mappings stand in commands."""

    def __init__(self, file: str, folder: str, sources: Sources, options: Options) -> None:
        self._options = options
        self._file = file
        self.folder = folder
        self._sources = sources
        self._loaded: dict[str, set[str] | None] = {}
        self.context = Context()

    def begin(self, section: Section) -> None:
        """Take what all stages of the file may name: params.yaml beside it, and `vars`. Raises ConfigError."""
        default = self._path(self.folder, DEFAULT)
        if OPEN not in self._sources.text(self._file) and section.get("vars") is None:
            return  # nothing names a value
        values = self._sources.values(default)
        if values is not None:
            self.context.merge(values, default)
            self._loaded[default] = None
        self.context = self._grown(self.context, section, self.folder, self._loaded)

    def own(self, section: Section, wdir: str, context: Context) -> Context:
        """The context of a stage, which may have `vars` of its own. Raises ConfigError."""
        return (
            self._grown(context, section, wdir, dict(self._loaded))
            if section.get("vars") is not None
            else context
        )

    def _grown(
        self, context: Context, section: Section, folder: str, loaded: dict[str, set[str] | None]
    ) -> Context:
        grown = context.copy()
        for place, node in section.items("vars", "files and mappings"):
            at = section.at(place, node)
            if _has_template(node):
                raise refused(
                    at,
                    "a template stands in `vars`, where it could refer to itself",
                    "write the value itself",
                )
            try:
                if isinstance(node.value, dict):
                    grown.merge(node.bare(), f"{self._file}:{node.line}")
                else:
                    text = section.string(place, node, "text (FILE or FILE:KEY,KEY) or a mapping")
                    self._load(grown, text, folder, at, loaded)
            except BadTemplate as e:
                raise refused(at, str(e), e.next) from e
        return grown

    def _load(
        self, context: Context, text: str, folder: str, at: At, loaded: dict[str, set[str] | None]
    ) -> None:
        name, _, names = text.partition(":")
        file = self._path(folder, name.strip())
        keys = [key.strip() for key in names.split(",") if key.strip()]
        before = loaded.get(file, set())
        if before is None and not keys:
            return  # the whole file may be named again
        if before is None or (before and (not keys or before & set(keys))):
            raise refused(at, f"{shown(text)} was taken already", "name each file, or each of its keys, once")
        values = self._sources.values(file, at) or {}
        for key in keys:
            if key not in values:
                near = nearest(key, list(values))
                raise refused(at, f"{file} has no {shown(key)}", f"did you mean {near}?" if near else None)
        context.merge({key: values[key] for key in keys} if keys else values, file)
        loaded[file] = before | set(keys) if keys else None

    @staticmethod
    def _path(folder: str, name: str) -> str:
        return name if folder == "." else f"{folder}/{name}"

    def node(self, node: Node, context: Context, key: str) -> Node:
        """The value without templates. Raises ConfigError, whose key begins with `key`."""
        value: Any = node.value
        if isinstance(value, str):
            return self._text(node, context, key)
        if isinstance(value, list):
            done = [self.node(each, context, f"{key}[{i}]") for i, each in enumerate(value)]
            return node.having(done)
        if isinstance(value, dict):
            return self._mapping(node, context, key)
        return node

    def _mapping(self, node: Node, context: Context, key: str) -> Node:
        done = node.having({})
        for name, below in node.value.items():
            full, line = name, node.lines.get(name, node.line)
            if OPEN in name:
                try:
                    full = self._joined(name, context, flags=None)
                except BadTemplate as e:
                    raise self._bad(e, line, f"{key}.{name}") from e
            if full in done.value:
                raise refused(
                    At(self._file, line, f"{key}.{name}"), f"the key {shown(full)} stands here twice"
                )
            done.value[full] = self.node(below, context, f"{key}.{full}")
            done.lines[full] = line
        return done

    def _text(self, node: Node, context: Context, key: str) -> Node:
        text: str = node.value
        if OPEN not in text:
            return node
        try:
            found = list(templates(text))
            if len(found) == 1 and found[0].text == text:
                value = context.value(found[0].steps)
                if isinstance(value, dict | list):
                    value = written(value, flags=self._how(key))
            else:
                value = self._joined(text, context, flags=self._how(key))
        except BadTemplate as e:
            raise self._bad(e, node.line, key) from e
        shown_as = value if isinstance(value, str) else written(value)
        return Node(value, node.line, node.start, node.end, shown_as, settled=True)

    def _how(self, key: str) -> Options | None:
        """How a mapping is written there, if that is a command."""
        return self._options if key.rpartition(".")[2].partition("[")[0] == "cmd" else None

    def _joined(self, text: str, context: Context, *, flags: Options | None) -> str:
        parts, at = [], 0
        for template in templates(text):
            try:
                value = written(context.value(template.steps), flags=flags)
            except BadTemplate as e:
                raise BadTemplate(
                    f"{template.text}: {e}" if str(e).startswith("it is") else str(e), e.next
                ) from e
            parts += [text[at : template.start], value]
            at = template.end
        return unescaped("".join([*parts, text[at:]]))

    def data(self, node: Node, context: Context, key: str) -> Any:
        """What `foreach` or `matrix` goes through: a value without places. Raises ConfigError."""
        value = node.value
        if isinstance(value, str) and OPEN in value:
            try:
                found = list(templates(value))
                if len(found) == 1 and found[0].text == value:
                    return context.value(found[0].steps)
                return self._joined(value, context, flags=None)
            except BadTemplate as e:
                raise self._bad(e, node.line, key) from e
        if isinstance(value, list):
            return [self.data(each, context, f"{key}[{i}]") for i, each in enumerate(value)]
        if isinstance(value, dict):
            return {name: self.data(each, context, f"{key}.{name}") for name, each in value.items()}
        return value

    def _bad(self, e: BadTemplate, line: int, key: str) -> ConfigError:
        return refused(At(self._file, line, key), str(e), e.next)


def _has_template(node: Node) -> bool:
    if isinstance(node.value, dict):
        return any(is_in(name) or _has_template(below) for name, below in node.value.items())
    if isinstance(node.value, list):
        return any(_has_template(below) for below in node.value)
    return isinstance(node.value, str) and is_in(node.value)
