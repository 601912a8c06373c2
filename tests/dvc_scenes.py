"""A project of DVC's with a bit of everything, and what it does when something changes. Shared by the script that makes
the fixture with real DVC and by the tests that run DVC beside rote."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

DVC = "3.67.1"

STEP = """\
# Notes that it ran (in the file $RAN, if that is set), then does what it is told.
name="$1"; shift
if [ -n "$RAN" ]; then echo "$name" >> "$RAN"; fi
"$@"
"""
ROOT = r"""
vars:
  - conf/words.yaml
  - conf/extra.json:suffix
  - top: {title: "a title"}

stages:
  prepare:
    desc: Makes a folder out of a folder.
    cmd:
      - sh step.sh prepare mkdir -p clean/deep
      - cat data/*.txt data/in/*.txt > clean/all.txt && echo "${top.title}${suffix}" > clean/deep/title.txt
    deps: [step.sh, data]
    outs: [clean]
    meta: {owner: somebody}
  train:
    foreach: ${models}
    do:
      cmd: sh step.sh train-${key} sh train.sh ${item.lr} ${item.deep} ${key} && echo \${NOTHING}$NOTHING > note-${key}.txt
      deps: [step.sh, train.sh, clean/all.txt]
      params: ["models.${key}.lr", {conf/model.toml: [size]}, {conf/extra.json: [suffix]}]
      outs: ["model-${key}.bin", {"note-${key}.txt": {cache: false}}]
      metrics: [{"metrics-${key}.json": {cache: false}}]
  score:
    foreach: [one, 2, 0.5]
    do:
      cmd: sh step.sh score-${item} cp clean/all.txt score-${item}.txt
      deps: [step.sh, clean]
      outs: ["score-${item}.txt"]
  grid:
    matrix:
      size: [1, 2]
      kind: ${words}
    cmd: sh step.sh grid-${key} touch grid-${key}.csv && echo ${item.size} ${item.kind} >> grid-${key}.csv
    deps: [step.sh]
    plots: [{"grid-${key}.csv": {x: a, y: b, cache: true}}]
  history:
    cmd: sh step.sh history touch history.txt && cat conf/whole.yaml >> history.txt
    deps: [step.sh, conf/whole.yaml]
    params: [{conf/whole.yaml: null}]
    outs: [{history.txt: {persist: true}}]

metrics: [metrics-cnn.json]
plots: [grid-1-red.csv]
artifacts:
  digits: {path: model-cnn.bin, type: model, desc: Reads digits.}
"""
SUB = """
vars: [{own: from the subfolder}]
stages:
  report:
    cmd: sh ../step.sh report sh -c 'cat ../model-*.bin ../single.csv' > report.txt
    deps: [../step.sh, ../model-cnn.bin, ../model-mlp.bin, ../single.csv]
    outs: [report.txt]
  inner:
    wdir: inner
    cmd: sh ../../step.sh inner cp ../report.txt out.txt && echo ${own} ${rate} >> out.txt
    deps: [../report.txt]
    params: [rate]
    outs: [out.txt]
"""
FILES = {
    "step.sh": STEP,
    "train.sh": 'echo "$1 $2 $3 $(wc -l < clean/all.txt)" > model-$3.bin\necho "{\\"accuracy\\": $1, \\"name\\": \\"$3\\"}" > metrics-$3.json\n',
    "dvc.yaml": ROOT,
    "sub/dvc.yaml": SUB,
    "sub/params.yaml": "rate: 7\n",
    "sub/inner/params.yaml": "rate: 8\n",
    "params.yaml": "models:\n  cnn: {lr: 0.1, deep: true}\n  mlp: {lr: 1e-05, deep: false}\n",
    "conf/words.yaml": "words: [red, blue]\n",
    "conf/extra.json": '{"suffix": "!", "other": 1}\n',
    "conf/model.toml": "size = 3\n",
    "conf/whole.yaml": "a: 1\nb: {c: [1, 2]}\n",
    "data/one.txt": "one\n",
    "data/two.txt": "two\r\nlines\r\n",
    "data/in/three.txt": "drei\n",
    "single.csv": "a,b\n1,2\n",
}
CHANGES: dict[str, dict[str, str]] = {
    "nothing": {},
    "a file of the data": {"data/in/three.txt": "trois\n"},
    "a script": {"train.sh": FILES["train.sh"] + "# another line\n"},
    "a param of one item": {"params.yaml": FILES["params.yaml"].replace("0.1", "0.25")},
    "a param that was so before": {"params.yaml": FILES["params.yaml"].replace("0.1", "0.75")},
    "a param in another file": {"conf/model.toml": "size = 4\n"},
    "a param that nobody names": {"conf/model.toml": "size = 3\nmore = 1\n"},
    "a whole params file": {"conf/whole.yaml": "a: 1\nb: {c: [1, 2, 3]}\n"},
    "a value of a template": {"conf/extra.json": '{"suffix": "?", "other": 1}\n'},
    "the single file": {"single.csv": "a,b\n3,4\n"},
    "params of the subfolder": {"sub/inner/params.yaml": "rate: 9\n"},
    "a value that the subfolder's template names": {"sub/params.yaml": "rate: 10\n"},
    "an item more": {"conf/words.yaml": "words: [red, blue, green]\n"},
    "what all steps use": {"step.sh": STEP + "# another line\n"},
}
"""Changes by name: the files that are written."""


class Dvc:
    """A project in which DVC is typed."""

    def __init__(self, root: Path, executable: str) -> None:
        self.root = root
        self.executable = executable

    def environment(self, **more: str) -> dict[str, str]:
        home = self.root.parent / "dvc-home"
        home.mkdir(exist_ok=True)
        who = {
            f"GIT_{r}_{w}": v
            for r in ("AUTHOR", "COMMITTER")
            for w, v in (("NAME", "T"), ("EMAIL", "t@example.org"))
        }
        return {
            **os.environ,
            **who,
            "DVC_NO_ANALYTICS": "1",
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home),
            **more,
        }

    def __call__(self, *args: str, **env: str) -> str:
        done = subprocess.run(
            [self.executable, *args],
            cwd=self.root,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"dvc {' '.join(args)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def repro(self) -> list[str]:
        """`dvc repro` of everything; which steps ran."""
        ran = self.root.parent / "ran"
        ran.unlink(missing_ok=True)
        self("repro", "-P", RAN=str(ran))
        return sorted(ran.read_text().split()) if ran.exists() else []

    def graph(self) -> dict[str, list[str]]:
        """Each stage and what it needs, as rote names them."""
        found: dict[str, set[str]] = {}
        for line in self("stage", "list", "--all", "--name-only").split():
            if not line.endswith(".dvc"):
                found[named(line)] = set()
        for line in self("dag", "--dot", "--full").splitlines():
            maker, arrow, user = (part.strip(' ";') for part in line.partition("->"))
            if arrow and named(maker) in found:
                found[named(user)].add(named(maker))
        return {stage: sorted(needs) for stage, needs in found.items()}


def named(stage: str) -> str:
    """A stage's name as rote has it."""
    return stage.replace("/dvc.yaml:", ":")


def lay(root: Path, files: dict[str, str]) -> None:
    """Write files, none of them through a link."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(text.encode())


def founded(root: Path, executable: str) -> Dvc:
    """A project of DVC's that was run once and pushed to the folder `remote` beside it."""
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc = Dvc(root, executable)
    dvc("init", "-q")
    dvc("config", "core.autostage", "true")
    lay(root, FILES)
    dvc("add", "-q", "data", "single.csv")
    dvc("remote", "add", "-q", "-d", "beside", str(root.parent / "remote"))
    config = root / ".dvc/config"
    config.write_text(config.read_text().replace(str(root.parent / "remote"), "../../remote"))
    dvc.repro()
    dvc("push", "-q", "--run-cache")
    return dvc


def content(root: Path, skipped: Callable[[str], bool] = lambda name: False) -> dict[str, str]:
    """Every file of the project that is neither git's, DVC's nor rote's own -> the digest of what is in it."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        own = name.split("/")[0] in (".git", ".dvc", ".rote") or name.endswith(
            (".dvc", ".gitignore", "dvc.lock")
        )
        if path.is_file() and not own and not skipped(name):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def expected(dvc: Dvc, copy: Callable[[str], Path]) -> dict[str, Any]:
    """What DVC makes of the project: its graph, its files, and which steps run after each change."""
    found: dict[str, Any] = {"graph": dvc.graph(), "content": content(dvc.root), "ran": {}, "after": {}}
    for name, files in CHANGES.items():
        there = Dvc(copy(name), dvc.executable)
        lay(there.root, files)
        found["ran"][name] = there.repro()
        found["after"][name] = content(there.root)
    return json.loads(json.dumps(found))
