"""Files of predictions: what can be read, what is refused and where, and which rows belong together."""

from __future__ import annotations

import pytest

from rote.laws.gates.predictions import Unusable, decode, pair, plain
from rote.words.pipeline import PredictionsFile

CSV, LINES = PredictionsFile(path="p.csv"), PredictionsFile(path="p.jsonl")


def table(data, names=CSV, whose="the run"):
    return decode(data.encode() if isinstance(data, str) else data, names, whose)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("id,label,prediction\na,1,1\nb,2,1\n", CSV),
        ("\ufeffid,label,prediction\r\na,1,1\r\nb,2,1", CSV),
        ('id, label ,prediction\n"a",1,"1"\n\nb,2,1\n', CSV),
        ('{"id":"a","label":"1","prediction":"1"}\n{"prediction":1,"id":"b","label":2}\n\n', LINES),
    ],
)
def test_what_can_be_read(data, names):
    found = table(data, names)
    assert len(found) == 2
    assert {name: list(column) for name, column in found.columns.items()} == {
        "id": ["a", "b"], "label": ["1", "2"], "prediction": ["1", "1"],
    }  # fmt: skip


def test_odd_texts_stay_whole():
    found = table('id,text\n"a,b","line\nbreak"\nc\u2028d,"say ""hi"""\n')
    assert list(found.columns["id"]) == ["a,b", "c\u2028d"]
    assert list(found.columns["text"]) == ["line\nbreak", 'say "hi"']


@pytest.mark.parametrize(
    ("data", "names", "says"),
    [
        ("", CSV, "has no rows"),
        ("id,label\n", CSV, "has no rows"),
        ("id,label\na,1\nb\n", CSV, "line 3 has 1 values, and the header has 2"),
        ("id,label\na,1\nb,2,3\n", CSV, "line 3 has 3 values"),
        ("id,id\na,1\n", CSV, "has the column 'id' twice"),
        ("id,label\na,1\nb,2\na,3\n", CSV, "has the example 'a' twice, in rows 1 and 3"),
        ('id,label\n"a,1\n', CSV, "line 2"),
        (b"id\n\xff\n", CSV, "is not UTF-8 (byte 3)"),
        ('{"id":1}\n[1]\n', LINES, "line 2 is no JSON object"),
        ('{"id":1}\n{"di":1}\n', LINES, "line 2 has other keys than the first"),
        ("nonsense\n", LINES, "line 1 is no JSON object"),
        ("[" * 100_000 + "\n", LINES, "line 1 is no JSON object"),
        ("", LINES, "has no rows"),
    ],
)
def test_what_is_refused(data, names, says):
    with pytest.raises(Unusable) as caught:
        table(data, names)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{names.path} of the run")


def test_rows_belong_together_by_id():
    found = pair(table("id,label\na,1\nb,2\n"), table("id,label\nb,2\na,1\n", whose="d@1.0.0"))
    assert list(found.order) == [1, 0]


def test_rows_belong_together_by_number_where_there_is_no_id():
    assert list(pair(table("label\n1\n2\n"), table("label\n1\n2\n")).order) == [0, 1]


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (
            "id\na\nb\n",
            "id\na\nc\nd\n",
            "1 of 2 are in p.csv of the run alone, 2 of 3 in p.csv of d@1.0.0 alone",
        ),
        ("id\na\n", "x\na\n", "p.csv of d@1.0.0 has no column 'id', and the other has"),
        ("x\na\n", "id\na\n", "p.csv of the run has no column 'id'"),
        ("x\na\nb\n", "x\na\n", "has 2 examples and p.csv of d@1.0.0 has 1, without a column 'id'"),
        ("id,label\na,1\nb,2\n", "id,label\na,1\nb,3\n", "different labels for 1 of 2 examples"),
    ],
)
def test_what_does_not_belong_together(one, other, says):
    with pytest.raises(Unusable) as caught:
        pair(table(one), table(other, whose="d@1.0.0"))
    assert says in str(caught.value)


def test_numbers():
    found = table("id,x,y\na,1,nan\nb,1e-3,2\n")
    assert found.numbers("x") == [1.0, 0.001]
    with pytest.raises(Unusable, match="'nan' in row 1 of column 'y' is no finite number"):
        found.numbers("y")
    with pytest.raises(Unusable, match="has no column 'lable'; there are 'id', 'x', 'y'"):
        found.numbers("lable")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1", "1.0", True), ("1", " 1 ", True), ("0.50", "0.5", True), ("7", "07", False), ("1e1", "10", False),
     ("cat", "cat", True), ("v1.0", "v1", False), ("10", "1", False), ("-1.0", "-1", True)],
)  # fmt: skip
def test_which_labels_are_the_same(one, other, same):
    assert (plain(one) == plain(other)) is same
