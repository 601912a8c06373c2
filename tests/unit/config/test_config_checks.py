"""`check` and `expect` in rote.yaml, and every way to write them wrong."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from rote.errors import ConfigError
from rote.wiring import config
from rote.wiring.config import yamltext
from rote.wiring.config.vocabulary import schema
from rote.words.pipeline import Check, Expect, Stage, Table


def stage(tmp_path: Path, body: str) -> Stage:
    text = "stages:\n  sound:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    (tmp_path / "rote.yaml").write_text(text)
    (tmp_path / "params.yaml").write_text("least: 1000\n")
    return config.load(str(tmp_path)).stages["sound"]


def test_a_path_is_the_table_data(tmp_path: Path) -> None:
    found = stage(
        tmp_path, "check: d/x.csv\nexpect:\n  - rows > ${least}\n  - {sql: SELECT 1, says: no ones}"
    )
    assert found.check == Check(
        tables=(Table(name="data", path="d/x.csv"),),
        expect=(
            Expect(table="data", text="rows > 1000"),
            Expect(table="data", sql="SELECT 1", says="no ones"),
        ),
    )
    assert found.expects
    assert found.deps == ("d/x.csv",)
    assert found.cmd == ("table data: d/x.csv", "expect data: rows > 1000", "none data: SELECT 1")


def test_tables_by_name_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    found = stage(
        tmp_path,
        'wdir: sub\ncheck:\n  train: x.csv\n  test: {path: y, format: csv, delimiter: "\\t", header: false}\n'
        "deps: [z]\nexpect:\n  test: [rows > 1]\n  train: [unique(id)]",
    )
    assert found.check is not None
    assert found.check.paths == ("sub/x.csv", "sub/y")
    assert found.deps == ("sub/z", "sub/x.csv", "sub/y")
    assert [e.table for e in found.check.expect] == ["test", "train"]
    assert found.check.tables[1].delimiter == "\t"


def test_a_command_checks_a_list_of_paths(tmp_path: Path) -> None:
    found = stage(tmp_path, "check: [a, b]\ncmd: ./look a b\ndeps: [look, a]")
    assert found.check is not None
    assert (found.expects, found.cmd, found.deps) == (False, ("./look a b",), ("look", "a", "b"))
    assert found.check.paths == ("a", "b")


@pytest.mark.parametrize(
    ("body", "line", "what", "next"),
    [
        ("expect: [rows > 1]", 3, "expect: it is not said of what this is expected", "write check: PATH"),
        ("check: d", 3, "check: this check has neither `expect` nor `cmd`", "write expect: [rows > 0], or the command that fails if the data is wrong"),
        ("check: d\nexpect: [rows > 1]\ncmd: x", 5, "cmd: a stage with `expect` has no `cmd`", "take `cmd` away, or make it a stage of its own"),
        ("check: d\nexpect: [rows > 1]\nouts: [x]", 5, "outs: a stage with `expect` has no `outs`", "take `outs` away, or make it a stage of its own"),
        ("check: d\nexpect: [rows > 1]\nparams: [x]", 5, "params: a stage with `expect` has no `params`", "take `params` away, or make it a stage of its own"),
        ("check: [a, b]\nexpect: [rows > 1]", 3, "check: a list of paths has no names", "write check: {NAME: PATH, NAME: PATH}"),
        ("check: []\ncmd: x", 3, "check: nothing is checked", "write check: PATH"),
        ("check: 7\ncmd: x", 3, "check: expected a path, or a mapping of names to paths, found a number ('7')", None),
        ("check: /etc/passwd\nexpect: [rows > 1]", 3, "check: '/etc/passwd' is absolute; expected a path inside the project", "write the data relative to the project, or bring it into the project: rote add PATH"),
        ("check: ../x.csv\nexpect: [rows > 1]", 3, "check: '../x.csv' lies outside the project", "move the data into the project"),
        ("check: {a-b: x.csv}\nexpect: [rows > 1]", 3, "check.a-b: 'a-b' cannot be the name of a table", "letters, digits and _, as in train_2"),
        ("check: {a: x.csv, A: y.csv}\nexpect: {a: [rows > 1]}", 3, "check: two tables are called 'A' but for case", "rename one"),
        ("check: {a: x.csv, b: y.csv}\nexpect: [rows > 1]", 4, "expect: there are 2 tables, and it is not said of which this is expected", "write expect: {a: […]}"),
        ("check: {train: x.csv}\nexpect: {trian: [rows > 1]}", 4, "expect.trian: unknown key 'trian'; expected one of: train", "did you mean 'train'?"),
        ("check: {a: {format: csv}}\nexpect: [rows > 1]", 3, "check.a: this table has no `path`", "write path: PATH"),
        ("check: {a: {path: x, format: cvs}}\nexpect: [rows > 1]", 3, "check.a.format: 'cvs' is no format; expected one of: csv, parquet, jsonl, files", "did you mean csv?"),
        ("check: {a: {path: x, delimiter: '::'}}\nexpect: [rows > 1]", 3, "check.a.delimiter: a delimiter is one character, and no quote or line break", 'write ";" or "\\t"'),
        ("check: {a: {path: x, header: no}}\nexpect: [rows > 1]", 3, "check.a.header: expected true or false, found text ('no')", "YAML 1.2 knows true and false only; yes, no, on and off are text"),
        ("check: {a: {path: x, heeader: true}}\nexpect: [rows > 1]", 3, "check.a.heeader: unknown key 'heeader'; expected one of: path, format, delimiter, header", "did you mean 'header'?"),
        ("check: d\nexpect: []", 4, "expect: expected a list of expectations, found a list", None),
        ("check: d\nexpect: rows > 1", 4, "expect: expected a list of expectations, found text ('rows > 1')", "write [rows > 1], or a line `- rows > 1` below the key"),
        ("check: d\nexpect:\n  - {says: x}", 5, "expect[0]: expected a condition, or `sql`", "write sql: SELECT … of what must not be there"),
        ("check: d\nexpect:\n  - rows > 1\n  - 7", 6, "expect[1]: expected text (a condition) or `sql`, found a number ('7')", 'quote it: "7"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, body: str, line: int, what: str, next: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        stage(tmp_path, body)
    assert str(caught.value) == f"rote.yaml:{line}: stages.sound.{what}"
    assert caught.value.next == next


def test_an_expectation_is_read_when_the_file_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rote.yaml:5: stages.sound.expect\[0\]: this cannot be read"):
        stage(tmp_path, "check: d\nexpect:\n  - rows\n")
    with pytest.raises(ConfigError, match="an entry with a comma needs quotes"):
        stage(tmp_path, "check: d\nexpect: [unique(id, day)]\n")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("{check: d, expect: [rows > 1]}", True),
        ("{check: {a: {path: d, format: csv}}, expect: {a: [rows > 1, {sql: SELECT 1}]}}", True),
        ("{check: [a, b], cmd: x}", True),
        ("{cmd: x}", True),
        ("{check: d}", False),
        ("{expect: [rows > 1]}", False),
        ("{check: {a: {path: d, format: cvs}}, expect: [rows > 1]}", False),
        ("{deps: [d]}", False),
    ],
)
def test_the_schema_knows_it(text: str, good: bool) -> None:
    found = jsonschema.Draft202012Validator(schema())
    content = yamltext.read(f"stages: {{sound: {text}}}", "rote.yaml").bare()
    assert found.is_valid(content) == good
