"""`check` and `expect` of a stage: which data it vouches for, and what is expected of that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rote.laws.gates import expectations
from rote.wiring.config import places
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused, unknown
from rote.wiring.config.section import Section
from rote.words.ids import nearest, shown
from rote.words.pipeline import At, Check, Expect, Table

ALONE: Final = "data"
"""What a table is called that has no name."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_TABLE: Final = ("path", "format", "delimiter", "header")
_QUERY: Final = ("sql", "says")
# What a command leaves, or how it is to be started: expectations are no command.
_OF_COMMANDS: Final = ("outs", "metrics", "plots", "params", "checkpoints", "trace", "env")


def read(section: Section, wdir: str) -> Check | None:
    """What makes the stage a check, or None if it is none. Raises ConfigError."""
    node = section.get("check")
    wanted = section.get("expect")
    if node is None:
        if wanted is not None:
            raise refused(
                section.at("expect"), "it is not said of what this is expected", "write check: PATH"
            )
        return None
    tables = _tables(section, node, wdir)
    if wanted is None:
        if section.get("cmd") is None:
            raise refused(
                section.at("check"),
                "this check has neither `expect` nor `cmd`",
                "write expect: [rows > 0], or the command that fails if the data is wrong",
            )
        return Check(tables=tables)
    for key in ("cmd", *_OF_COMMANDS):
        if section.get(key) is not None:
            raise refused(
                section.at(key),
                f"a stage with `expect` has no `{key}`",
                f"take `{key}` away, or make it a stage of its own",
            )
    if isinstance(node.value, list):
        raise refused(
            section.at("check"), "a list of paths has no names", "write check: {NAME: PATH, NAME: PATH}"
        )
    return Check(tables=tables, expect=tuple(_expects(section, wanted, tables)))


def _tables(section: Section, node: Node, wdir: str) -> tuple[Table, ...]:
    if isinstance(node.value, str):
        return (_table(section, "check", ALONE, node, wdir),)
    if isinstance(node.value, list):
        found = [_table(section, place, ALONE, each, wdir) for place, each in section.items("check", "paths")]
    elif isinstance(node.value, dict):
        found = []
        for name, each in node.value.items():
            at = At(section.file, node.lines[name], f"{section.key}.check.{name}")
            if not _NAME.match(name):
                raise refused(
                    at, f"{shown(name)} cannot be the name of a table", "letters, digits and _, as in train_2"
                )
            found.append(_table(section, f"check.{name}", name, each, wdir))
        folded = [table.name.lower() for table in found]
        twice = next((t.name for i, t in enumerate(found) if t.name.lower() in folded[:i]), None)
        if twice is not None:
            raise refused(
                section.at("check"), f"two tables are called {shown(twice)} but for case", "rename one"
            )
    else:
        raise section.wrong("check", node, "a path, or a mapping of names to paths")
    if not found:
        raise refused(section.at("check"), "nothing is checked", "write check: PATH")
    return tuple(found)


def _table(section: Section, place: str, name: str, node: Node, wdir: str) -> Table:
    if not isinstance(node.value, dict):
        text = section.string(place, node, "text (a path)")
        return Table(name=name, path=places.path(text, wdir, section.at(place, node), "data"))
    own = Section(node, section.file, f"{section.key}.{place}")
    own.known(_TABLE, "a table")
    path = own.get("path")
    if path is None:
        raise refused(own.at(), "this table has no `path`", "write path: PATH")
    form = own.text("format")
    if form and form not in expectations.FORMATS:
        near = nearest(form, list(expectations.FORMATS))
        raise refused(
            own.at("format"),
            f"{shown(form)} is no format; expected one of: {', '.join(expectations.FORMATS)}",
            f"did you mean {near}?" if near else None,
        )
    header = own.get("header")
    if header is not None and not isinstance(header.value, bool):
        raise own.wrong("header", header, "true or false")
    return Table(
        name=name, path=places.path(own.string("path", path), wdir, own.at("path"), "data"), format=form,
        delimiter=_delimiter(own), header=header is None or header.value,
    )  # fmt: skip


def _delimiter(own: Section) -> str:
    node = own.get("delimiter")
    if node is None:
        return ""
    if not isinstance(node.value, str) or len(node.value) != 1 or node.value in '"\r\n\0':
        raise refused(
            own.at("delimiter"),
            "a delimiter is one character, and no quote or line break",
            'write ";" or "\\t"',
        )
    return node.value


def _expects(section: Section, node: Node, tables: Sequence[Table]) -> Iterator[Expect]:
    if isinstance(node.value, dict):
        known = [table.name for table in tables]
        for name, below in node.value.items():
            at = At(section.file, node.lines[name], f"{section.key}.expect.{name}")
            if name not in known:
                raise unknown(at, name, known, "`check`")
            if not isinstance(below.value, list) or not below.value:
                raise section.wrong(f"expect.{name}", below, "a list of expectations")
            for index, each in enumerate(below.value):
                yield _expect(section, f"expect.{name}[{index}]", each, name)
        return
    if len(tables) > 1:
        raise refused(
            section.at("expect"),
            f"there are {len(tables)} tables, and it is not said of which this is expected",
            f"write expect: {{{tables[0].name}: […]}}",
        )
    if not isinstance(node.value, list) or not node.value:
        raise section.wrong("expect", node, "a list of expectations")
    for place, each in section.items("expect", "expectations"):
        yield _expect(section, place, each, tables[0].name)


def _expect(section: Section, place: str, node: Node, table: str) -> Expect:
    at = section.at(place, node)
    if isinstance(node.value, dict):
        own = Section(node, section.file, f"{section.key}.{place}")
        own.known(_QUERY, "an expectation")
        query = own.get("sql")
        if query is None:
            raise refused(
                at, "expected a condition, or `sql`", "write sql: SELECT … of what must not be there"
            )
        expect = Expect(table=table, sql=own.string("sql", query).strip(), says=own.text("says"))
    else:
        expect = Expect(table=table, text=section.string(place, node, "text (a condition) or `sql`").strip())
    expectations.parse(expect, at)
    return expect
