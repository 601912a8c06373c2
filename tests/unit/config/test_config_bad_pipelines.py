"""Every way to write rote.yaml wrongly: the message names the file, the line, the key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.errors import ConfigError
from rote.wiring import config

S = "stages:\n  train:\n    cmd: python train.py\n"


def stage(line: str) -> str:
    return f"{S}    {line}\n"


def two(first: str, second: str) -> str:
    return f"stages:\n  a:\n    cmd: a\n    {first}\n  b:\n    cmd: b\n    {second}\n"


def model(line: str) -> str:
    return f"models:\n  m:\n    {line}\n"


# what is written, what the first line of the message says, what `next` says (a part of it, or None)
BAD: dict[str, tuple[str, str, str | None]] = {
    "top is a list": ("- a\n", "rote.yaml:1: expected a mapping with store, cache, budget, vars, ", "stages"),
    "top is text": ("hello\n", "rote.yaml:1: expected a mapping with store, cache, budget, vars, ", "stages"),
    "top unknown": ("stage: {}\n", "rote.yaml:1: stage: unknown key 'stage'; expected one of: store, cache, budget, vars", "did you mean 'stages'?"),
    "top vars": ("vars: a\n", "rote.yaml:1: vars: expected a list of files and mappings, found text ('a')", "write [a]"),
    "top metrics": ("metrics: [m.json]\n", "rote.yaml:1: metrics: unknown key 'metrics'; expected one of: store", "stages.NAME.metrics"),
    "top artifacts": ("artifacts: {}\n", "rote.yaml:1: artifacts: unknown key 'artifacts'", "models.NAME.files"),
    "store number": ("store: 3\n", "rote.yaml:1: store: expected text, found a number ('3')", 'quote it: "3"'),
    "store list": ("store: [a]\n", "rote.yaml:1: store: expected text, found a list", None),
    "store empty": ("store: ''\n", "rote.yaml:1: store: expected text, found an empty one", None),
    "stages list": ("stages: [a]\n", "rote.yaml:1: stages: expected a mapping of names to stages, found a list", None),
    "stage null": ("stages:\n  train:\n", "rote.yaml:2: stages.train: expected stage (a mapping), found nothing", "below it"),
    "stage text": ("stages:\n  train: python\n", "rote.yaml:2: stages.train: expected stage (a mapping), found text", None),
    "stage name": ("stages:\n  my stage: {cmd: a}\n", "rote.yaml:2: stages.my stage: not a valid stage name: 'my stage'", "letters, digits"),
    "stage name with a slash": ("stages:\n  ../x: {cmd: a}\n", "rote.yaml:2: stages.../x: not a valid stage name: '../x'", "letters, digits"),
    "stage key unknown": (stage("dep: [a]"), "rote.yaml:4: stages.train.dep: unknown key 'dep'; expected one of: cmd, check, expect, deps, params, outs, metrics, plots, frozen, always_changed, wdir, env, ", "did you mean 'deps'?"),
    "stage key far off": (stage("zzz: 1"), "rote.yaml:4: stages.train.zzz: unknown key 'zzz'; expected one of: cmd", None),
    "foreach": ("stages:\n  s:\n    foreach: 3\n    do: {cmd: x}\n", "rote.yaml:3: stages.s.foreach: expected a list or a mapping to go through", "foreach: [a, b]"),
    "matrix": (stage("matrix: [1]"), "rote.yaml:4: stages.train.matrix: expected a mapping of names to lists", "size: [1, 2]"),
    "no cmd": ("stages:\n  s:\n    deps: [a]\n", "rote.yaml:2: stages.s: this stage has no `cmd`; expected a command line", "cmd: COMMAND"),
    "cmd number": ("stages:\n  s:\n    cmd: 3\n", "rote.yaml:3: stages.s.cmd: expected a list of text, found a number ('3')", "quote it"),
    "cmd empty list": ("stages:\n  s:\n    cmd: []\n", "rote.yaml:2: stages.s: this stage has no `cmd`", "cmd: COMMAND"),
    "cmd blank": ("stages:\n  s:\n    cmd: ' '\n", "rote.yaml:3: stages.s.cmd: expected text, found an empty one", None),
    "cmd list with a mapping": ("stages:\n  s:\n    cmd:\n      - a\n      - b: c\n", "rote.yaml:5: stages.s.cmd[1]: expected text, found a mapping", None),
    "cmd template": ("stages:\n  s:\n    cmd: a ${lr}\n", "rote.yaml:3: stages.s.cmd: ${lr} refers to nothing", "${lr}"),
    "deps template": (stage("deps: ['${x}']"), "rote.yaml:4: stages.train.deps[0]: ${x} refers to nothing", "params.yaml"),
    "deps text": (stage("deps: a"), "rote.yaml:4: stages.train.deps: expected a list of paths, found text ('a')", "write [a]"),
    "deps mapping": (stage("deps: {a: b}"), "rote.yaml:4: stages.train.deps: expected a list of paths, found a mapping", None),
    "deps number": (stage("deps: [1]"), "rote.yaml:4: stages.train.deps[0]: expected text (a path), found a number ('1')", 'quote it: "1"'),
    "deps null": (stage("deps: [a, ~]"), "rote.yaml:4: stages.train.deps[1]: expected text (a path), found nothing", None),
    "dep line": (S + "    deps:\n      - a\n      - 5\n", "rote.yaml:6: stages.train.deps[1]: expected text (a path)", "quote it"),
    "dep twice": (stage("deps: [a, ./a]"), "rote.yaml:4: stages.train.deps[1]: the dep 'a' stands here twice; first in line 4", None),
    "dep outside": (stage("deps: [../a]"), "rote.yaml:4: stages.train.deps[0]: '../a' lies outside the project", "into the project"),
    "dep absolute": (stage("deps: [/data]"), "rote.yaml:4: stages.train.deps[0]: '/data' is absolute; expected a path inside the project", "rote add"),
    "dep home": (stage("deps: [~/data]"), "rote.yaml:4: stages.train.deps[0]: '~/data' is absolute", "rote add"),
    "dep url": (stage("deps: ['s3://b/a']"), "rote.yaml:4: stages.train.deps[0]: 's3://b/a' is a URL; expected a path", "fetch it in a stage"),
    "dep backslash": (stage(r"deps: [a\b]"), r"rote.yaml:4: stages.train.deps[0]: 'a\b' has a backslash; expected /", "write a/b"),
    "dep whole project": (stage("deps: [.]"), "rote.yaml:4: stages.train.deps[0]: '.' is the whole project", "name the files"),
    "dep in .git": (stage("deps: [.git/HEAD]"), "rote.yaml:4: stages.train.deps[0]: '.git/HEAD' belongs to git itself", "another path"),
    "dep hostile": (stage(r'deps: ["a\x07b"]'), r"rote.yaml:4: stages.train.deps[0]: cannot take the path 'a\x07b': it has a control character", "rename"),
    "dep reserved": (stage("deps: [a/nul.txt]"), "rote.yaml:4: stages.train.deps[0]: cannot take the path 'a/nul.txt': the name 'nul.txt' is reserved by Windows", "rename"),
    "out in .rote": (stage("outs: [.rote/x]"), "rote.yaml:4: stages.train.outs[0]: '.rote/x' belongs to rote itself", "another path"),
    "out is rote.yaml": (stage("outs: [rote.yaml]"), "rote.yaml:4: stages.train.outs[0]: 'rote.yaml' is a file of rote's own", "another path"),
    "out is a pointer": (stage("outs: [data.rote]"), "rote.yaml:4: stages.train.outs[0]: 'data.rote' is a file of rote's own", "another path"),
    "out twice": (stage("outs: [a, a]"), "rote.yaml:2: stages.train: the out 'a' is listed twice", "list it once"),
    "out and metrics": (S + "    outs: [a]\n    metrics: [a]\n", "rote.yaml:2: stages.train: the out 'a' is listed twice", "list it once"),
    "out of two stages": (two("outs: [x]", "outs: [x]"), "rote.yaml:5: stages.b: the out 'x' is made by two stages: stage 'a' (line 2) and stage 'b' (line 5)", "a place of its own"),
    "outs differ in case": (two("outs: [x]", "outs: [X]"), "rote.yaml:5: stages.b: the outs 'x' of stage 'a' (line 2) and 'X' of stage 'b' (line 5) differ only in case", "a place of its own"),
    "out in an out": (two("outs: [d]", "outs: [d/e/f]"), "rote.yaml:5: stages.b: the out 'd/e/f' of stage 'b' (line 5) lies inside the out 'd' of stage 'a' (line 2)", "move one"),
    "out options several": (stage("outs: [{a: {}, b: {}}]"), "rote.yaml:4: stages.train.outs[0]: expected one path with its options, found several", "begin each with"),
    "out option unknown": (stage("outs: [{a: {cash: true}}]"), "rote.yaml:4: stages.train.outs[0].a.cash: unknown key 'cash'; expected one of: cache, desc", "did you mean 'cache'?"),
    "out option persist": (stage("outs: [{a: {persist: 3}}]"), "rote.yaml:4: stages.train.outs[0].a.persist: expected true or false, found a number", None),
    "out option remote": (stage("outs: [{a: {remote: r}}]"), "rote.yaml:4: stages.train.outs[0].a.remote: rote has one store", "remove `remote`"),
    "out option push": (stage("outs: [{a: {push: false}}]"), "rote.yaml:4: stages.train.outs[0].a.push: every out is kept in the store", "remove"),
    "out options text": (stage("outs: [{a: b}]"), "rote.yaml:4: stages.train.outs[0].a: expected a mapping of options, found text ('b')", None),
    "metrics text": (stage("metrics: m.json"), "rote.yaml:4: stages.train.metrics: expected a list of paths, found text ('m.json')", "write [m.json]"),
    "plots number": (stage("plots: 1"), "rote.yaml:4: stages.train.plots: expected a list of paths, found a number ('1')", None),
    "own out is a dep": (S + "    deps: [a/b]\n    outs: [a]\n", "rote.yaml:2: stages.train: the dep 'a/b' and this stage's own out 'a' lie one inside the other", "take it out"),
    "dep is own out": (S + "    deps: [a]\n    outs: [a]\n", "rote.yaml:2: stages.train: 'a' is both a dep and an out of this stage", "take it out"),
    "cycle": (two("deps: [y]\n    outs: [x]", "deps: [x]\n    outs: [y]"), "rote.yaml:2: stages.a: the stages form a cycle: a needs 'y' of b; b needs 'x' of a", "take one of these deps away"),
    "cycle by params": (two("params: ['p.yaml:']\n    outs: [x]", "deps: [x]\n    outs: [p.yaml]"), "rote.yaml:2: stages.a: the stages form a cycle: a needs 'p.yaml' of b; b needs 'x' of a", "take one"),
    "frozen yes": (stage("frozen: yes"), "rote.yaml:4: stages.train.frozen: expected true or false, found text ('yes')", "yes, no, on and off are text"),
    "frozen quoted": (stage("frozen: 'true'"), "rote.yaml:4: stages.train.frozen: expected true or false, found text ('true')", None),
    "always_changed on": (stage("always_changed: on"), "rote.yaml:4: stages.train.always_changed: expected true or false, found text ('on')", "YAML 1.2"),
    "always_changed number": (stage("always_changed: 1"), "rote.yaml:4: stages.train.always_changed: expected true or false, found a number ('1')", None),
    "frozen and always": (S + "    frozen: true\n    always_changed: true\n", "rote.yaml:4: stages.train.frozen: a stage is either `frozen` or `always_changed`, not both", "remove one"),
    "wdir outside": (stage("wdir: .."), "rote.yaml:4: stages.train.wdir: '..' lies outside the project", "into the project"),
    "wdir list": (stage("wdir: [a]"), "rote.yaml:4: stages.train.wdir: expected text, found a list", None),
    "wdir dep outside": (S + "    wdir: sub\n    deps: [../../a]\n", "rote.yaml:5: stages.train.deps[0]: '../../a' lies outside the project", "into the project"),
    "env text": (stage("env: HOME"), "rote.yaml:4: stages.train.env: expected a list of names, found text ('HOME')", "write [HOME]"),
    "env with a value": (stage("env: [A=1]"), "rote.yaml:4: stages.train.env[0]: 'A=1' is not the name of a variable", "write A"),
    "env name": (stage("env: [1A]"), "rote.yaml:4: stages.train.env[0]: '1A' is not the name of a variable", None),
    "desc number": (stage("desc: 7"), "rote.yaml:4: stages.train.desc: expected text, found a number ('7')", 'quote it: "7"'),
    "desc list": (stage("desc: [a]"), "rote.yaml:4: stages.train.desc: expected text, found a list", None),
    "params text": (stage("params: lr"), "rote.yaml:4: stages.train.params: expected a list of params, found text ('lr')", "write [lr]"),
    "params number": (stage("params: [0.1]"), "rote.yaml:4: stages.train.params[0]: expected text (a param) or a mapping", "quote it"),
    "params file": (stage("params: ['a.py:x']"), "rote.yaml:4: stages.train.params[0]: 'a.py' is not a params file; expected one that ends with .yaml, .yml, .json, .toml", "under `deps`"),
    "params file empty": (stage("params: [':x']"), "rote.yaml:4: stages.train.params[0]: '' is not a params file", "FILE:KEY"),
    "params mapping": (stage("params: [{a.yaml: {b: 1}}]"), "rote.yaml:4: stages.train.params[0].a.yaml: expected a list of params, found a mapping", None),
    "params mapping file": (stage("params: [{a: [b]}]"), "rote.yaml:4: stages.train.params[0].a: 'a' is not a params file", "FILE:KEY"),
    "params inner number": (stage("params: [{a.yaml: [1]}]"), "rote.yaml:4: stages.train.params[0].a.yaml[0]: expected text (a param), found a number ('1')", None),
    "params outside": (stage("params: ['../a.yaml:x']"), "rote.yaml:4: stages.train.params[0]: '../a.yaml' lies outside the project", "into the project"),
    "gates text": ("gates: accuracy > 1\n", "rote.yaml:1: gates: expected a list of gates, found text ('accuracy > 1')", "write [accuracy > 1]"),
    "gate mapping": ("gates:\n  - a: 1\n", "rote.yaml:2: gates[0]: expected text (a condition), found a mapping", None),
    "gate grammar": ("gates:\n  - accuracy >\n", "rote.yaml:2: gates[0]: ", None),
    "models list": ("models: [a]\n", "rote.yaml:1: models: expected a mapping of names to models, found a list", None),
    "model name": ("models:\n  a b: {files: [x]}\n", "rote.yaml:2: models.a b: not a valid model name: 'a b'", "letters, digits"),
    "model unknown": (model("file: [x]"), "rote.yaml:3: models.m.file: unknown key 'file'; expected one of: files, gates, ", "did you mean 'files'?"),
    "model without files": (model("desc: x"), "rote.yaml:2: models.m: this model has no `files`; expected a list of paths", "files: [PATH]"),
    "model files number": (model("files: [3]"), "rote.yaml:3: models.m.files[0]: expected text, found a number ('3')", "quote it"),
    "model files outside": (model("files: [../x]"), "rote.yaml:3: models.m.files: '../x' lies outside the project", "into the project"),
    "model file in another case": (stage("outs: [m.onnx]") + "models:\n  m:\n    files: [M.onnx]\n", "rote.yaml:7: models.m.files: no stage makes 'M.onnx'", "did you mean 'm.onnx'?"),
    "model gates": (model("files: [x]\n    gates: 3"), "rote.yaml:4: models.m.gates: expected a list of gates, found a number ('3')", None),
    # YAML itself
    "key twice": (S + "    cmd: b\n", "rote.yaml:4: stages.train.cmd: the key 'cmd' stands here twice; first in line 3", "remove one"),
    "stage twice": ("stages:\n  a: {cmd: x}\n  a: {cmd: y}\n", "rote.yaml:3: stages.a: the key 'a' stands here twice; first in line 2", "remove one"),
    "tab": ("stages:\n\ttrain:\n", "rote.yaml:2: stages: a tab stands in the indentation; YAML takes spaces only", "spaces"),
    "open list": (stage("deps: [a"), "rote.yaml:5: stages.train.deps.1: this is not YAML: did not find expected ',' or ']'", None),
    "open quote": (stage("desc: 'a"), "rote.yaml:5: stages.train.desc: this is not YAML: found unexpected end of stream", None),
    "colon in text": ("stages:\n  a:\n    cmd: echo a: b\n", "rote.yaml:3: stages.a: this is not YAML: mapping values are not allowed in this context (text that has ': ' in it needs quotes", None),
    "unknown anchor": (stage("deps: *d"), "rote.yaml:4: stages.train.deps: there is no anchor &d before this", "write the value out"),
    "anchor in itself": (stage("deps: &d [*d]"), "rote.yaml:4: stages.train.deps.0: the anchor &d holds itself", "write the value out"),
    "merge of text": (stage("<<: hello"), "rote.yaml:4: stages.train.<<: `<<` takes a mapping, not text", "*NAME"),
    "python tag": (stage("desc: !!python/name:os.system x"), "rote.yaml:4: stages.train.desc: the tag 'tag:yaml.org,2002:python/name:os.system' is not for configuration", "remove the tag"),
    "two documents": ("stages: {}\n---\nstages: {}\n", "rote.yaml:2: a second document begins; expected one", "---"),
    "control character": ("store: a\x01b\n", "rote.yaml:1: the character '\\x01' may not stand in YAML", "remove it"),
    "nul": ("store: a\0b\n", "rote.yaml:1: there is a NUL character; expected text", "remove it"),
    "list as key": ("? [a]\n: 1\n", "rote.yaml:1: a mapping or list stands as a key; expected a name", None),
    "empty key": ("'': 1\n", "rote.yaml:1: a key is empty; expected a name", "give it a name"),
    "deep": ("a: " + "[" * 5000, "rote.yaml:1: a.0.0.0.0.0.0.0.0.0: values nest deeper than 100 levels", None),
    "nan": ("store: .nan\n", "rote.yaml:1: store: .nan is not a finite number", "in quotes"),
    "hostile key": ('stages: {"a\\eb": {cmd: x}}\n', r"rote.yaml:1: stages.a\x1bb: not a valid stage name: 'a\x1bb'", "letters"),
    "non-text top key": ("1: a\n", "rote.yaml:1: 1: unknown key '1'; expected one of: store", None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_pipeline_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    text, message, hint = BAD[name]
    (tmp_path / "rote.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path))
    shown = caught.value.lines()
    assert shown[0].startswith(message), shown
    if hint is None:
        assert len(shown) == 1 or shown[-1].startswith("next: "), shown
    else:
        assert shown[-1].startswith("next: "), shown
        assert hint in shown[-1], shown
    assert caught.value.exit_code == 2


def test_no_line_of_a_message_has_control_characters(tmp_path: Path) -> None:
    for text, _, _ in BAD.values():
        (tmp_path / "rote.yaml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            config.load(str(tmp_path))
        assert all(c.isprintable() or c == "\n" for line in caught.value.lines() for c in line), (
            caught.value.lines()
        )


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 60


BAD_BYTES = {
    "latin-1": (b"a: 1\nb: caf\xe9\n", "rote.yaml:2: byte 0xe9 is not valid UTF-8; expected UTF-8"),
    "utf-16": ("stages: {}".encode("utf-16"), "rote.yaml:1: this file is UTF-16; expected UTF-8"),
    "huge": (
        b"# " + b"x" * (16 << 20),
        "rote.yaml: this file is larger than 16 MiB, too large for configuration",
    ),
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bytes_that_are_no_text(tmp_path: Path, name: str) -> None:
    data, message = BAD_BYTES[name]
    (tmp_path / "rote.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path))
    assert caught.value.lines()[0] == message
    assert caught.value.next


def test_a_folder_a_pipe_and_a_dangling_link_in_its_place(tmp_path: Path) -> None:
    import os

    path = tmp_path / "rote.yaml"
    path.mkdir()
    with pytest.raises(ConfigError, match="this is a folder; expected a file"):
        config.load(str(tmp_path))
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="not a regular file"):
        config.load(str(tmp_path))
    path.unlink()
    path.symlink_to("nowhere.yaml")
    with pytest.raises(ConfigError, match="a link to a file that is not there"):
        config.load(str(tmp_path))


def test_anchors_that_would_fill_memory_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (tmp_path / "rote.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 2,000,000 values"):
        config.load(str(tmp_path))


def test_merges_that_would_fill_memory_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k0: x}"]
    lines += [f"a{i}: &a{i} {{l{i}: *a{i - 1}, m{i}: *a{i - 1}, <<: *a{i - 1}}}" for i in range(1, 40)]
    (tmp_path / "rote.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 2,000,000 values"):
        config.load(str(tmp_path))
