"""Checks of data through the real command: what they block, what they say, and when they are looked at again."""

from __future__ import annotations

import pytest
from place import Place, Typed

ROWS = [f"{n},{n % 12},{n % 50}" for n in range(1, 1201)]
PIPELINE = """\
stages:
  prepare:
    cmd: mkdir -p build && cp data/raw.csv build/clean.csv
    deps: [data/raw.csv]
    outs: [build/clean.csv]
  sound:
    check: build/clean.csv
    expect:
      - rows > 1000
      - null_rate(label) = 0
      - unique(id)
      - classes(label) >= 10
      - sql: SELECT * FROM data WHERE width > 100
        says: nothing is wider than 100
  train:
    cmd: cp build/clean.csv build/model
    deps: [build/clean.csv]
    outs: [build/model]
  other:
    cmd: echo 1 > other.txt
    outs: [other.txt]
models:
  m:
    files: [build/model]
"""


@pytest.fixture
def data(bare: Place) -> Place:
    place = Typed(bare.root)
    place.rote("init")
    place.write("rote.yaml", PIPELINE)
    write(place, ROWS)
    place.write(".gitignore", "build/\nother.txt\n.rote/\n")
    place.commit()
    return place


def write(place: Place, rows: list[str]) -> None:
    place.write("data/raw.csv", "\n".join(["id,label,width", *rows, ""]))


def outcomes(place: Place, *args: str, code: int = 0) -> dict[str, str]:
    told = place.rote("run", *args, "--json", code=code).json
    return {stage["stage"]: stage["outcome"] for stage in told["stages"]}


def test_data_that_is_as_expected_is_trained_on_and_the_check_is_a_hit_then(data: Place) -> None:
    plan = data.rote("plan", "--json").json
    assert [(s["stage"], s["verdict"]) for s in plan["decisions"]][:2] == [
        ("prepare", "run"),
        ("sound", "run"),
    ]
    assert set(outcomes(data).values()) == {"done"}
    log = data.rote("logs", data.rote("runs", "--json").json[0]["id"]).out
    assert "holds   rows > 1000: it is 1200" in log
    assert set(outcomes(data).values()) == {"hit"}
    assert data.rote("why", "sound").out.startswith("sound: hit")
    assert "sound: same" in data.rote("audit", "sound").out.replace("  ", " ").replace(
        "sound same", "sound: same"
    )


def test_a_failed_check_blocks_and_says_which_rows(data: Place) -> None:
    assert set(outcomes(data).values()) == {"done"}
    rows = list(ROWS)
    rows[16], rows[98], rows[200] = "17,,3", "5,3,1", "201,3,\x1b[31m"
    write(data, rows)
    told = data.rote("run", code=1)
    for line in (
        "sound: failed – 3 of 5 expectations do not hold",
        "  | null_rate(label) = 0: it is 0.0008333333333333334",
        "  |     row 17: id = 17, label = null",
        "  | unique(id): 1 row repeats what another has",
        "  |     row 5: id = 5",
        "  |     row 99: id = 5",
        "  | nothing is wider than 100: width is not all numbers: row 201 has '\\x1b[31m'",
    ):
        assert line in told.out.splitlines(), told.out
    assert "train: blocked – needs sound" in told.out
    assert "\x1b[31m" not in told.out + told.out
    assert outcomes(data, "--keep-going", code=1) == {
        "prepare": "hit", "sound": "failed", "train": "blocked", "other": "hit",
    }  # fmt: skip
    assert outcomes(data, "train", code=1)["train"] == "blocked", "whoever asks for train asks for its check"
    assert "only a finished run can be released" in data.rote("release", "m", code=1).err
    write(data, ROWS)
    assert set(outcomes(data).values()) == {"hit"}, "the data is good again, and known"


def test_an_expectation_that_changes_runs_the_check_alone(data: Place) -> None:
    outcomes(data)
    data.write("rote.yaml", PIPELINE.replace("rows > 1000", "rows > 1100"))
    assert "expect data: rows > 1100" in data.rote("why", "sound").out
    assert outcomes(data) == {"prepare": "hit", "sound": "done", "train": "hit", "other": "hit"}
    data.write("rote.yaml", PIPELINE.replace("rows > 1000", "rows > 5000"))
    assert outcomes(data, code=1)["train"] == "blocked", "its result is known, and still not to be used"
    data.write(
        "rote.yaml",
        PIPELINE.replace("check:", "frozen: true\n    check:").replace("rows > 1000", "rows > 5000"),
    )
    assert outcomes(data) == {"prepare": "hit", "sound": "frozen", "train": "hit", "other": "hit"}


def test_what_cannot_be_asked_is_said_with_what_is_near(data: Place) -> None:
    data.write("rote.yaml", PIPELINE.replace("unique(id)", "unique(idd)"))
    told = data.rote("run", code=1).out
    assert "  | unique(idd): there is no column 'idd' (did you mean 'id'?)" in told
    data.write(
        "rote.yaml", PIPELINE.replace("width > 100", "width > (SELECT count(*) FROM read_text('rote.yaml'))")
    )
    told = data.rote("run", code=1).out
    assert "it reads 'rote.yaml', and a check reads what it names alone" in told
    data.write("data/semi.csv", "id;width\n1;2\n")
    data.write("rote.yaml", "stages: {semi: {check: data/semi.csv, expect: [unique(id)]}}\n")
    told = data.rote("run", code=1).out
    assert "there are: id;width; if ';' stands between columns, write delimiter: ';' beside path" in told


def test_a_command_checks_too(place: Place) -> None:
    place.write("data/x.txt", "good\n")
    place.write("look.sh", "grep -n bad data/x.txt && exit 3 || exit 0\n")
    place.write(
        "rote.yaml",
        "stages:\n"
        "  words: {check: data, cmd: sh look.sh, deps: [look.sh]}\n"
        "  train: {cmd: cp data/x.txt m, deps: [data/x.txt], outs: [m]}\n",
    )
    assert outcomes(place) == {"words": "done", "train": "done"}
    assert outcomes(place) == {"words": "hit", "train": "hit"}
    place.write("data/x.txt", "good\nbad\n")
    told = place.rote("run", code=1)
    assert "words: failed – exit code 3\n  | 2:bad" in told.out
    assert "train: blocked – needs words" in told.out


def test_many_checks_from_a_list_and_a_project_that_has_modules_of_these_names(place: Place) -> None:
    """What lies in the project is not imported in place of what looks at the data."""
    place.write("duckdb.py", "raise SystemExit('the project was imported')\n")
    place.write(
        "rote.yaml",
        "stages:\n  sound:\n    foreach: [en, de]\n    do:\n      check: data/${item}.csv\n      expect: [rows > 0]\n"
        "  train: {cmd: cat data/*.csv > m, deps: [data], outs: [m]}\n",
    )
    place.write("data/en.csv", "id\n1\n")
    place.write("data/de.csv", "id\n")
    told = place.rote("run", code=1)
    assert "sound@de: failed – 1 of 1 expectations does not hold\n  | rows > 0: it is 0" in told.out
    place.write("data/de.csv", "id\n1\n")
    assert outcomes(place) == {"sound@en": "hit", "sound@de": "done", "train": "done"}


def test_without_duckdb_the_line_to_type_is_told(data: Place) -> None:
    data.write("away/duckdb.py", "raise ImportError('not installed')\n")
    told = Place(data.root).rote("run", code=1, PYTHONPATH=str(data.root / "away")).out
    assert "expectations are looked at by DuckDB, which is not installed" in told
    assert 'pip install "rote[checks]"' in told


def test_a_check_that_is_killed_leaves_nothing_for_long(place: Place) -> None:
    """It is in the middle of a query that takes for ever, and does not hear TERM there."""
    place.write(
        "rote.yaml",
        "stages:\n  sound:\n    check: d.csv\n    timeout: 3s\n    expect:\n"
        "      - sql: SELECT sum(a.id * b.id * c.id) FROM data a, data b, data c HAVING sum(a.id) < 0\n",
    )
    place.write("d.csv", "id\n" + "".join(f"{n}\n" for n in range(20_000)))
    told = place.rote("run", code=1)
    assert "it was not over after 3s, its timeout" in told.out
    place.write("rote.yaml", "stages:\n  sound: {check: d.csv, expect: [rows = 20000]}\n")
    place.rote("run")
    assert [p.name for p in (place.root / ".rote").iterdir() if p.name.startswith("check-")] == []
