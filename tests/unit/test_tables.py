"""Data as tables: what is read, what is told of it, and what of hostile data."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from rote import expecting
from rote.adapters.tables.asking import Verdict
from rote.errors import RoteError, StageFailed
from rote.words.pipeline import Check, Expect, Table


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def look(path: str, *texts: str, sql: str = "", **options: object) -> list[Verdict]:
    expect = [Expect(table="data", text=text) for text in texts]
    expect += [Expect(table="data", sql=sql)] if sql else []
    return expecting.look(Check(tables=(Table(name="data", path=path, **options),), expect=tuple(expect)))  # type: ignore[arg-type]  # options


def told(path: str, text: str, **options: object) -> str:
    """The verdict in a line; without one, the error."""
    try:
        [verdict] = look(path, text, **options)
    except RoteError as e:
        return f"{type(e).__name__}: {e}"
    return " | ".join(["holds" if verdict.holds else "fails", verdict.measured, *verdict.rows])


PEOPLE = "id,label,width\n1,a,1.5\n2,,2\n2,b,nan\n3,c,\n"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("rows = 4", "holds | it is 4"),
        ("rows > 4", "fails | it is 4"),
        ("null_rate(label) = 0", "fails | it is 0.25 | row 2: id = 2, label = null"),
        ("nulls(width) = 0", "fails | it is 2 | row 3: id = 2, width = null | row 4: id = 3, width = null"),
        ("unique(id)", "fails | 1 row repeats what another has | row 2: id = 2 | row 3: id = 2"),
        ("unique(id, label)", "holds | "),
        ("unique(label)", "holds | "),
        ("classes >= 4", "fails | it is 3 | 'a' (1), 'b' (1), 'c' (1)"),
        ("min(width) > 1.5", "fails | it is 1.5 | row 1: id = 1, width = 1.5"),
        ("max(width) <= 2", "holds | it is 2.0"),
        ("every(width > 1.5)", "fails | it is not true of 3 rows | row 1: id = 1, width = 1.5 | row 3: id = 2, width = null | row 4: id = 3, width = null"),
        ("every(width IS NULL OR width > 0)", "holds | "),
        ("max(width) < avg(width)", "fails | it is 2.0, and avg(width) is 1.75"),
        ("avg(width) > max(nope)", "fails | there is no column 'nope' (there are: id, label, width)"),
        ("unique(lable)", "fails | there is no column 'lable' (did you mean 'label'?)"),
        ("sum(label) > 1", "fails | the engine cannot do this: "),
    ],
)  # fmt: skip
def test_what_is_told(here: Path, text: str, verdict: str) -> None:
    (here / "d.csv").write_text(PEOPLE)
    assert told("d.csv", text).startswith(verdict)


def test_one_that_cannot_be_asked_does_not_hide_the_others(here: Path) -> None:
    (here / "d.csv").write_text(PEOPLE)
    found = look("d.csv", "rows > 1", "unique(nope)", "unique(id)", sql="SELECT nope FROM data")
    assert [v.holds for v in found] == [True, False, False, False]


def test_a_query_finds_what_must_not_be_there(here: Path) -> None:
    (here / "d.csv").write_text(PEOPLE)
    [found] = look("d.csv", sql="SELECT label, width FROM data WHERE id = 2 -- both")
    assert (found.holds, found.measured) == (False, "it finds 2 rows")
    assert found.rows == ["label = null, width = 2.0", "label = 'b', width = null"]
    [found] = look("d.csv", sql="SELECT * FROM data WHERE id = 9;")
    assert found.holds


def test_of_many_rows_the_first_are_told(here: Path) -> None:
    (here / "d.csv").write_text("id\n" + "7\n" * 50)
    [found] = look("d.csv", "max(id) < 7")
    assert found.rows == [*(f"row {n}: id = 7" for n in range(1, 6)), "…"]


def test_several_tables_at_once(here: Path) -> None:
    (here / "a.csv").write_text("id\n1\n2\n")
    pq.write_table(pa.table({"id": [2, 3]}), here / "b.parquet")
    check = Check(
        tables=(Table(name="a", path="a.csv"), Table(name="b", path="b.parquet")),
        expect=(
            Expect(table="b", sql="SELECT id FROM a JOIN b USING (id)", says="nothing is in both"),
            Expect(table="b", text="rows = 2"),
            Expect(table="a", text="unique(id)"),
        ),
    )
    found = expecting.look(check)
    assert [(v.expectation.text, v.holds, v.rows) for v in found] == [
        ("nothing is in both", False, ["id = 2"]),
        ("rows = 2", True, []),
        ("unique(id)", True, []),
    ]


# ---- files -------------------------------------------------------------------------------------------------------


def test_formats(here: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "label": ["a", None, "b"], "width": [1.0, float("nan"), 3.0]})
    pq.write_table(table, here / "d.parquet")
    (here / "d.tsv").write_text("id\tlabel\twidth\n1\ta\t1\n2\t\t\n3\tb\t3\n")
    (here / "d.jsonl").write_text(
        '{"id":1,"label":"a","width":1.0}\n{"id":2}\n{"id":3,"label":"b","width":3.0}\n'
    )
    (here / "d.csv.gz").write_bytes(gzip.compress(b"id,label,width\n1,a,1\n2,,\n3,b,3\n"))
    (here / "d.csv.zst").write_bytes(zstandard.compress(b"id,label,width\n1,a,1\n2,,\n3,b,3\n"))
    (here / "semicolons").write_text("1;a;1\n2;;\n3;b;3\n")
    for name in ("d.parquet", "d.tsv", "d.jsonl", "d.csv.gz", "d.csv.zst"):
        assert told(name, "null_rate(label) <= 0.5").startswith("holds"), name
        assert told(name, "nulls(width) = 0") == "fails | it is 1 | row 2: id = 2, width = null", name
        assert told(name, "max(width) = 3").startswith("holds"), name
    said = told("semicolons", "rows = 3", format="csv", delimiter=";", header=False)
    assert said.startswith("holds"), said
    assert told("semicolons", "nulls(column1) = 1", format="csv", delimiter=";", header=False).startswith(
        "holds"
    )


def test_a_folder_of_tables_is_one_and_a_row_is_told_with_its_file(here: Path) -> None:
    (here / "d").mkdir()
    for part in range(3):
        rows = "".join(f"{part * 10 + i},{'' if (part, i) == (2, 3) else i}\n" for i in range(10))
        (here / "d" / f"it's {part}.csv").write_text("id,v\n" + rows)
    assert told("d", "rows = 30").startswith("holds")
    assert told("d", "nulls(v) = 0") == "fails | it is 1 | d/it's 2.csv, row 4: id = 23, v = null"
    (here / "d" / "README").write_text("what this is")
    assert "this folder holds CSV files and others" in told("d", "rows = 30")
    assert told("d", "rows = 30", format="csv").startswith("holds")
    assert told("d", "rows = 4", format="files").startswith("holds")
    (here / "d" / "x.csv").write_text("id,w\n1,2\n")
    said = told("d", "rows = 30", format="csv")
    assert said == "StageFailed: d/x.csv: its columns are id, w, and those of d/it's 0.csv are id, v"


def test_a_folder_of_files_is_a_table_of_its_files(here: Path) -> None:
    for name, content in (("7/a.png", b"x"), ("7/b.png", b""), ("1/c.PNG", b"xx"), ("top.png", b"x")):
        (here / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "images" / name).write_bytes(content)
    assert told("images", "rows = 4").startswith("holds")
    assert told("images", "classes = 3") == "fails | it is 2 | '1' (1), null (1), '7' (2)"
    assert told("images", "every(suffix = '.png')").startswith("holds")
    assert told("images", "min(size) > 0") == "fails | it is 0 | row 3: path = '7/b.png', size = 0"


def test_numbers_are_numbers_only_if_all_are(here: Path) -> None:
    (here / "d.csv").write_text(
        "zip,n,mixed,day,yes\n007,1,1,2026-01-02,true\n07,+2,x,2026-01-03,false\n7,3e1,3,2026-01-04,true\n"
    )
    assert told("d.csv", "unique(zip)").startswith("holds"), "zeros in front are kept"
    assert told("d.csv", "max(n) = 30").startswith("holds")
    assert told("d.csv", "max(day) < DATE '2026-02-01'").startswith("holds")
    assert told("d.csv", "count(*) FILTER (WHERE yes) = 2").startswith("holds")
    said = told("d.csv", "min(mixed) > 0")
    assert said == "fails | mixed is not all numbers: row 2 has 'x'"


def test_what_comes_late_in_a_file_still_counts(here: Path) -> None:
    (here / "d.csv").write_text("id,v\n" + "".join(f"{i},{i}\n" for i in range(1, 30_001)) + "x,30001\n")
    assert "id is not all numbers: row 30001 has 'x'" in told("d.csv", "max(id) > 0")
    assert told("d.csv", "max(v) = 30001").startswith("holds")
    assert told("d.csv", "every(v <> 29999)") == (
        "fails | it is not true of 1 row | row 29999: id = '29999', v = 29999"
    )


def test_no_rows_and_no_values(here: Path) -> None:
    (here / "d.csv").write_text("id,label\n")
    assert told("d.csv", "rows > 0") == "fails | it is 0"
    assert told("d.csv", "min(id) > 0") == "fails | there is no value"
    assert told("d.csv", "null_rate(id) = 0") == "holds | it is 0.0"
    assert told("d.csv", "every(id > 3 AND label LIKE 'x%')").startswith("holds")


# ---- hostile data ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "d.csv: it is empty: not even the names of columns are there"),
        (b"id,label\n1,a\n2\n", "d.csv: line 3 cannot be read: Expected Number of Columns: 2 Found: 1"),
        (b"id,label\n1,a,b\n", "d.csv: line 2 cannot be read: Expected Number of Columns: 2 Found: 3"),
        (b'id,label\n1,"a\n2,b\n', "d.csv: line 2 cannot be read: Value with unterminated quote found"),
        (b"id,ID\n1,a\n", "d.csv: two of its columns are called 'ID'"),
        (b"id,\n1,a\n", "d.csv: its column 2 has no name"),
        (b"id,label\n1,\xff\xfe\n", "d.csv: it is no UTF-8 text (byte 12)"),
        (b"id,label\n" + b"1,a\n" * 20_000 + b"2,\xff\n", "d.csv: line 20002 cannot be read: Invalid unicode (byte sequence mismatch) detected"),
        (b"id,label\n1," + b"x" * 3_000_000 + b"\n", "d.csv: line 2 cannot be read: Maximum line size of 2000000 bytes exceeded"),
        (b"i," * 1_000_000, "d.csv: its first line is no names of columns: it is longer than 1,048,576 characters"),
        (b"i" * 200_000, "d.csv: its first line is no names of columns: field larger than field limit"),
    ],
)  # fmt: skip
def test_csv_that_is_none(here: Path, content: bytes, why: str) -> None:
    (here / "d.csv").write_bytes(content)
    with pytest.raises(StageFailed) as caught:
        look("d.csv", "rows > 0")
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("d.parquet", b"PAR1 is not enough PAR1", "d.parquet: it cannot be read: "),
        ("d.parquet", b"", "d.parquet: it cannot be read: "),
        ("d.jsonl", b'{"id": 1}\n{"id": \n', "d.jsonl: line 2 is no JSON: "),
        ("d.csv.gz", b"no gzip", "d.csv.gz: its first line cannot be read: "),
        ("d.txt", b"a", "d.txt: it cannot be told from its name what it is"),
    ],
)
def test_other_files_that_are_not_what_they_say(here: Path, name: str, content: bytes, why: str) -> None:
    (here / name).write_bytes(content)
    with pytest.raises(StageFailed) as caught:
        look(name, "rows > 0", "unique(id)")
    assert str(caught.value).startswith(why)


def test_a_parquet_file_with_a_rotten_page(here: Path) -> None:
    pq.write_table(pa.table({"id": list(range(100_000))}), here / "d.parquet", use_dictionary=False)
    data = bytearray((here / "d.parquet").read_bytes())
    data[1000:3000] = b"\xff" * 2000
    (here / "d.parquet").write_bytes(data)
    with pytest.raises(StageFailed):
        look("d.parquet", "unique(id)", "max(id) = 99999", "every(id >= 0)")


def test_what_data_says_does_nothing_to_a_terminal(here: Path) -> None:
    (here / "d.csv").write_bytes(
        b'id,label\n1,"\x1b[31mred\r\n\n::set-output"\n1,\x07\n2,' + b"y" * 500 + b"\n"
    )
    [unique, short] = look("d.csv", "unique(id)", "every(length(label) < 100)")
    assert unique.rows == ["row 1: id = 1", "row 2: id = 1"]
    assert len(short.rows[0]) < 120
    [found] = look("d.csv", "every(label = 'x')")
    assert all(line.isprintable() for line in found.rows)
    assert "label = '\\x1b[31mred\\r\\n\\n::set-output'" in found.rows[0]


def test_columns_may_be_called_anything(here: Path) -> None:
    (here / "d.csv").write_text('"we""ird",rote row,select,\'; DROP\n1,2,3,4\n1,2,3,\n')
    assert told("d.csv", 'unique("we""ird")').startswith("fails")
    assert told("d.csv", 'max("select") = 3').startswith("holds")
    assert told("d.csv", 'nulls("\'; DROP") = 0').startswith("fails")
    assert told("d.csv", 'max("rote row") = 2').startswith("holds")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_parquet('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT getenv('HOME')",
    ],
)
def test_a_query_reads_nothing_but_its_tables(
    here: Path, tmp_path_factory: pytest.TempPathFactory, query: str
) -> None:
    (here / "d.csv").write_text(PEOPLE)
    secret = tmp_path_factory.mktemp("other") / "secret.csv"
    secret.write_text("word\nhunter2\n")
    [found] = look("d.csv", sql=query.format(secret=secret, folder=secret.parent))
    assert not found.holds
    assert found.rows == []
    assert "hunter2" not in found.measured


@pytest.mark.parametrize(
    "query",
    ["COPY data TO 'x.csv'", "CREATE TABLE t (a INT)", "PRAGMA version", "ATTACH 'x.db'", "INSTALL httpfs"],
)
def test_a_query_writes_nothing(here: Path, query: str) -> None:
    (here / "d.csv").write_text(PEOPLE)
    [found] = look("d.csv", sql=query)
    assert (found.holds, found.rows) == (False, [])
    assert os.listdir(here) == ["d.csv"]


def test_memory_is_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "d.csv").write_text("id\n" + "".join(f"{i:040d}\n" for i in range(300_000)))
    monkeypatch.setenv("ROTE_CHECK_MEMORY", "1000000")
    with pytest.raises(StageFailed) as caught:
        look("d.csv", "unique(id)", "classes(md5(id)) > 3")
    assert caught.value.next == "raise `resources.memory` of the stage"
