"""Params files with values changed: nothing else of the text changes where that is possible."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.laws.pipeline.overriding import apply, changes
from rote.wiring.config import overrides, params
from rote.wiring.config.rendering import render


def rendered(text: str, file: str, *texts: str) -> str:
    """Rendered, and proved to read as `apply` says."""
    values = {file: params.decode(text.removeprefix("\ufeff"), file)}
    wanted = overrides.parse(texts)
    new = render(text, file, [(change.place, change.value) for change in changes(values, wanted)])
    read = params.decode(new.removeprefix("\ufeff"), file)
    assert read == apply(values, wanted)[file]
    if not file.endswith(".toml"):  # there, tables come after plain values
        assert repr(read) == repr(apply(values, wanted)[file]), "also the order, and 1 is not 1.0"
    return new


YAML = """\
# Training.
train:
  lr: 0.1   # learning rate
  name: 'a' # quoted
  layers: [64, 64]  # widths
  steps:
  - 1
  - 2
empty:
text: |
  long
  text
# the end
ü: {a: 1, b: "x"}
"""


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("train.lr=1e-05", "lr: 0.1   #", "lr: 1.0e-05   #"),
        ("train.lr=on", "lr: 0.1   #", "lr: 'on'   #"),
        ("train.lr='1e-3'", "lr: 0.1   #", 'lr: "1e-3"   #'),
        ("train.lr='0.5'", "lr: 0.1   #", 'lr: "0.5"   #'),
        ("train.name=b", "name: 'a' #", "name: b #"),
        ("train.name=x: y # z", "name: 'a' #", "name: 'x: y # z' #"),
        ('train.name="a\\nb"', "name: 'a' #", 'name: "a\\nb" #'),
        ("train.layers=[1]", "layers: [64, 64]  #", "layers: [1]  #"),
        ("train.layers.1=8", "layers: [64, 64]  #", "layers: [64, 8]  #"),
        ("train.steps=[5]", "steps:\n  - 1\n  - 2\n", "steps: [5]\n"),
        ("train.steps[1]=7", "- 2\n", "- 7\n"),
        ("empty=3", "empty:\n", "empty: 3\n"),
        ("text=short", "|\n  long\n  text\n", "short\n"),
        ("ü.b=é", 'b: "x"', "b: é"),
        ("ü={a: 2}", '{a: 1, b: "x"}', "{a: 2}"),
        ("train.lr=", "lr: 0.1   #", "lr: null   #"),
    ],
)
def test_yaml_keeps_all_else(text: str, old: str, new: str) -> None:
    assert rendered(YAML, "p.yaml", text) == YAML.replace(old, new)


def test_several_at_once_and_carriage_returns_and_a_mark() -> None:
    text = "\ufeff" + YAML.replace("\n", "\r\n")
    new = rendered(text, "p.yaml", "train.lr=2", "ü.a=33", "train.name=longer")
    expected = text.replace("lr: 0.1", "lr: 2").replace("a: 1,", "a: 33,").replace("'a'", "longer")
    assert new == expected


def test_what_is_shared_is_written_anew() -> None:
    new = rendered("# c\na: &x {b: 1}\nd: *x\n", "p.yaml", "d.b=2")
    assert new == "a:\n  b: 1\nd:\n  b: 2\n"
    assert rendered("a: &x {b: 1}\nd:\n  <<: *x\n  e: 1\n", "p.yaml", "d.b=2").count("b: 2") == 1


JSON = '{\n  "a": 1,\n  "b": {"c": [1, "x"]},\n  "é": "é"\n}\n'


def test_json_keeps_all_else() -> None:
    assert rendered(JSON, "p.json", "a=1.5") == JSON.replace('"a": 1', '"a": 1.5')
    assert rendered(JSON, "p.json", "b.c.1='é'", "é=z") == JSON.replace('"x"', '"é"').replace(
        ': "é"', ': "z"'
    )
    assert rendered(JSON, "p.json", "b.c=[]", "a=") == JSON.replace('[1, "x"]', "[]").replace(
        '"a": 1', '"a": null'
    )


TOML = """\
# Top.
a = 1 # one
s = "x # no comment"   # a comment
long = [
  1, # one
  2,
]
d = 2026-11-21
inline = { k = 1 }
m = \"\"\"
[not.a.table]
x = 1
\"\"\"
[b.c]
d = 0.5
"q.r" = true
[[t]]
n = 1
[[t]]
n = 2
[t.u]
v = 3
"""


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("a=2.5", "a = 1 #", "a = 2.5 #"),
        ('s="y # \\"z\\""', '"x # no comment"   #', '"y # \\"z\\""   #'),
        ("long=[3]", "[\n  1, # one\n  2,\n]", "[3]"),
        ("b.c.d=1e-7", "d = 0.5", "d = 1e-07"),
        ("b.c.q.r=false", "= true", "= false"),
        ("t.1.n=7", "n = 2", "n = 7"),
        ("t.1.u.v=x", "v = 3", 'v = "x"'),
        ("d=soon", "2026-11-21", '"soon"'),
        ("inline={k: 2, z: [a]}", "{ k = 1 }", '{ k = 2, z = ["a"] }'),
    ],
)
def test_toml_keeps_all_else(text: str, old: str, new: str) -> None:
    assert rendered(TOML, "p.toml", text) == TOML.replace(old, new)


def test_toml_is_written_anew_where_a_value_has_no_place_of_its_own() -> None:
    new = rendered(TOML, "p.toml", "inline.k=2")
    assert "d = 2026-11-21\n" in new, "a date stays a date"
    assert "#" not in new.replace("# no comment", "")


def test_toml_has_no_null() -> None:
    with pytest.raises(ConfigError, match="TOML has no null"):
        rendered(TOML, "p.toml", "a=")
