"""One thing of a project is changed, and the next run must tell: no stale hit, no needless miss.

Each mutation is tried on a copy of a project that has run. Whether the stage would make something else now is asked of
a project without any result, so the truth does not come from the cache that is tested.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scenes import founded, lay, opened

PYTHON = sys.executable
PIPELINE = f"""\
stages:
  train:
    cmd: {PYTHON} src/train.py
    deps: [src/train.py, data/in.csv, tool]
    params: [train.lr, conf.toml:a]
    env:
      vars: [MUTANT]
      locks: [uv.lock]
      image: sha256:{"0" * 64}
      python: true
    outs: [out/model.txt]
"""
TRAIN = """\
import glob
import os
import subprocess
import sys
import multiprocessing

import colours
import helper
from pkg import inner
import tomllib

if __name__ == "__main__":
    parts = [helper.value(), inner.VALUE, os.environ.get("MUTANT", "-"), open("data/in.csv").read()]
    parts.append(open("data/extra.csv").read())
    lr = [line for line in open("params.yaml") if "lr" in line]
    parts += [repr(lr), str(tomllib.load(open("conf.toml", "rb"))["a"])]
    try:
        parts.append(open("optional.cfg").read())
    except FileNotFoundError:
        parts.append("no optional.cfg")
    parts += [open(path).read() for path in sorted(glob.glob("plugins/*.txt"))]
    parts.append(subprocess.run([sys.executable, "-m", "pkg.child"], capture_output=True, text=True).stdout)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        parts += pool.map(helper.worker, [1])
    parts.append(str(os.access("tool", os.X_OK)))
    os.makedirs("out", exist_ok=True)
    open("scratch.tmp", "w").write("made while it ran")
    open("scratch.tmp").read()
    open("out/model.txt", "w").write("\\n".join(parts))
"""
FILES: dict[str, str | bytes] = {
    "src/train.py": TRAIN,
    "src/helper.py": "import deep\n\ndef value():\n    return str(deep.DEPTH)\n\n\ndef worker(n):\n    import lazy\n    return lazy.NAME * n\n",
    "src/deep.py": "DEPTH = 1\n",
    "src/lazy.py": "NAME = 'l'\n",
    "src/unused.py": "X = 1\n",
    "src/pkg/__init__.py": "",
    "src/pkg/inner.py": "VALUE = 'i'\n",
    "src/pkg/other.py": "VALUE = 'o'\n",
    "pkg/__init__.py": "",
    "pkg/child.py": "import pkg.words\nprint(pkg.words.WORD)\n",
    "pkg/words.py": "WORD = 'w'\n",
    "src/colours/red.py": "",
    "data/in.csv": "1\n",
    "data/extra.csv": "2\n",
    "data/unread.csv": "3\n",
    "params.yaml": "train: {lr: 0.1}\nother: 1\n",
    "conf.toml": "a = 1\nb = 2\n",
    "plugins/a.txt": "a",
    "plugins/readme.md": "not read, but its name is",
    "uv.lock": "numpy==1\n",
    "tool": "#!/bin/sh\n",
    "README.md": "read me\n",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stage has run."""
    root = founded(tmp_path_factory.mktemp("made") / "p", PIPELINE)
    lay(root, FILES)
    outcome = opened(root, 0).run()
    assert outcome.ok, outcome.stages
    assert outcome.stages[0].undeclared == ["data/extra.csv", "plugins/a.txt"]
    assert not (root / ".rote/trace").exists()
    return root


def copied(made: Path, to: Path) -> Path:
    shutil.copytree(made, to, symlinks=True)
    return to


def truth(root: Path, folder: Path) -> str:
    """What the stage makes of the same files where nothing is known."""
    there = folder / "truth"
    shutil.copytree(
        root,
        there,
        symlinks=True,
        ignore=shutil.ignore_patterns(".rote", "out", "__pycache__", "scratch.tmp"),
    )
    founded(folder / "empty")
    shutil.copytree(folder / "empty/.rote", there / ".rote")
    assert opened(there, 90).run().ok
    return (there / "out/model.txt").read_text()


def write(path: str, text: str) -> Callable[[Path], None]:
    def mutate(root: Path) -> None:
        lay(root, {path: text})

    return mutate


def in_pipeline(old: str, new: str) -> Callable[[Path], None]:
    def mutate(root: Path) -> None:
        text = (root / "rote.yaml").read_text()
        assert old in text
        (root / "rote.yaml").write_text(text.replace(old, new))

    return mutate


def mode(path: str, bits: int) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(bits)


def gone(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def touched(root: Path) -> None:
    for path in FILES:
        os.utime(root / path, (1, 1))


RUNS: dict[str, Callable[[Path], None]] = {
    "the script": write("src/train.py", TRAIN + "# changed\n"),
    "a helper": write("src/helper.py", str(FILES["src/helper.py"]).replace("str(deep", "'x' + str(deep")),
    "what a helper imports, of the same size": write("src/deep.py", "DEPTH = 2\n"),
    "a module of a package": write("src/pkg/inner.py", "VALUE = 'j'\n"),
    "a package's __init__": write("src/pkg/__init__.py", "print('hello')\n"),
    "what a child process imports": write("pkg/words.py", "WORD = 'v'\n"),
    "what only a worker process imports": write("src/lazy.py", "NAME = 'm'\n"),
    "a module that goes in front of the standard library's": write("src/tomllib.py", "def load(f):\n    return {'a': 'shadow'}\n"),
    "a package that goes in front of a module": write("src/deep/__init__.py", "DEPTH = 'package'\n"),
    "a file that was looked for": write("optional.cfg", "here it is"),
    "a file more in a folder that is listed": write("plugins/b.txt", "b"),
    "a file less in a folder that is listed": gone("plugins/a.txt"),
    "a dep": write("data/in.csv", "9\n"),
    "data that is not named": write("data/extra.csv", "8\n"),
    "a param": write("params.yaml", "train: {lr: 0.2}\nother: 1\n"),
    "a param in another file": write("conf.toml", "a = 3\nb = 2\n"),
    "a lock file": write("uv.lock", "numpy==2\n"),
    "the image": in_pipeline("sha256:00", "sha256:11"),
    "the command": in_pipeline("src/train.py\n    deps", "-u src/train.py\n    deps"),
    "an out's path": in_pipeline("[out/model.txt]", "[out/model.txt, scratch.tmp]"),
    "a dep less": in_pipeline("data/in.csv, ", ""),
    "the mode of a dep": mode("tool", 0o755),
}  # fmt: skip
HITS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda root: None,
    "a module that it does not import": write("src/unused.py", "X = 2\n"),
    "a module beside one of a package": write("src/pkg/other.py", "VALUE = 'p'\n"),
    "a new module": write("src/new.py", "X = 1\n"),
    "a new folder": write("src/new/file.txt", "x"),
    "a folder that is no package, with the name of an imported module": write("src/re/notes.txt", "x"),
    "data that it does not read": write("data/unread.csv", "7\n"),
    "new data": write("data/new.csv", "7\n"),
    "another param": write("params.yaml", "train: {lr: 0.1}\nother: 2\n"),
    "another param of another file": write("conf.toml", "a = 1\nb = 5\n"),
    "a file that is not read in a folder that is listed": write("plugins/readme.md", "changed"),
    "a text": write("README.md", "read me again\n"),
    "the times of all files": touched,
    "the mode of a helper": mode("src/helper.py", 0o600),
    "its own scratch file": write("scratch.tmp", "left over"),
    "no scratch file": gone("scratch.tmp"),
    "the description": in_pipeline("    cmd:", "    desc: trains\n    cmd:"),
    "the order of deps": in_pipeline("src/train.py, data/in.csv", "data/in.csv, src/train.py"),
    "the stage's name": in_pipeline("  train:\n", "  learn:\n"),
}


@pytest.mark.parametrize("name", RUNS)
def test_no_stale_hit(made: Path, tmp_path: Path, name: str) -> None:
    root = copied(made, tmp_path / "p")
    RUNS[name](root)
    assert [d.verdict for d in opened(root, 1).plan().decisions] == ["run"]
    why = opened(root, 2).why("train")
    assert why.changes, why
    outcome = opened(root, 3).run()
    assert [s.outcome for s in outcome.stages] == ["done"], outcome.stages
    assert (root / "out/model.txt").read_text() == truth(root, tmp_path)
    assert [s.outcome for s in opened(root, 4).run().stages] == ["hit"]


@pytest.mark.parametrize("name", HITS)
def test_no_needless_miss(made: Path, tmp_path: Path, name: str) -> None:
    root = copied(made, tmp_path / "p")
    HITS[name](root)
    outcome = opened(root, 1).run()
    assert [s.outcome for s in outcome.stages] == ["hit"], outcome.stages
    assert (root / "out/model.txt").read_text() == truth(root, tmp_path)


@pytest.mark.parametrize(("before", "after"), [(None, "x"), ("x", "y"), ("x", None)])
def test_a_variable_that_counts(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str | None
) -> None:
    root = copied(made, tmp_path / "p")
    for seed, value in enumerate((before, after)):
        monkeypatch.delenv("MUTANT", raising=False)
        if value is not None:
            monkeypatch.setenv("MUTANT", value)
        monkeypatch.setenv("OTHER_MUTANT", str(seed))
        assert opened(root, 2 * seed + 1).run().stages[0].outcome == ("hit" if value is None else "done")
        assert (root / "out/model.txt").read_text().split("\n")[2] == (value or "-")
        assert opened(root, 2 * seed + 2).run().stages[0].outcome == "hit"


def test_every_way_back_is_a_hit(made: Path, tmp_path: Path) -> None:
    """Results of one stage key stay beside each other, whatever order they were made in."""
    root = copied(made, tmp_path / "p")
    states = [
        {},
        {"src/deep.py": "DEPTH = 2\n"},
        {"src/deep.py": "DEPTH = 2\n", "src/lazy.py": "NAME = 'z'\n"},
        {"src/deep.py": "import more\nDEPTH = more.D\n", "src/more.py": "D = 5\n"},
        {"src/deep.py": "import more\nDEPTH = more.D\n", "src/more.py": "D = 6\n"},
    ]
    seed = 10
    outs: list[str] = []
    for turn in range(3):
        for index, state in enumerate(states):
            (root / "src/more.py").unlink(missing_ok=True)
            lay(root, FILES | state)
            seed += 1
            outcome = opened(root, seed).run()
            expected = "done" if turn == 0 and index else "hit"
            assert outcome.stages[0].outcome == expected, (turn, index, outcome.stages)
            model = (root / "out/model.txt").read_text()
            if turn == 0:
                outs.append(model)
            assert model == outs[index]
    assert len(set(outs)) == len(states)


def test_quick_edits_of_the_same_size_are_seen(made: Path, tmp_path: Path) -> None:
    """Within one second, and one tick of the file system's clock: Python's own compiled modules must not lie either."""
    root = copied(made, tmp_path / "p")
    for number in range(2, 9):
        (root / "src/deep.py").write_text(f"DEPTH = {number}\n")
        assert opened(root, number).run().stages[0].outcome == "done"
        assert (root / "out/model.txt").read_text().split("\n")[0] == str(number)
