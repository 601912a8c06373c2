"""Functions marked @rote.stage become the stages that a rote.yaml would describe."""

from __future__ import annotations

from textwrap import dedent

import pytest

from rote.errors import ConfigError
from rote.wiring.config import pipelines
from rote.wiring.config.sources import Sources
from rote.words.pipeline import At, Out, Param, Pipeline

YAML = "pipelines: [lib/pipeline.py]\n"
HEAD = """\
from pathlib import Path
from typing import Annotated

import rote
from rote import Dep as Reads

"""


def read(code: str, text: str = YAML, file: str = "lib/pipeline.py", head: str = HEAD) -> Pipeline:
    files = {"rote.yaml": text.encode(), file: (head + dedent(code)).encode()}
    return pipelines.read(text, "rote.yaml", Sources(None, files))


def refused(code: str, **more: str) -> ConfigError:
    with pytest.raises(ConfigError) as e:
        read(code, **more)
    return e.value


WHOLE = """
@rote.stage(env=["SEED"], deps=["tables"], desc="Fits.", always_changed=True)
def fit(
    data: Annotated[Path, Reads("raw.csv")],
    rate: Annotated[float, rote.Param("fit.rate")],
    seed: Annotated[int, rote.Param("../conf.toml:seed")],
    model: Annotated[Path, rote.Out("model.bin")],
    log: Annotated[Path, rote.Out("log.txt", cache=False, persist=True)],
    curve: Annotated[Path, rote.Plots("curve.csv")],
    verbose: bool = False,
) -> Annotated[dict[str, float], rote.Metrics("metrics.json")]:
    raise SystemExit("never run to learn what it is")
"""


def test_a_whole_stage() -> None:
    stage = read(WHOLE).stages["lib:fit"]
    assert stage.cmd == ("python -m rote.calling pipeline.py fit",)
    assert stage.wdir == "lib"
    assert set(stage.deps) == {"lib/pipeline.py", "lib/tables", "lib/raw.csv"}
    assert stage.params == (Param("lib/params.yaml", "fit.rate"), Param("conf.toml", "seed"))
    assert stage.outs == (
        Out("lib/model.bin"),
        Out("lib/log.txt", persist=True, cache=False),
        Out("lib/metrics.json", "metrics"),
        Out("lib/curve.csv", "plots"),
    )
    assert stage.env == ("SEED",)
    assert (stage.desc, stage.always_changed) == ("Fits.", True)
    assert stage.at == At("lib/pipeline.py", 9, "stages.fit")


def test_only_marked_functions_are_stages() -> None:
    code = """
    def helper(x): ...

    class stage: ...

    @stage
    def other(x: Annotated[Path, rote.Dep("a")]): ...

    @rote.stage
    def one(): ...
    """
    assert list(read(code).stages) == ["lib:one"]


def test_marks_by_any_name_and_as_text() -> None:
    code = """
    from __future__ import annotations
    import typing
    import rote as r
    from rote import stage as step

    @step
    def one(a: "typing.Annotated[Path, r.Dep('x')]", b: r.Out, *, c: typing.Annotated[typing.Any, r.Out("y")]): ...
    """
    assert "says neither" in str(refused(code))
    stage = read(code.replace("b: r.Out,", "b: r.Out = None,"), head="").stages["lib:one"]
    assert stage.deps == ("lib/pipeline.py", "lib/x")
    assert stage.outs == (Out("lib/y"),)


def test_stages_of_a_file_and_of_yaml_are_one_graph() -> None:
    yaml = "pipelines: [pipeline.py]\nstages:\n  use: {cmd: cat model, deps: [model], outs: [x]}\n"
    code = '@rote.stage\ndef make(out: Annotated[Path, rote.Out("model")]): ...\n'
    found = read(code, yaml, "pipeline.py")
    assert list(found.stages) == ["use", "make"]
    twice = refused(code.replace("def make", "def use"), text=yaml, file="pipeline.py")
    assert "as rote.yaml:3: stages.use does" in str(twice)


def test_templates_are_resolved() -> None:
    code = '@rote.stage\ndef make(out: Annotated[Path, rote.Out("${name}.bin")]): ...\n'
    files = {
        "rote.yaml": YAML.encode(),
        "lib/pipeline.py": (HEAD + code).encode(),
        "lib/params.yaml": b"name: it",
    }
    found = pipelines.read(YAML, "rote.yaml", Sources(None, files))
    assert found.stages["lib:make"].outs == (Out("lib/it.bin"),)


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("def broken(:", 7, "not Python"),
        ("@rote.stage\ndef a(x): ...", 8, "the argument x says neither"),
        ('@rote.stage\ndef a(x: Annotated[Path, rote.Dep("p"), rote.Out("q")]): ...', 8, "two marks"),
        ("@rote.stage\ndef a(x: Annotated[Path, rote.Dep(NAME)]): ...", 8, "'NAME' is computed"),
        ('@rote.stage\ndef a(x: Annotated[Path, rote.Dep("p", "q")]): ...', 8, "Dep takes one text"),
        ("@rote.stage\ndef a(x: Annotated[Path, rote.Dep(3)]): ...", 8, "Dep takes one text"),
        ('@rote.stage\ndef a(x: Annotated[Path, rote.Dep("p", cache=True)]): ...', 8, "Dep has no options"),
        ('@rote.stage\ndef a(x: Annotated[Path, rote.Out("p", chache=True)]): ...', 8, "unknown key 'chache'"),
        ('@rote.stage\ndef a() -> Annotated[Path, rote.Out("p")]: ...', 8, "can be its metrics"),
        ('@rote.stage(cmd="x")\ndef a(): ...', 7, "a function has no `cmd`"),
        ("@rote.stage(deps=[LIST])\ndef a(): ...", 7, "is computed"),
        ("@rote.stage(**options)\ndef a(): ...", 7, "written out, not unpacked"),
        ('@rote.stage("x")\ndef a(): ...', 7, "options by name"),
        ("@rote.stage\nasync def a(): ...", 8, "async"),
        ("@rote.stage\ndef a(): ...\n@rote.stage\ndef a(): ...", 10, "second stage a; the first is in line 8"),
        ('@rote.stage\ndef a(x: Annotated[Path, rote.Dep("../../p")]): ...', 8, "outside the project"),
        ("@rote.stage(enf=[])\ndef a(): ...", 7, "unknown key 'enf'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_with_its_line(code: str, line: int, said: str) -> None:
    error = refused(code)
    assert said in str(error)
    assert str(error.where).startswith(f"lib/pipeline.py:{line}"), error.where
