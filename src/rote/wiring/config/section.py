"""A mapping of rote.yaml that is being read: each value asked for by name and type, with its place in every error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rote.errors import ConfigError
from rote.wiring.config.expressions import is_in
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused, unknown
from rote.wiring.config.scalars import surprise
from rote.words.ids import shown
from rote.words.pipeline import At


class Section:
    """One mapping under `key`, in `file`."""

    def __init__(self, node: Node, file: str, key: str) -> None:
        self.node = node
        self.file = file
        self.key = key

    def at(self, name: str = "", node: Node | None = None) -> At:
        """The place of the section, of one of its keys, or of a value under such a key."""
        key = ".".join(part for part in (self.key, name) if part)
        line = node.line if node else self.node.lines.get(name.partition("[")[0], self.node.line)
        return At(self.file, line, key)

    def known(self, names: Sequence[str], owner: str) -> None:
        """Raise ConfigError for the first key that is not one of `names`."""
        for name in self.node.value:
            if name in names:
                continue
            raise unknown(self.at(name), name, names, owner)

    def wrong(self, name: str, node: Node, expected: str) -> ConfigError:
        """The error for a value of another type than `expected`."""
        found = (
            node.kind
            if not isinstance(node.value, str | int | float)
            else f"{node.kind} ({shown(node.text)})"
        )
        hint = None
        if isinstance(node.value, int | float) and expected.startswith(("text", "a list of text")):
            hint = f'quote it: "{node.text}"'
        elif isinstance(node.value, str) and node.plain and surprise(node.text):
            hint = "YAML 1.2 knows true and false only; yes, no, on and off are text"
        elif isinstance(node.value, str) and expected.startswith("a list"):
            hint = f"write [{node.text}], or a line `- {node.text}` below the key"
        return refused(self.at(name, node), f"expected {expected}, found {found}", hint)

    def get(self, name: str) -> Node | None:
        """The value of a key; None where it is not there. A key with nothing after it is as if it were not there."""
        node: Node | None = self.node.value.get(name)
        return None if node is None or node.value is None else node

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        node = self.get(name)
        if node is None:
            return default
        return self.string(name, node)

    def string(self, name: str, node: Node, expected: str = "text") -> str:
        """The node as a text that is not empty and has no template in it."""
        if not isinstance(node.value, str):
            raise self.wrong(name, node, expected)
        if not node.value.strip():
            raise refused(self.at(name, node), f"expected {expected}, found an empty one", None)
        if not node.settled and is_in(node.value):
            raise refused(
                self.at(name, node),
                "a template stands here; templates are for stages only",
                "write the value itself",
            )
        return node.value

    def flag(self, name: str) -> bool:
        """True or false."""
        node = self.get(name)
        if node is None:
            return False
        if not isinstance(node.value, bool):
            raise self.wrong(name, node, "true or false")
        return node.value

    def items(self, name: str, of: str = "text") -> Iterator[tuple[str, Node]]:
        """The elements of a list, each with the name of its place (`deps[0]`)."""
        node = self.get(name)
        if node is None:
            return
        if not isinstance(node.value, list):
            raise self.wrong(name, node, f"a list of {of}")
        for index, each in enumerate(node.value):
            yield f"{name}[{index}]", each

    def texts(self, name: str) -> list[tuple[str, Node]]:
        """A list of texts; a single text stands for a list of one."""
        node = self.get(name)
        if node is not None and isinstance(node.value, str):
            return [(self.string(name, node), node)]
        return [(self.string(place, each), each) for place, each in self.items(name)]

    def sections(self, name: str, owner: str) -> Iterator[tuple[str, Section]]:
        """The mappings under a mapping of names."""
        node = self.get(name)
        if node is None:
            return
        if not isinstance(node.value, dict):
            raise self.wrong(name, node, f"a mapping of names to {owner}")
        for each, below in node.value.items():
            key = f"{self.key}.{name}.{each}" if self.key else f"{name}.{each}"
            below_at = At(self.file, node.lines[each], key)
            if below.value is None:
                raise refused(
                    below_at, f"expected {owner[:-1]} (a mapping), found nothing", "write its keys below it"
                )
            if not isinstance(below.value, dict):
                raise refused(below_at, f"expected {owner[:-1]} (a mapping), found {below.kind}", None)
            section = Section(below, self.file, key)
            section.node.line = node.lines[each]
            yield each, section
