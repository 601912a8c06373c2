"""Params files in three formats: what they mean, and every way they can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rote.errors import ConfigError
from rote.wiring.config import overrides, params

GOOD: list[tuple[str, str, Any]] = [
    ("p.yaml", "", {}),
    ("p.yaml", "\ufeff# nothing\n", {}),
    ("p.yaml", "~\n", {}),
    ("p.yaml", "a: 1e-3\nb: 010\nc: 0o17\nd: 0x1F\ne: .5\nf: 1.\ng: -0.0\n", {"a": 0.001, "b": 10, "c": 15, "d": 31, "e": 0.5, "f": 1.0, "g": -0.0}),
    ("p.yaml", "a: yes\nb: On\nc: true\nd: FALSE\ne: null\nf:\ng: ''\n", {"a": "yes", "b": "On", "c": True, "d": False, "e": None, "f": None, "g": ""}),
    ("p.yaml", "d: 2026-11-21\nt: 2026-11-21T10:00:00Z\ns: 12:30:45\nu: 1_000\n", {"d": "2026-11-21", "t": "2026-11-21T10:00:00Z", "s": "12:30:45", "u": "1_000"}),
    ("p.yaml", "1: a\ntrue: b\n1.50: c\n~: d\n'x y': e\n", {"1": "a", "true": "b", "1.50": "c", "~": "d", "x y": "e"}),
    ("p.yaml", "a: &x {b: 1, c: [2]}\nd: *x\ne:\n  <<: *x\n  b: 5\n", {"a": {"b": 1, "c": [2]}, "d": {"b": 1, "c": [2]}, "e": {"b": 5, "c": [2]}}),
    ("p.yaml", "a: {x: 1}\nb: &b {y: 2, x: 3}\nc: {<<: [{x: 9}, *b], z: 0}\n", {"a": {"x": 1}, "b": {"y": 2, "x": 3}, "c": {"z": 0, "x": 9, "y": 2}}),
    ("p.yaml", "'<<': 1\n", {"<<": 1}),
    ("p.yaml", "a: !!str 1\nb: !!float 1\nc: !!int '7'\nd: !!bool true\ne: !!null ~\n", {"a": "1", "b": 1.0, "c": 7, "d": True, "e": None}),
    ("p.yml", "a: |\n  x\n  y\nb: >-\n  x\n  y\n", {"a": "x\ny\n", "b": "x y"}),
    ("p.yaml", "a: [1,\t2]\n", {"a": [1, 2]}),
    ("p.yaml", "i: 18446744073709551615\nj: -9223372036854775808\n", {"i": 2**64 - 1, "j": -(2**63)}),
    ("p.json", "", {}),
    ("p.json", "\ufeff {\"a\": [1, 2.5, true, null, \"\\u00e9\\n\"], \"b\": {}}\n", {"a": [1, 2.5, True, None, "é\n"], "b": {}}),
    ("p.json", '{\t"a":1e3}', {"a": 1000.0}),
    ("p.toml", "", {}),
    ("p.toml", "a = 1\n[b.c]\nd = 1979-05-27\ne = 07:32:00\nf = 1979-05-27T07:32:00Z\n[[g]]\nh = 1\n", {"a": 1, "b": {"c": {"d": "1979-05-27", "e": "07:32:00", "f": "1979-05-27T07:32:00+00:00"}}, "g": [{"h": 1}]}),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "value"), GOOD)
def test_what_is_meant(tmp_path: Path, file: str, text: str, value: Any) -> None:
    (tmp_path / file).write_text(text)
    found = params.read(str(tmp_path), [file, file])
    assert repr(found) == repr({file: value})


def test_order_of_keys_is_that_of_the_file() -> None:
    assert list(params.decode("b: 1\na: 2\n", "p.yaml")) == ["b", "a"]


BAD: list[tuple[str, bytes, str]] = [
    ("p.yaml", b"- a\n", "p.yaml:1: expected a mapping of names to values, found a list"),
    ("p.yaml", b"a: 1\nb: {a: 1, a: 2}\n", "p.yaml:2: b.a: the key 'a' stands here twice; first in line 2"),
    ("p.yaml", b"1: a\n'1': b\n", "p.yaml:2: 1: the key '1' stands here twice; first in line 1"),
    ("p.yaml", b"a: 1\nb: .inf\n", "p.yaml:2: b: .inf is not a finite number: no digest, JSON file or query can hold it"),
    ("p.yaml", b"a: [1, .NaN]\n", "p.yaml:1: a.1: .NaN is not a finite number"),
    ("p.yaml", b"a: 1e400\n", "p.yaml:1: a: 1e400 is not a finite number"),
    ("p.yaml", b"a: " + b"9" * 5000, "p.yaml:1: a: the integer 99999"),
    ("p.yaml", b"a: !!int x\n", "p.yaml:1: a: 'x' is not what its tag says"),
    ("p.yaml", b"a: !!bool 1\n", "p.yaml:1: a: '1' is not what its tag says"),
    ("p.yaml", b"a: !!set {x}\n", "p.yaml:1: a: the tag 'tag:yaml.org,2002:set' is not for configuration"),
    ("p.yaml", b"a: !!binary aGk=\n", "p.yaml:1: a: the tag 'tag:yaml.org,2002:binary' is not for configuration"),
    ("p.yaml", b"a: 1\n\tb: 2\n", "p.yaml:2: a: a tab stands in the indentation; YAML takes spaces only"),
    ("p.yaml", b"a: \xff\n", "p.yaml:1: byte 0xff is not valid UTF-8; expected UTF-8"),
    ("p.yaml", b"a: @x\n", "p.yaml:1: a: this is not YAML: found character that cannot start any token at column 4"),
    ("p.json", b"{\n'a': 1}", "p.json:2: this is not JSON: expected a key in double quotes, or } (column 1)"),
    ("p.json", b'{"a": 1,\n "a": 2}', "p.json:2: a: the key 'a' stands here twice; first in line 1 (column 2)"),
    ("p.json", b'{"a": NaN}', "p.json:1: a: NaN is not a finite number (column 7)"),
    ("p.json", b'{"a": -Infinity}', "p.json:1: a: -Infinity is not a finite number (column 7)"),
    ("p.json", b'{"a": 1e999}', "p.json:1: a: 1e999 is not a finite number"),
    ("p.json", b'{"a": [1, 2,]}', "p.json:1: a: this is not JSON: a comma before ] (column 12)"),
    ("p.json", b'{"a": {"b": tru}}', "p.json:1: a.b: this is not JSON: expected a value, found 'tru' (column 13)"),
    ("p.json", b'{"a": 1} x', "p.json:1: the file goes on after its value; expected the end (column 10)"),
    ("p.json", b'{"a" 1}', "p.json:1: a: this is not JSON: expected : after a key (column 6)"),
    ("p.json", b'{"a": 1 "b": 2}', "p.json:1: this is not JSON: expected , or } (column 9)"),
    ("p.json", b'{"a": "x', "p.json:1: a: this is not JSON: Unterminated string starting at (column 7)"),
    ("p.json", b'{"a": "\\ud800"}', "p.json:1: a: half of a surrogate pair is not text (column 7)"),
    ("p.json", b'{"": 1}', "p.json:1: a key is empty; expected a name"),
    ("p.json", b"[1]", "p.json:1: expected a mapping of names to values, found a list"),
    ("p.json", b"[" * 100_000, "p.json:1: 0.0.0.0.0.0.0.0.0.0: values nest deeper than 100 levels"),
    ("p.json", b'{"a": 01}', "p.json:1: this is not JSON: expected , or } (column 8)"),
    ("p.json", b'{"a"', "p.json:1: a: this is not JSON: expected : after a key (column 5)"),
    ("p.toml", b"a = 1\nb = \n", "p.toml:2: this is not TOML: invalid value"),
    ("p.toml", b"a = 1\na = 2\n", "p.toml:2: this is not TOML: cannot overwrite a value"),
    ("p.toml", b"a = nan\n", "p.toml: a: nan is not a finite number"),
    ("p.toml", b"a = [inf]\n", "p.toml: a.0: inf is not a finite number"),
    ("p.toml", b"a = 99999999999999999999\n", "p.toml: a: an integer has more than 64 bits"),
    ("p.toml", b"a = " + b"9" * 5000 + b"\n", "p.toml: "),
    ("p.toml", b"a = " + b"[" * 50_000, "p.toml: values nest deeper than 100 levels"),
    ("p.toml", b'"" = 1\n', "p.toml: a key is empty; expected a name"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "data", "message"), BAD)
def test_what_cannot_be_meant(tmp_path: Path, file: str, data: bytes, message: str) -> None:
    (tmp_path / file).write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        params.read(str(tmp_path), [file])
    assert caught.value.lines()[0].startswith(message), caught.value.lines()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.yaml: there is no such file"):
        params.read(str(tmp_path), ["nope.yaml"])


def test_overrides_are_in_place(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: {b: 1}\n")
    assert params.read(str(tmp_path), ["params.yaml"], overrides.parse(["a.b=2"])) == {
        "params.yaml": {"a": {"b": 2}}
    }


def test_surprises_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "a: 1\nb: no\nc: 'no'\nd: [1e-3, 1.0e-3, 010, 0.5, 2026-11-21, 12:30, 1_0, 0o7, 0x1f]\n"
    )
    (tmp_path / "q.json").write_text("{}")
    told = params.surprises(str(tmp_path), ["p.yaml", "q.json", "nope.yaml"])
    assert [line.partition(" is ")[0] for line in told] == [
        "p.yaml:2: 'no'", "p.yaml:4: '1e-3'", "p.yaml:4: '010'", "p.yaml:4: '2026-11-21'", "p.yaml:4: '12:30'", "p.yaml:4: '1_0'", "p.yaml:4: '0o7'",
    ]  # fmt: skip
