"""Stages as Python functions, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys

from place import Place

CODE = """
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import lib
import rote


@rote.stage
def prepare(
    raw: Annotated[Path, rote.Dep("raw.txt")],
    size: Annotated[int, rote.Param("prepare.size")],
    out: Annotated[Path, rote.Out("build/part.txt")],
) -> None:
    out.write_text(lib.cut(raw.read_text(), size))


@rote.stage
def count(
    part: Annotated[Path, rote.Dep("build/part.txt")],
    /,
    scale: Annotated[float, rote.Param("scale")],
    *,
    words: Annotated[list, rote.Param("words")],
) -> Annotated[dict, rote.Metrics("reports/metrics.json")]:
    return {"letters": len(part.read_text()) * scale, "words": len(words)}
"""


def project(place: Place) -> None:
    place.write("pipeline.py", CODE)
    place.write("lib.py", "def cut(text, size):\n    return text[:size]\n")
    place.write("raw.txt", "hello world\n")
    place.write("params.yaml", "prepare: {size: 5}\nscale: 2\nwords: [a, b]\n")
    place.write("rote.yaml", "pipelines: [pipeline.py]\n")


def outcomes(place: Place, *args: str) -> dict[str, str]:
    return {s["stage"]: s["outcome"] for s in place.rote("run", *args, "--json").json["stages"]}


def test_run_hit_and_run_again(place: Place) -> None:
    project(place)
    assert outcomes(place) == {"prepare": "done", "count": "done"}
    assert json.loads((place.root / "reports/metrics.json").read_text()) == {"letters": 10.0, "words": 2}
    assert outcomes(place) == {"prepare": "hit", "count": "hit"}
    assert outcomes(place, "-S", "scale=3") == {"prepare": "hit", "count": "done"}
    assert json.loads((place.root / "reports/metrics.json").read_text())["letters"] == 15.0
    place.write("pipeline.py", CODE.replace("out.write_text(", "out.write_text('>' + "))
    assert outcomes(place) == {"prepare": "done", "count": "done"}


def test_planning_runs_nothing_of_the_file(place: Place) -> None:
    project(place)
    place.write("pipeline.py", CODE + "\nraise SystemExit('imported')\n")
    assert "2 of 2 stages would run" in place.rote("plan").out
    assert "imported" in place.rote("run", code=1).out


def test_a_param_of_another_type_is_told(place: Place) -> None:
    project(place)
    for value, said in (("much", "'much' (str)"), ("0.5", "0.5 (float)")):
        told = place.rote("run", "-S", f"prepare.size={value}", code=1).out
        assert f"prepare.size is {said}, and the function wants int" in told


def test_what_is_returned_must_be_a_mapping_that_json_can_say(place: Place) -> None:
    project(place)
    place.write("pipeline.py", CODE.replace('return {"letters"', 'return 3 or {"letters"'))
    assert "the function returned int, not the mapping" in place.rote("run", code=1).out
    place.write("pipeline.py", CODE.replace("len(words)}", "{1, 2}}"))
    assert "cannot be written as JSON" in place.rote("run", code=1).out


def test_a_function_of_the_file_can_be_called_as_any_other(place: Place) -> None:
    project(place)
    place.write(
        "use.py",
        "import pathlib, pipeline\npipeline.prepare(pathlib.Path('raw.txt'), 3, pathlib.Path('x'))\n",
    )
    subprocess.run([sys.executable, "use.py"], cwd=place.root, check=True, timeout=60)
    assert (place.root / "x").read_text() == "hel"


def test_a_function_goes_on_from_what_there_is(place: Place) -> None:
    place.write("sub/pipeline.py", '''
from pathlib import Path
from typing import Annotated
import rote

@rote.stage
def fit(
    data: Annotated[Path, rote.Dep("data.txt")],
    before: Annotated[Path | None, rote.Previous("build/m.txt")],
    best: Annotated[Path | None, rote.Model("m@prod")],
    out: Annotated[Path, rote.Out("build/m.txt")],
):
    was = before.read_text() if before else "-"
    out.write_text(was + data.read_text() + str(sorted(p.name for p in best.glob("*.txt")) if best else ""))
''')  # fmt: skip
    place.write("rote.yaml", "pipelines: [sub/pipeline.py]\nmodels:\n  m: {files: [sub/build/m.txt]}\n")
    place.write("sub/data.txt", "a")
    assert outcomes(place) == {"sub:fit": "done"}
    place.rote("release", "m")
    place.rote("promote", "m@1.0.0", "prod")
    place.write("sub/data.txt", "b")
    assert outcomes(place) == {"sub:fit": "done"}
    assert (place.root / "sub/build/m.txt").read_text() == "-ab['m.txt']"
