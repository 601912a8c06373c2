"""Templates, `foreach`, `matrix`, and pipeline files in subfolders: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.errors import ConfigError
from rote.laws.pipeline.graph import needed, needs, stage_of, stages_of
from rote.wiring import config
from rote.wiring.config import pipelines
from rote.words.pipeline import Pipeline, Stage

PARAMS = """\
lr: 0.1
deep: {units: [8, 16], on: true, none: null, name: "a b"}
models: [cnn, mlp]
sizes: {small: {n: 1}, large: {n: 20}}
exp: 1e-05
"""


def load(tmp_path: Path, text: str, params: str | None = PARAMS, **files: str) -> Pipeline:
    (tmp_path / "rote.yaml").write_text(text)
    if params is not None:
        (tmp_path / "params.yaml").write_text(params)
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/").replace("_yaml", ".yaml").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return config.load(str(tmp_path))


def stage(tmp_path: Path, line: str, **more: str) -> Stage:
    return load(tmp_path, f"stages:\n  s:\n    {line}\n", **more).stages["s"]


class TestValues:
    @pytest.mark.parametrize(
        ("written", "means"),
        [
            ("a --lr ${lr}", "a --lr 0.1"),
            ("a ${ lr }", "a 0.1"),
            ("a ${deep.units[1]} ${deep.units.0}", "a 16 8"),
            ("a ${deep.on} ${deep.none}", "a true None"),
            ("a ${exp}", "a 1e-05"),
            ("a ${deep.name}", "a a b"),
            (r"a \${HOME} $HOME", "a ${HOME} $HOME"),
            ("${sizes.small}", "--n 1"),
            ("x ${deep}", "x --units 8 16 --on --none None --name 'a b'"),
            ("x ${lr}${lr}", "x 0.10.1"),
        ],
    )
    def test_in_a_command(self, tmp_path: Path, written: str, means: str) -> None:
        assert stage(tmp_path, f"cmd: '{written.replace(chr(39), chr(39) * 2)}'").cmd == (means,)

    def test_in_every_place(self, tmp_path: Path) -> None:
        found = stage(
            tmp_path,
            "{cmd: ['a ${lr}', b], wdir: '${models[0]}', deps: ['${models[1]}.txt'], frozen: '${deep.on}', desc: '${lr}!',\n"
            "     params: ['${models[0]}.lr', {'${models[0]}.yaml': ['${models[1]}']}], outs: [{'${models[1]}': {cache: '${deep.on}'}}]}".removeprefix(
                "{"
            )
            .removesuffix("}")
            .join(["<<: {", "}"]),
        )
        assert found.cmd == ("a 0.1", "b")
        assert found.wdir == "cnn"
        assert found.deps == ("cnn/mlp.txt",)
        assert found.frozen is True
        assert found.desc == "0.1!"
        assert [(p.file, p.key) for p in found.params] == [
            ("cnn/params.yaml", "cnn.lr"),
            ("cnn/cnn.yaml", "mlp"),
        ]
        assert [(o.path, o.cache) for o in found.outs] == [("cnn/mlp", True)]

    def test_vars_of_the_file_and_of_a_stage(self, tmp_path: Path) -> None:
        text = (
            "vars: [{top: 1, deep: {more: 2}}, other.json, 'part.yaml:a,b']\n"
            "stages:\n  s:\n    vars: [{own: 5}]\n    cmd: x ${top} ${deep.more} ${deep.on} ${j} ${a} ${own}\n"
        )
        found = load(tmp_path, text, other_json='{"j": "json"}', part_yaml="a: A\nb: B\nc: C\n")
        assert found.stages["s"].cmd == ("x 1 2 true json A 5",)
        assert found.named == ("params.yaml", "other.json", "part.yaml")

    def test_vars_of_a_stage_begin_at_its_wdir(self, tmp_path: Path) -> None:
        text = "stages:\n  s: {wdir: sub, vars: [own.yaml], cmd: 'x ${a}'}\n"
        assert load(tmp_path, text, sub__own_yaml="a: 7\n").stages["s"].cmd == ("x 7",)

    def test_without_templates_params_yaml_is_not_read(self, tmp_path: Path) -> None:
        found = load(tmp_path, "stages:\n  s: {cmd: x}\n", "a: [\n")
        assert found.named == ()

    def test_the_cache_knows_the_files_that_templates_name(self, tmp_path: Path) -> None:
        (tmp_path / ".rote").mkdir()
        text = "stages:\n  s: {cmd: 'x ${lr}'}\n"
        assert load(tmp_path, text).stages["s"].cmd == ("x 0.1",)
        assert load(tmp_path, text, "lr: 2\n").stages["s"].cmd == ("x 2",)
        assert load(tmp_path, text, "lr: 0.1\n").stages["s"].cmd == ("x 0.1",)
        (tmp_path / "params.yaml").unlink()
        with pytest.raises(ConfigError, match="refers to nothing"):
            config.load(str(tmp_path))

    def test_values_that_are_overridden(self, tmp_path: Path) -> None:
        load(tmp_path, "stages:\n  s: {cmd: 'x ${lr}'}\n")
        found = config.load(str(tmp_path), instead={"params.yaml": b"lr: 9\n"})
        assert found.stages["s"].cmd == ("x 9",)


class TestGenerated:
    @pytest.mark.parametrize(
        ("every", "cmd", "names", "cmds"),
        [
            (
                "[a, 1, 0.5, true]",
                "x ${item}",
                ["s@a", "s@1", "s@0.5", "s@true"],
                ["x a", "x 1", "x 0.5", "x true"],
            ),
            ("'${models}'", "x ${item}", ["s@cnn", "s@mlp"], ["x cnn", "x mlp"]),
            ("'${sizes}'", "x ${key} ${item.n}", ["s@small", "s@large"], ["x small 1", "x large 20"]),
            ("{a: 1, b: '${lr}'}", "x ${key}${item}", ["s@a", "s@b"], ["x a1", "x b0.1"]),
            ("[{n: 1}, {n: 2}]", "x ${item.n}", ["s@0", "s@1"], ["x 1", "x 2"]),
            ("[a b, 'c/d']", "x '${item}'", ["s@a b", "s@c/d"], ["x 'a b'", "x 'c/d'"]),
            ("[]", "x", [], []),
        ],
    )
    def test_foreach(self, tmp_path: Path, every: str, cmd: str, names: list[str], cmds: list[str]) -> None:
        text = (
            f"stages:\n  s:\n    foreach: {every}\n    do:\n      cmd: {cmd}\n      outs: ['out-${{item}}']\n"
        )
        if "{" in every or every == "'${sizes}'":
            text = text.replace("      outs: ['out-${item}']\n", "")
        found = load(tmp_path, text).stages
        assert list(found) == names
        assert [s.cmd[0] for s in found.values()] == cmds
        assert all(s.at.line == 2 for s in found.values())

    def test_matrix(self, tmp_path: Path) -> None:
        text = "stages:\n  s:\n    matrix: {model: '${models}', n: [1, 2], o: [{x: 5}]}\n    cmd: x ${item.model} ${item.n} ${item.o.x} ${key}\n    outs: ['${key}']\n"
        found = load(tmp_path, text).stages
        assert list(found) == ["s@cnn-1-o0", "s@cnn-2-o0", "s@mlp-1-o0", "s@mlp-2-o0"]
        assert found["s@mlp-1-o0"].cmd == ("x mlp 1 5 mlp-1-o0",)

    def test_item_goes_before_params(self, tmp_path: Path) -> None:
        text = "stages:\n  s: {foreach: [a], do: {cmd: 'x ${item}'}}\n  t: {cmd: 'x ${item}'}\n"
        found = load(tmp_path, text, "item: outer\n").stages
        assert found["s@a"].cmd == ("x a",)
        assert found["t"].cmd == ("x outer",)

    def test_a_group_is_a_target(self, tmp_path: Path) -> None:
        text = "stages:\n  s: {foreach: [a, b], do: {cmd: x, deps: [in], outs: ['${item}']}}\n  t: {cmd: y, deps: [a]}\n  p: {cmd: z, outs: [in]}\n"
        found = load(tmp_path, text).stages
        assert needed(found, ["s"]) == ["p", "s@a", "s@b"]
        assert stages_of(found, "s") == ["s@a", "s@b"]
        assert stage_of(found, "s@b") == "s@b"
        with pytest.raises(ConfigError, match="'s' means 2 stages"):
            stage_of(found, "s")


class TestSubfolders:
    TEXT = "pipelines: [sub, other/rote.yaml]\nstages:\n  top: {cmd: 'x ${lr}', outs: [top.txt], deps: [sub/made]}\n"

    def test_their_paths_and_names(self, tmp_path: Path) -> None:
        found = load(
            tmp_path, self.TEXT,
            sub__rote_yaml="vars: [{v: 3}]\nstages:\n  train: {cmd: 'x ${v} ${w}', deps: [../raw], outs: [made], params: [w], wdir: in}\n",
            sub__params_yaml="w: 4\n", other__rote_yaml="stages:\n  train: {foreach: [a], do: {cmd: y, deps: [../top.txt]}}\n",
        )  # fmt: skip
        assert list(found.stages) == ["top", "sub:train", "other:train@a"]
        train = found.stages["sub:train"]
        assert (train.cmd, train.wdir, train.deps, train.outs[0].path) == (
            ("x 3 4",),
            "sub/in",
            ("sub/raw",),
            "sub/in/made",
        )
        assert train.params[0].file == "sub/in/params.yaml"
        assert train.at.file == "sub/rote.yaml"
        assert needs(found.stages)["other:train@a"] == ("top",)
        assert found.files == ("rote.yaml", "sub/rote.yaml", "other/rote.yaml")
        for target in ("sub:train", "sub/rote.yaml:train", "sub/rote.yaml"):
            assert stages_of(found.stages, target) == ["sub:train"]
        assert stages_of(found.stages, "other:train") == ["other:train@a"]
        assert stages_of(found.stages, "rote.yaml:top") == ["top"]

    def test_the_cache_sees_a_change_in_a_subfolder(self, tmp_path: Path) -> None:
        (tmp_path / ".rote").mkdir()
        text = "pipelines: [sub]\n"
        assert list(load(tmp_path, text, sub__rote_yaml="stages:\n  a: {cmd: x}\n").stages) == ["sub:a"]
        assert list(load(tmp_path, text, sub__rote_yaml="stages:\n  b: {cmd: x}\n").stages) == ["sub:b"]

    @pytest.mark.parametrize(
        ("text", "sub", "said"),
        [
            ("pipelines: [gone]\n", "", "rote.yaml:1: pipelines: there is no file gone/rote.yaml"),
            (
                "pipelines: [sub, ./sub]\n",
                "",
                "rote.yaml:1: pipelines: 'sub' stands here twice; first in line 1",
            ),
            ("pipelines: [../sub]\n", "", "rote.yaml:1: pipelines: '../sub' lies outside the project"),
            (
                "pipelines: [sub]\n",
                "gates: [a > 1]\n",
                "sub/rote.yaml:1: gates: `gates` belongs to the rote.yaml at the project's root",
            ),
            (
                "pipelines: [sub]\n",
                "stages: {a: {cm: x}}\n",
                "sub/rote.yaml:1: stages.a.cm: unknown key 'cm'",
            ),
            (
                "pipelines: [sub]\n",
                "stages:\n  a: {cmd: x, outs: [../m]}\n",
                "the out 'm' is made by two stages",
            ),
        ],
    )
    def test_what_is_wrong_is_told_with_its_file(
        self, tmp_path: Path, text: str, sub: str, said: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, text + "stages:\n  z: {cmd: x, outs: [m]}\n", sub__rote_yaml=sub)
        assert said in str(caught.value).replace("pipelines[0]", "pipelines").replace(
            "pipelines[1]", "pipelines"
        )


S = "stages:\n  s:\n    "
BAD = {
    "nothing of that name": (S + "cmd: a ${lrr}\n", "rote.yaml:3: stages.s.cmd: ${lrr} refers to nothing; did you mean ${lr}?", "\\${lrr}"),
    "in a list": (S + "cmd:\n      - a\n      - b ${x.y}\n", "rote.yaml:5: stages.s.cmd[1]: ${x.y} refers to nothing", "params.yaml"),
    "a list's element": (S + "cmd: a ${models[7]}\n", "rote.yaml:3: stages.s.cmd: ${models.7} refers to nothing", None),
    "below a value": (S + "cmd: a ${lr.x}\n", "rote.yaml:3: stages.s.cmd: ${lr.x} refers to nothing", None),
    "not closed": (S + "cmd: a ${lr\n", "rote.yaml:3: stages.s.cmd: ${ stands here without its }", "\\${"),
    "empty": (S + "cmd: a ${}\n", "rote.yaml:3: stages.s.cmd: a template is empty: ${}", None),
    "syntax": (S + "cmd: a ${a..b}\n", "rote.yaml:3: stages.s.cmd: cannot read ${a..b}", None),
    "a shell's default": (S + "cmd: a ${HOME:-x}\n", "rote.yaml:3: stages.s.cmd: ${HOME:-x} refers to nothing", "\\${HOME:-x}"),
    "a list in text": (S + "cmd: a ${models}\n", "rote.yaml:3: stages.s.cmd: ${models}: it is a list, which cannot stand in text", None),
    "a mapping in a dep": (S + "cmd: a\n    deps: ['${deep}']\n", "rote.yaml:4: stages.s.deps[0]: it is a mapping, which cannot stand in text", None),
    "of the wrong type": (S + "cmd: a\n    deps: ['${lr}']\n", "rote.yaml:4: stages.s.deps[0]: expected text (a path), found a number ('0.1')", None),
    "in vars": ("vars: [{a: '${a}'}]\n" + S + "cmd: x\n", "rote.yaml:1: vars[0]: a template stands in `vars`, where it could refer to itself", None),
    "itself": (S + "cmd: x ${self}\n", "rote.yaml:3: stages.s.cmd: the value of self is '${self}', which refers to itself", None),
    "another": (S + "cmd: x ${other}\n", "rote.yaml:3: stages.s.cmd: the value of other is '${lr}', which refers to another template", None),
    "defined twice": ("vars:\n  - {lr: 1}\n" + S + "cmd: x\n", "rote.yaml:2: vars[0]: 'lr' is defined twice: in params.yaml and in rote.yaml:2", "rename"),
    "a file of vars is gone": ("vars: [no.yaml]\n" + S + "cmd: x\n", "rote.yaml:1: vars[0]: there is no file no.yaml", None),
    "a key of vars is gone": ("vars: ['part.yaml:lrr']\n" + S + "cmd: x\n", "rote.yaml:1: vars[0]: part.yaml has no 'lrr'", "did you mean lrx?"),
    "partly, then whole": ("vars: ['part.yaml:lrx', part.yaml]\n" + S + "cmd: x\n", "rote.yaml:1: vars[1]: 'part.yaml' was taken already", None),
    "vars of a wrong type": ("vars: [3]\n" + S + "cmd: x\n", "rote.yaml:1: vars[0]: expected text (FILE or FILE:KEY,KEY) or a mapping", None),
    "a template outside of stages": ("store: ${lr}\n" + S + "cmd: x\n", "rote.yaml:1: store: a template stands here; templates are for stages only", None),
    "foreach of a number": ("stages:\n  s: {foreach: '${lr}', do: {cmd: x}}\n", "rote.yaml:2: stages.s.foreach: expected a list or a mapping to go through, found '0.1'", None),
    "foreach without do": ("stages:\n  s: {foreach: [a]}\n", "rote.yaml:2: stages.s.do: expected the stage to make for each item, found nothing", "do:"),
    "do without foreach": ("stages:\n  s: {do: {cmd: x}}\n", "rote.yaml:2: stages.s: this entry has `do` without `foreach`", None),
    "foreach with more": ("stages:\n  s: {foreach: [a], do: {cmd: x}, cmd: y}\n", "rote.yaml:2: stages.s.cmd: unknown key 'cmd'; expected one of: foreach, do", None),
    "an item twice": ("stages:\n  s:\n    foreach:\n      - a\n      - a\n    do: {cmd: x}\n", "rote.yaml:5: stages.s.foreach[1]: the item 'a' stands here twice", None),
    "one and its text": ("stages:\n  s: {foreach: [1, '1'], do: {cmd: x}}\n", "rote.yaml:2: stages.s.foreach[1]: the item '1' stands here twice", None),
    "a name twice": ("stages:\n  s@a: {cmd: x}\n  s: {foreach: [a], do: {cmd: x}}\n", "rote.yaml:3: stages.s: this makes a stage 's@a', as line 2 does", "rename"),
    "matrix of a list": (S + "matrix: [a]\n    cmd: x\n", "rote.yaml:3: stages.s.matrix: expected a mapping of names to lists", None),
    "matrix of numbers": (S + "matrix: {a: 3}\n    cmd: x\n", "rote.yaml:3: stages.s.matrix.a: expected a list, found '3'", None),
    "matrix with one value twice": (S + "matrix: {a: [x, x]}\n    cmd: x\n", "rote.yaml:3: stages.s.matrix.a: the value 'x' stands here twice", None),
    "a matrix far too large": (S + "matrix: {a: '${big}', b: '${big}'}\n    cmd: x\n", "rote.yaml:3: stages.s.matrix: this stands for 160,000 stages", None),
    "a generated name": ("stages:\n  s: {foreach: [ü], do: {cmd: x}}\n", "rote.yaml:2: stages.s@ü: not a valid stage name: 's@ü'", "ASCII"),
    "in a generated stage": ("stages:\n  s:\n    foreach: [a, b]\n    do:\n      cmd: x ${item.n}\n", "rote.yaml:5: stages.s@a.cmd: ${item.n} refers to nothing", None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_template_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    text, said, next = BAD[name]
    big = ", ".join(map(str, range(400)))
    params = PARAMS + f"self: '${{self}}'\nother: '${{lr}}'\nbig: [{big}]\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, params, part_yaml="lrx: 1\n")
    assert str(caught.value).splitlines()[0].startswith(said), caught.value
    if next is not None:
        assert next in (caught.value.next or "")


def test_a_template_in_braces_needs_quotes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a template inside \{…\} or \[…\] needs quotes"):
        load(tmp_path, "stages:\n  s: {cmd: x ${lr}, deps: [a]}\n")


def test_a_text_without_a_project_knows_its_own_vars() -> None:
    found = pipelines.read("vars: [{a: 1}]\nstages:\n  s: {cmd: 'x ${a}'}\n")
    assert found.stages["s"].cmd == ("x 1",)


SAID = "s: {a: {b: true, c: false}, tags: [x, 'y z'], none: [], n: 3}\n"
WRITTEN = {
    "": "x --a.b --tags x 'y z' --n 3",
    "bool: store_true, list: nargs": "x --a.b --tags x 'y z' --n 3",
    "bool: boolean_optional": "x --a.b --no-a.c --tags x 'y z' --n 3",
    "list: append": "x --a.b --tags x --tags 'y z' --n 3",
    "bool: boolean_optional, list: append": "x --a.b --no-a.c --tags x --tags 'y z' --n 3",
}


class TestOptions:
    """How a mapping stands in a command: by `options`, and in a project of DVC's by `[parsing]`."""

    @pytest.mark.parametrize("said", WRITTEN)
    def test_in_rote_yaml(self, tmp_path: Path, said: str) -> None:
        text = f"options: {{{said}}}\npipelines: [sub]\nstages: {{s: {{cmd: 'x ${{s}}'}}}}\n"
        below = "stages: {t: {cmd: ['true', 'x ${s}']}}\n"
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/params.yaml").write_text(SAID)
        found = load(tmp_path, text, SAID, sub__rote_yaml=below).stages
        assert found["s"].cmd == (WRITTEN[said],)
        assert found["sub:t"].cmd == ("true", WRITTEN[said])

    @pytest.mark.parametrize("said", WRITTEN)
    def test_in_dvc_yaml(self, tmp_path: Path, said: str) -> None:
        def seen() -> tuple[str, ...]:
            return config.load(str(tmp_path)).stages["s"].cmd

        (tmp_path / ".rote").mkdir()  # what was parsed is kept there
        (tmp_path / ".dvc").mkdir()
        (tmp_path / "dvc.yaml").write_text("stages: {s: {cmd: 'x ${s}'}}\n")
        (tmp_path / "params.yaml").write_text(SAID)
        assert seen() == (WRITTEN[""],)
        lines = "".join(f"    {pair.replace(':', ' =')}\n" for pair in said.split(", ") if pair)
        (tmp_path / ".dvc/config").write_text(f"[core]\n    autostage = true\n[parsing]\n{lines}")
        assert seen() == (WRITTEN[said],)
        (tmp_path / ".dvc/config.local").write_text("[parsing]\n    bool = store_true\n    list = nargs\n")
        assert seen() == (WRITTEN[""],)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("options: [a]", "rote.yaml:1: options: expected a mapping, found"),
            ("options: {lists: append}", "rote.yaml:1: options.lists: unknown key 'lists'"),
            ("options: {list: csv}", "rote.yaml:1: options.list: expected nargs or append, found"),
            (
                "options: {bool: true}",
                "rote.yaml:1: options.bool: expected store_true or boolean_optional, found",
            ),
        ],
        ids=["a list", "an unknown key", "another word", "no text"],
    )
    def test_what_it_cannot_be(self, tmp_path: Path, text: str, told: str) -> None:
        with pytest.raises(ConfigError) as e:
            load(tmp_path, f"{text}\nstages: {{s: {{cmd: x}}}}\n")
        assert told in str(e.value)
