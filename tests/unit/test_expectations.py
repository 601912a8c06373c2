"""What an expectation says, and what the engine is asked to find out."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.laws.gates import expectations as law
from rote.words.pipeline import At, Expect, Table

AT = At("rote.yaml", 7, "stages.sound.expect[0]")


def parse(text: str, sql: str = "", says: str = "") -> law.Expectation:
    return law.parse(Expect(table="data", text=text, sql=sql, says=says), AT)


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("rows > 1000", ("count(*)", ">", "1000")),
        ("ROWS>1000", ("count(*)", ">", "1000")),
        ("1000 < rows", ("1000", "<", "count(*)")),
        ("classes >= 10", ("classes(label)", ">=", "10")),
        ("classes(kind) != 3", ("classes(kind)", "<>", "3")),
        ("null_rate(label) == 0", ("null_rate(label)", "=", "0")),
        ("max(w) <= 3 * avg(w)", ("max(w)", "<=", "3 * avg(w)")),
        ("max(rows) > 1", ("max(count(*))", ">", "1")),
        ('max("rows") > 1', ('max("rows")', ">", "1")),
        ("max(t.rows) > 1", ("max(t.count(*))", ">", "1")),
        ("min(name) >= 'a > b'", ("min(name)", ">=", "'a > b'")),
        ("count(*) FILTER (WHERE w > 3) < 9", ("count(*) FILTER (WHERE w > 3)", "<", "9")),
        ("sum(w::DOUBLE) > 1", ("sum(w::DOUBLE)", ">", "1")),
    ],
)
def test_a_comparison_has_two_sides(text: str, measured: tuple[str, str, str]) -> None:
    assert parse(text).measured == measured


def test_unique_and_every_are_no_comparisons() -> None:
    assert parse("unique( id , lower(name) )").args == ("id", "lower(name)")
    assert parse("every(w > 0 AND w < 9)").left == "w > 0 AND w < 9"
    assert parse("Every(w = 1)").kind == law.EVERY
    assert parse("unique(id) = 3").kind == law.COMPARE, "more than the call: SQL has to know it"


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("null_rate(label) = 0", "(label) IS NULL"),
        ("nulls(label) <= 3", "(label) IS NULL"),
        ("null_rate(label) > 0.5", ""),
        ("min(w) >= 0", "NOT ((w) >= (0))"),
        ("max(w) < 9", "NOT ((w) < (9))"),
        ("min(w) <= 9", ""),
        ("max(w) < avg(w)", ""),
        ("rows > 3", ""),
        ("every(w > 0)", "(w > 0\n) IS NOT TRUE"),
    ],
)
def test_the_rows_because_of_which_it_does_not_hold(text: str, condition: str) -> None:
    assert law.offending(parse(text)) == condition


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("rows", "nothing is compared (column 5)"),
        ("rows >", "something is missing here (column 7)"),
        ("> 3", "something is missing here (column 1)"),
        ("1 < rows < 3", "this compares twice; write two expectations (column 10)"),
        ("unique()", "unique(…) names columns (column 1)"),
        ("unique(a,)", "unique(…) names columns (column 1)"),
        ("every()", "every(…) holds a condition (column 1)"),
        ("every(w > 0", "'(' is not closed (column 6); in YAML's [ ] an entry with a comma needs quotes"),
        ("day) > 1", "')' closes nothing (column 4); in YAML's [ ] an entry with a comma needs quotes"),
        (
            "rows > 3; DROP TABLE data",
            "one expectation is one expression; ';' has no meaning here (column 9)",
        ),
        ("min(a) > 'x", "this quote is not closed (column 10)"),
        ("rows > \0", "a NUL has no meaning here (column 8)"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    first, line, mark = str(caught.value).splitlines()
    assert first == f"rote.yaml:7: stages.sound.expect[0]: this cannot be read: {what}"
    assert line.strip() == text.replace("\0", "?").strip()
    assert mark.endswith("^")


def test_a_long_one_is_not_shown_whole() -> None:
    with pytest.raises(ConfigError, match=r"this compares twice.*character 308") as caught:
        parse("rows" + " " * 299 + "< " + "1 > 2" + " " * 100)
    assert len(str(caught.value)) < 300
    with pytest.raises(ConfigError, match="longer than 10,000"):
        parse("rows > " + "1" * 10_000)


def test_a_query_is_taken_as_it_is() -> None:
    found = parse("", sql="SELECT *\n  FROM data ;", says="")
    assert (found.kind, found.left, found.text) == (
        law.QUERY,
        "SELECT *\n  FROM data ",
        "SELECT * FROM data ;",
    )
    assert parse("", sql="SELECT 1", says="no ones").text == "no ones"
    with pytest.raises(ConfigError, match="';' has no meaning"):
        parse("", sql="SELECT 1; SELECT 2")


def test_what_stands_for_the_commands_in_the_stage_key() -> None:
    """docs/format.md, 7.1."""
    tables = [
        Table(name="a", path="x.csv"),
        Table(name="b", path="y", format="csv", delimiter="\t", header=False),
    ]
    expects = [Expect(table="a", text="rows > 1"), Expect(table="b", sql="SELECT 1", says="x")]
    assert law.lines(tables, expects) == (
        "table a: x.csv",
        'table b: y format=csv delimiter="\\t" header=false',
        "expect a: rows > 1",
        "none b: SELECT 1",
    )


@pytest.mark.parametrize(
    ("code", "tail", "why"),
    [
        (
            1,
            b"holds   rows > 1\n\n1 of 2 expectations does not hold\na: b\n",
            "1 of 2 expectations does not hold\n  | a: b",
        ),
        (2, b"\nthere is no column 'x'\n", "there is no column 'x'"),
        (-9, b"\nx\n", ""),
        (3, b"\nx\n", ""),
    ],
)
def test_why_a_check_did_not_pass(code: int, tail: bytes, why: str) -> None:
    assert law.told(code, tail) == why
