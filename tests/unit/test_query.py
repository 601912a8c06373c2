from __future__ import annotations

import pytest

from rote.errors import UsageError
from rote.laws.pipeline.query import (
    DEEPEST,
    LONGEST,
    Both,
    Compare,
    Either,
    Field,
    Not,
    Null,
    Order,
    Query,
    fields_of,
    parse,
    parse_columns,
    parse_sort,
)


def plain(query: Query) -> object:
    """The tree without columns."""
    if isinstance(query, Compare):
        return (str(query.field), query.op, query.value)
    if isinstance(query, Null):
        return (str(query.field), "null")
    if isinstance(query, Not):
        return ("not", plain(query.inner))
    return ("and" if isinstance(query, Both) else "or", *map(plain, query.parts))


A, B, C = (("metrics.a", ">", 1), ("state", "=", "x"), ("params.c.d", "<=", -0.5))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("metrics.a > 1", A),
        ("metrics.a>1 and state='x' or params.c.d<=-.5", ("or", ("and", A, B), C)),
        ("metrics.a > 1 or state = 'x' and params.c.d <= -5e-1", ("or", A, ("and", B, C))),
        ("metrics.a > 1 AND (state == \"x\" Or params.c.d <= -0.5)", ("and", A, ("or", B, C))),
        ("not not metrics.a > 1", ("not", ("not", A))),
        ("not metrics.a > 1 and state = 'x'", ("and", ("not", A), B)),
        ("tags.x is null", ("tags.x", "null")),
        ("tags.x is not null", ("not", ("tags.x", "null"))),
        ("run ~ '2026%'", ("id", "~", "2026%")),
        ("state <> 'it''s'", ("state", "!=", "it's")),
        ("dirty = TRUE", ("dirty", "=", True)),
        ("metrics.`val loss`.x > 1", ("metrics.val loss.x", ">", 1)),
        ("metrics.a/b.json:c-d@1 = 12345678901234567890", ("metrics.a/b.json:c-d@1", "=", 12345678901234567890.0)),
        ("((((metrics.a > 1))))", A),
    ],
)  # fmt: skip
def test_what_a_text_means(text: str, tree: object) -> None:
    assert plain(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "a condition is expected"),
        ("metrics.a >", 12, "not the end"),
        ("metrics.a", 10, "'is null' is expected"),
        ("metrics.a > 1 amd state = 'x'", 15, "'amd'"),
        ("(metrics.a > 1", 15, "for the '(' in column 1"),
        ("metrics.a > 1)", 14, "not ')'"),
        ("state = finished", 9, "quotes: 'finished'"),
        ("state = 'x", 9, "never closed"),
        ("metrics > 3", 1, "metrics needs a key"),
        ("metric.a > 3", 1, "did you mean metrics.a?"),
        ("accuracy > 3", 1, "did you mean metrics.accuracy or params.accuracy?"),
        ("stat = 'x'", 1, "did you mean state?"),
        ("state > 5", 9, "text in quotes"),
        ("seconds = 'x'", 11, "a number"),
        ("dirty = 1", 9, "true or false"),
        ("seconds ~ '1'", 11, "a number"),
        ("metrics.a < true", 13, "true is compared with = or !="),
        ("metrics.a ~ 1", 13, "text in quotes"),
        ("id is nul", 7, "'null' is expected"),
        ("1 < metrics.a", 1, "a field is expected"),
        ("metrics.a = 1.2.3", 13, "is expected"),
        ("and", 1, "a field is expected"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, column: int, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.where == f"--where, column {column}"
    assert said in caught.value.what
    assert caught.value.what.splitlines()[2].index("^") == 2 + column - 1


def test_a_long_text_is_shown_around_the_trouble() -> None:
    text = "metrics.aaaaaaaaaa = 1 and " * 50 + "nope = 1" + " and metrics.a = 1" * 50
    with pytest.raises(UsageError) as caught:
        parse(text)
    _, shown, caret = caught.value.what.splitlines()
    assert shown[caret.index("^") :].startswith("nope = 1")
    assert len(shown) < 140


def test_depth_and_length_are_bounded() -> None:
    parse("(" * (DEEPEST - 1) + "metrics.a = 1" + ")" * (DEEPEST - 1))
    with pytest.raises(UsageError, match="deeper"):
        parse("(" * 5000 + "metrics.a = 1")
    with pytest.raises(UsageError, match="deeper"):
        parse("not " * 2000 + "metrics.a = 1")
    with pytest.raises(UsageError, match="longer"):
        parse("x" * (LONGEST + 1))


def test_sort() -> None:
    a, began = Field("metrics", "a", 1), Field("", "began", 12)
    assert parse_sort("-metrics.a, began") == (Order(a, True), Order(began, False))
    assert [o.descending for o in parse_sort("id asc, metrics.a DESC,seconds")] == [False, True, False]
    for bad in ("", "id,", "-id desc", "id id", "nope", "id descending"):
        with pytest.raises(UsageError, match="--sort"):
            parse_sort(bad)


def test_columns() -> None:
    assert [str(f) for f in parse_columns("id, metrics.a.b ,tags.x")] == ["id", "metrics.a.b", "tags.x"]
    with pytest.raises(UsageError, match="--columns"):
        parse_columns("id metrics.a")


def test_fields_in_the_order_of_the_text() -> None:
    query = parse("not metrics.b = 1 and (tags.x is null or seconds > 2) and metrics.b < 3")
    assert [str(f) for f in fields_of(query)] == ["metrics.b", "tags.x", "seconds", "metrics.b"]
    assert isinstance(parse("id = 'a' or id = 'b' or id = 'c'"), Either)
