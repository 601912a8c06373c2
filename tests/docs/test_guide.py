"""The guide says what is so: what it says to type is typed here, in its order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from place import Place

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "guide.md").read_text()
TRAIN = """\
import json, os
os.makedirs("build", exist_ok=True)
open("build/model.onnx", "w").write(open("params.yaml").read() + "".join(sorted(os.listdir("data/images"))))
json.dump({"accuracy": 0.96}, open("metrics.json", "w"))
"""


def blocks(text: str, kind: str) -> list[str]:
    """The fenced blocks of a kind, in order; the kind of what is typed is empty."""
    return [
        code
        for found, code in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if found == kind
    ]


def typed(place: Place, lines: str) -> str:
    """Type lines into a shell; every one must succeed."""
    script = f'set -e\nrote() {{ "{sys.executable}" -m rote "$@"; }}\n{lines}'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=place.root, env=place.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


def said(command: str) -> str:
    """A command that stands within a sentence of the guide."""
    assert f"`{command}`" in GUIDE, f"the guide no longer says `{command}`"
    return command


def test_what_the_guide_says_to_type(bare: Place) -> None:
    founding, adding, asking = blocks(GUIDE, "")
    pipeline, checked, gates = blocks(GUIDE, "yaml")
    (application,) = blocks(GUIDE, "python")
    root = bare.root.rename(bare.root.parent / "my-repository")
    outside, here = Place(root.parent), Place(root)
    assert "A rote project" in typed(outside, founding)
    for name in ("1.png", "2.png"):
        here.write(f"data/images/{name}", name)
    assert "2 files" in typed(here, adding)
    pointer = here.read("data/images.rote")
    assert len(pointer.splitlines()) == 6
    assert "a text file of six lines" in GUIDE
    assert "unchanged" in typed(here, said("rote status"))

    here.write("train.py", TRAIN)
    here.write("params.yaml", "train:\n  lr: 0.1\n")
    here.write("rote.yaml", pipeline)
    assert "train" in typed(here, said("rote plan"))
    assert "1 done" in typed(here, said("rote run"))
    assert "hit" in typed(here, said("rote why train"))
    here.write("rote.yaml", pipeline + checked.removeprefix("stages:\n"))
    here.write("data/labels.csv", "id,label\n" + "".join(f"{n},{n % 10}\n" for n in range(1001)))
    assert "sound: done" in typed(here, "rote run")
    here.write("rote.yaml", pipeline)
    ignored = [
        f"{out}\n" for out in re.findall(r"`(/[\w.]+/?)`", GUIDE.split("List them in")[1].split("\n")[0])
    ]
    here.write(".gitignore", here.read(".gitignore") + "".join(ignored))
    left = here.git("status", "--short")
    assert "build" not in left
    assert "metrics.json" not in left
    answers = typed(here, asking)
    assert answers.count("0.96") >= 4
    assert "params.train.lr" in answers

    here.write("rote.yaml", pipeline + gates)
    assert "digits@1.0.0" in typed(here, said("rote release digits"))
    assert "digits@1.0.0" in typed(here, said("rote promote digits@1.0.0 prod"))
    program = application.replace("/mnt/shared/my-project", str(here.root / ".rote/store"))
    assert program != application
    here.write(
        "app.py", program + "assert (model.path() / 'model.onnx').read_text().endswith('1.png2.png')\n"
    )
    typed(here, f'"{sys.executable}" app.py')


def test_what_the_page_about_ci_says_to_run(bare: Place) -> None:
    """Three jobs, each in a fresh clone: the first trains and releases, to the second nothing is new, the third has a
    model that is not good enough."""
    (workflow,) = blocks((DOCS / "ci.md").read_text(), "yaml")
    steps = yaml.safe_load(workflow)["jobs"]["train"]["steps"]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("rote ")]
    assert [command.split()[1] for command in commands] == ["checkout", "run", "release"]
    pipeline, _, gates = blocks(GUIDE, "yaml")
    bare.rote("init")
    bare.write("data/images/1.png", "1")
    bare.write("train.py", TRAIN)
    bare.write("params.yaml", "train:\n  lr: 0.1\n")
    bare.write("rote.yaml", pipeline + gates + f"store: {bare.root}/.rote/store\n")
    bare.rote("add", "data/images")
    bare.commit()

    def job(name: str) -> str:
        place = Place(bare.root.parent / name)
        place.git("clone", "-q", "--depth", "1", f"file://{bare.root}", ".")
        return typed(place, "\n".join(commands))

    assert "released digits@1.0.0" in job("one")
    again = job("two")
    assert "nothing to do" in again
    assert "was released already" in again
    bare.write("train.py", TRAIN.replace("0.96", "0.5"))
    bare.commit()
    with pytest.raises(AssertionError, match=r"accuracy >= 0.95 .*FAIL"):
        job("three")
    assert "prod -> 1.0.0" in bare.rote("models").out


def test_what_the_page_about_python_says_to_write(bare: Place) -> None:
    first, _ = blocks((DOCS / "python.md").read_text(), "python")
    pipeline, _, gates = blocks(GUIDE, "yaml")
    bare.rote("init")
    bare.write("data/images/1.png", "1")
    bare.write("train.py", TRAIN)
    bare.write("params.yaml", "train:\n  lr: 0.1\n")
    bare.write("rote.yaml", pipeline + gates)
    bare.write("all.py", first)
    typed(bare, f'"{sys.executable}" all.py')
    assert "prod -> 1.0.0" in bare.rote("models").out
