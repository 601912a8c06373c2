"""Generated questions over generated runs: what SQLite answers is what the plain reading of the manual answers."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rote.errors import UsageError
from rote.laws.pipeline.query import (
    Both,
    Compare,
    Either,
    Field,
    Not,
    Null,
    Query,
    parse,
    parse_columns,
    parse_sort,
)
from rote.words.run import Run
from run_worlds import World, plant

KEYS = ("a", "b.c", "odd key", "x`y")
VALUES = st.one_of(
    st.integers(-3, 3),
    st.floats(-3, 3, allow_nan=False),
    st.sampled_from(["", "0", "a", "A", "ab", "b%", "'q'", '"', "ü", "true"]),
    st.booleans(),
)


def shown(field: Field) -> str:
    key = field.key if re.fullmatch(r"[a-z.]+", field.key) else "`" + field.key.replace("`", "``") + "`"
    return f"{field.group}.{key}" if field.group else key


def text(query: Query) -> str:
    if isinstance(query, Compare):
        value = query.value
        literal = str(value).lower() if isinstance(value, bool) else repr(value)
        if isinstance(value, str):
            literal = "'" + value.replace("'", "''") + "'"
        return f"{shown(query.field)} {query.op} {literal}"
    if isinstance(query, Null):
        return f"{shown(query.field)} is null"
    if isinstance(query, Not):
        return f"not ({text(query.inner)})"
    return (" and " if isinstance(query, Both) else " or ").join(f"({text(part)})" for part in query.parts)


own = st.builds(Field, st.sampled_from(["metrics", "params", "tags"]), st.sampled_from(KEYS))
comparisons = st.one_of(
    st.builds(
        Compare,
        own,
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        VALUES.filter(lambda v: not isinstance(v, bool)),
    ),
    st.builds(Compare, own, st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Compare, own, st.just("~"), st.sampled_from(["a%", "%B%", "_", "%", "0", "ü"])),
    st.builds(Compare, st.just(Field("", "seconds")), st.sampled_from(["<", ">="]), st.integers(0, 5)),
    st.builds(Compare, st.just(Field("", "dirty")), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Compare, st.just(Field("", "state")), st.just("="), st.sampled_from(["failed", "finished"])),
    st.builds(Null, own),
    st.builds(Null, st.just(Field("", "branch"))),
)
queries: st.SearchStrategy[Query] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Both, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Either, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
contents = st.dictionaries(st.sampled_from(["a", "odd key", "x`y"]), VALUES, max_size=3).flatmap(
    lambda top: st.one_of(st.just(top), VALUES.map(lambda v: {**top, "b": {"c": v}}))
)
runs = st.fixed_dictionaries(
    {
        "metrics": st.dictionaries(st.sampled_from(["m1.json", "m2.json"]), contents, max_size=2),
        "params": st.dictionaries(st.sampled_from(["p1.yaml", "p2.yaml"]), contents, max_size=2),
        "tags": st.dictionaries(
            st.sampled_from(KEYS[:2]), st.sampled_from(["", "a", "0", "true"]), max_size=2
        ),
        "state": st.sampled_from(["failed", "finished"]),
        "seconds": st.integers(0, 5).map(float),
    }
)


def value_of(run: Run, field: Field) -> Any:
    """The manual, read plainly."""
    if not field.group:
        return {
            "seconds": run.seconds,
            "dirty": run.commit.dirty,
            "state": run.state,
            "branch": run.commit.branch,
        }[field.key]
    if field.group == "tags":
        return run.tags.get(field.key)
    for _, content in sorted(getattr(run, field.group).items()):
        here: Any = content
        for part in field.key.split("."):
            here = here.get(part) if isinstance(here, dict) else None
        if here is not None:
            return ("true" if here else "false") if isinstance(here, bool) else here
    return None


def holds(run: Run, query: Query) -> bool:
    if isinstance(query, Null):
        return value_of(run, query.field) is None
    if isinstance(query, Not):
        return not holds(run, query.inner)
    if isinstance(query, Both):
        return all(holds(run, part) for part in query.parts)
    if isinstance(query, Either):
        return any(holds(run, part) for part in query.parts)
    here, wanted = value_of(run, query.field), query.value
    if here is None:
        return False
    if isinstance(wanted, bool) and query.field.group:
        wanted = "true" if wanted else "false"
    alike = isinstance(here, str) == isinstance(wanted, str)
    if query.op == "=":
        return alike and here == wanted
    if query.op == "!=":
        return not (alike and here == wanted)
    if not alike:
        return False
    if query.op == "~":
        pattern = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in str(wanted))
        return re.fullmatch(pattern, here, re.DOTALL | re.ASCII | re.IGNORECASE) is not None
    return {"<": here < wanted, "<=": here <= wanted, ">": here > wanted, ">=": here >= wanted}[query.op]


def same(a: Query, b: Query) -> bool:
    """Equal but for the columns."""
    return text(a) == text(b)


@given(queries)
def test_the_text_of_a_tree_is_read_as_that_tree(query: Query) -> None:
    assert same(parse(text(query)), query)


def check(made: list[dict[str, Any]], asked: list[Query]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        # a run that has every key, so that none is taken for a mistake
        every = {"a": 0, "b": {"c": 0}, "odd key": 0, "x`y": 0}
        kept = [
            world.run(metrics={"m0.json": every}, params={"p0.yaml": every}),
            *(world.run(**rest) for rest in made),
        ]
        for run in kept:
            plant(world.store, run)
        world.catalogue.sync()
        for query in asked:
            found = [row[0] for row in world.catalogue.runs(text(query), columns=["id"]).rows]
            assert found == [run.id for run in reversed(kept) if holds(run, query)], text(query)
        world.catalogue.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(runs, max_size=6), st.lists(queries, min_size=1, max_size=8))
def test_sqlite_answers_as_the_manual_reads(made: list[dict[str, Any]], asked: list[Query]) -> None:
    check(made, asked)


@pytest.mark.heavy
@settings(max_examples=1500, deadline=None)
@given(st.lists(runs, max_size=12), st.lists(queries, min_size=1, max_size=30))
def test_sqlite_answers_as_the_manual_reads_heavy(made: list[dict[str, Any]], asked: list[Query]) -> None:
    check(made, asked)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["metrics.a", "state", "nope", "params", "metrics.", "and", "or", "not", "is", "null", "(", ")", "=", "<", "~", "-", ",",
             "'x'", "'", '"', "`", "1", "1e9", "1.2.3", "true", "\n", "\0", "ü", "é\ud800", "\x1b[31m", "desc", " "]
        )
    ).map(" ".join)
    | st.text(max_size=40)
)  # fmt: skip
def test_any_text_is_read_or_refused_with_its_place(asked: str) -> None:
    for read in (parse, parse_sort, parse_columns):
        refused: UsageError | None = None
        try:
            read(asked)
        except UsageError as e:
            refused = e
        if refused:
            what, shown_text, caret = str(refused).splitlines()
            assert "column" in what
            assert caret.strip() == "^"
            assert shown_text.isprintable()
            assert len(caret) <= len(shown_text) + 1
