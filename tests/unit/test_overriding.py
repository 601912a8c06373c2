"""-S: finding a param, and putting another value in its place."""

from __future__ import annotations

from typing import Any

import pytest

from rote.errors import ConfigError, UsageError
from rote.laws.pipeline import overriding
from rote.wiring.config import overrides

VALUES: dict[str, Any] = {
    "conf/data.json": {"size": 8, "seed": 1},
    "params.yaml": {
        "train": {"lr": 0.1, "epochs": 3, "name": "a"},
        "layers": [{"units": 8}, {"units": 16}],
        "a.b": {"c": 1},
        "seed": 0,
    },
    "empty.toml": {},
}


def applied(*texts: str) -> dict[str, Any]:
    return overriding.apply(VALUES, overrides.parse(texts))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("0.1", 0.1), ("1", 1), ("-1", -1), (".5", 0.5), ("1.", 1.0), ("0x1f", 31), ("0o17", 15), ("010", 10),
        ("true", True), ("False", False), ("yes", "yes"), ("on", "on"), ("null", None), ("~", None), ("", None),
        ("abc", "abc"), ("a: b", "a: b"), ("#1", "#1"), ("x # y", "x # y"), ("http://x:1/?a=b", "http://x:1/?a=b"), ("=", "="),
        ('"1"', "1"), ("'1'", "1"), ('""', ""), ("[1, 2.5, x]", [1, 2.5, "x"]), ("[]", []), ("{a: 1e2, b: [no]}", {"a": 100.0, "b": ["no"]}),
        ("2026-11-21", "2026-11-21"), ("12:30", "12:30"), ("1_000", "1_000"), ("*", "*"), ("&a", "&a"), ("!x", "!x"), ("- 1", "- 1"),
    ],
)  # fmt: skip
def test_values(text: str, value: Any) -> None:
    found = overrides.parse([f"seed={text}"])[0].value
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "18446744073709551616", "[.nan]"])
def test_values_that_cannot_be_kept(text: str) -> None:
    with pytest.raises(ConfigError, match=r"not a finite number|more than 64 bits"):
        overrides.parse([f"seed={text}"])


@pytest.mark.parametrize("text", ["[1, 2", "{a: 1", "'a", '"a', "[a]]", "{a: 1, a: 2}"])
def test_values_that_are_no_yaml(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overrides.parse([f"seed={text}"])
    assert (caught.value.where or "").startswith("-S")


@pytest.mark.parametrize("text", ["", "train.lr", "=1", " =1", ":a=1", "f.yaml:=1", "~train"])
def test_what_is_no_override(text: str) -> None:
    with pytest.raises(UsageError, match="expected KEY=VALUE or FILE:KEY=VALUE"):
        overrides.parse([text])


def test_apply_changes_a_copy() -> None:
    before = repr(VALUES)
    found = applied("train.lr=0.5", "layers.1.units=4", "layers[0].units=2", "size=9", "a.b.c=7", "seed=5")
    assert found["params.yaml"] == {
        "train": {"lr": 0.5, "epochs": 3, "name": "a"},
        "layers": [{"units": 2}, {"units": 4}],
        "a.b": {"c": 7},
        "seed": 5,
    }
    assert found["conf/data.json"] == {"size": 9, "seed": 1}
    assert repr(VALUES) == before
    assert applied("conf/data.json:seed=9")["conf/data.json"]["seed"] == 9
    assert applied("train={lr: 1}")["params.yaml"]["train"] == {"lr": 1}
    assert applied("layers=[]")["params.yaml"]["layers"] == []


@pytest.mark.parametrize(
    ("texts", "what", "next"),
    [
        (["train.l=1"], "-S train.l=1: no param is called 'train.l' in conf/data.json, params.yaml, empty.toml; did you mean 'train.lr'?", "known: "),
        (["lr=1"], "-S lr=1: no param is called 'lr' in conf/data.json, params.yaml, empty.toml; did you mean 'train.lr'?", "known: "),
        (["zzz=1"], "-S zzz=1: no param is called 'zzz' in conf/data.json, params.yaml, empty.toml", "known: "),
        (["layers.2.units=1"], "-S layers.2.units=1: no param is called 'layers.2.units'", "known: "),
        (["layers.-1=1"], "-S layers.-1=1: no param is called 'layers.-1'", "known: "),
        (["train.lr.x=1"], "-S train.lr.x=1: no param is called 'train.lr.x'", "known: "),
        (["param.yaml:seed=1"], "-S param.yaml:seed=1: no stage has params in the file 'param.yaml'; did you mean 'params.yaml'?", "name one of: "),
        (["conf/data.json:sed=1"], "-S conf/data.json:sed=1: no param is called 'sed' in conf/data.json; did you mean 'seed'?", "known: size, seed"),
        (["empty.toml:a=1"], "-S empty.toml:a=1: no param is called 'a' in empty.toml", "write it into"),
        (["train=1"], "-S train=1: 'train' in params.yaml is a mapping", "name one of: train.lr, train.epochs, train.name"),
        (["train.lr=1", "train.lr=2"], "-S train.lr=2: 'train.lr' in params.yaml is overridden twice", "say it once"),
        (["train={}", "train.lr=2"], "-S train.lr=2: 'train.lr' in params.yaml is overridden twice", "say it once"),
    ],
)  # fmt: skip
def test_what_cannot_be_overridden(texts: list[str], what: str, next: str) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(*texts)
    lines = caught.value.lines()
    assert lines[0].startswith(what), lines
    assert lines[1] == "safe: nothing was changed"
    assert lines[2].startswith(f"next: {next}"), lines


def test_a_key_in_several_files_has_to_be_told_apart() -> None:
    values = {"a.yaml": {"x": 1}, "b.yaml": {"x": 2}}
    with pytest.raises(ConfigError) as caught:
        overriding.apply(values, overrides.parse(["x=3"]))
    assert caught.value.lines()[0] == "-S x=3: 'x' stands in several files"
    assert caught.value.next == "name one of: a.yaml:x, b.yaml:x"
    assert overriding.apply(values, overrides.parse(["b.yaml:x=3"])) == {
        "a.yaml": {"x": 1},
        "b.yaml": {"x": 3},
    }


def test_locate() -> None:
    content = {"a": {"b.c": [10, {"d": None}]}, "x.y": 1, "x": {"y": 2}}
    assert overriding.locate(content, "a.b.c.1.d") == ("a", "b.c", 1, "d")
    assert overriding.locate(content, "a.b.c[1].d") == ("a", "b.c", 1, "d")
    assert overriding.locate(content, "x.y") == ("x.y",)
    assert overriding.locate(content, "") == ()
    for key in (
        "a.",
        ".a",
        "a..b.c",
        "a.b.c.01x",
        "a.b.c[1",
        "a.b.c[1]d",
        "a.b.c.9",
        "a.b.c.²",
        "a.b.c.1.d.e",
    ):
        assert overriding.locate(content, key) is None, key
