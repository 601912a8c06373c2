"""What stages are found to read: processes of every kind, and what cannot be seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rote.wiring.operating import HOOK
from rote.words.result import Found
from rote.words.run import StageOutcome
from scenes import founded, lay, opened

PYTHON = sys.executable


def project(
    root: Path, cmd: str, files: dict[str, str | bytes], more: str = "", deps: str = "[run.py]"
) -> Path:
    """A project of one stage `s` with the out `out`."""
    text = "".join(f"      - {line}\n" for line in cmd.splitlines())
    founded(root, f"stages:\n  s:\n    cmd:\n{text}    deps: {deps}\n    outs: [out]\n{more}")
    lay(root, files)
    return root


def ran(root: Path, seed: int = 0, **options: object) -> StageOutcome:
    return opened(root, seed).run(**options).stages[0]  # type: ignore[arg-type]


def found(root: Path, seed: int = 50) -> Found:
    why = opened(root, seed).why("s")
    assert why.decision.verdict == "hit", why
    return why.found or Found()


WRITE = "open('out', 'w').write('x')\n"


@pytest.mark.parametrize(
    "script",
    [
        "import os, helper\nwith open('out', 'w') as f: f.write('x')\nos._exit(0)\n",
        "import os, helper\n" + WRITE + "import subprocess\nsubprocess.run('kill -9 $PPID', shell=True)\n",
        "import os\npid = os.fork()\nif not pid:\n    import helper\n    os._exit(0)\nos.waitpid(pid, 0)\n" + WRITE,
        "import threading\nt = threading.Thread(target=lambda: __import__('helper'))\nt.start(); t.join()\n" + WRITE,
        "import runpy\nrunpy.run_path('helper.py')\n" + WRITE,
        "exec(open('helper.py').read())\n" + WRITE,
        "import importlib.util as u\ns = u.spec_from_file_location('h', 'helper.py')\ns.loader.exec_module(u.module_from_spec(s))\n" + WRITE,
        "import os\nfor fd in range(3, 64):\n    try: os.close(fd)\n    except OSError: pass\nimport helper\n" + WRITE,
        "import os\nos.chdir('/')\nimport helper\nos.chdir(os.path.dirname(os.path.abspath(helper.__file__)))\n" + WRITE,
        "import sys\nsys.dont_write_bytecode = True\nimport helper\n" + WRITE,
    ],
)  # fmt: skip
def test_however_code_is_loaded_and_the_process_ends_it_is_found(tmp_path: Path, script: str) -> None:
    root = project(tmp_path / "p", f"{PYTHON} run.py || true", {"run.py": script, "helper.py": "X = 1\n"})
    assert ran(root).outcome == "done"
    assert "helper.py" in found(root).files
    lay(root, {"helper.py": "X = 2\n"})
    assert ran(root, 1).outcome == "done"


@pytest.mark.parametrize(
    "cmd",
    [
        "PYTHONPATH=lib PY run.py",
        "A=1 PYTHONPATH='lib' PY run.py",
        'export PYTHONPATH="lib:$PYTHONPATH"; PY run.py',
        "cd . && PYTHONPATH=lib PY run.py",
        "env PYTHONPATH=lib PY run.py",
        "PYTHONPATH=lib PY -m run",
        "cd lib && PY ../run.py && cp out ../out",
        "sh -c 'PY run.py lib'",
    ],
)
def test_however_python_is_started_it_takes_notes(tmp_path: Path, cmd: str) -> None:
    script = "import sys\nsys.path += ['lib', '.']\nimport helper\n" + WRITE
    files: dict[str, str | bytes] = {"run.py": script, "lib/helper.py": "X = 1\n"}
    root = project(tmp_path / "p", cmd.replace("PY ", PYTHON + " "), files)
    assert ran(root).outcome == "done"
    assert "lib/helper.py" in found(root).files


def test_a_command_that_only_speaks_of_pythonpath_stays_as_it_is(tmp_path: Path) -> None:
    root = project(tmp_path / "p", "echo 'a; PYTHONPATH=b' PYTHONPATH=c > out", {"run.py": ""})
    assert ran(root).outcome == "done"
    assert (root / "out").read_text() == "a; PYTHONPATH=b PYTHONPATH=c\n"


def test_the_stage_sees_no_difference(tmp_path: Path) -> None:
    """Same import path, same sitecustomize, same output as without being watched."""
    own = tmp_path / "own"
    lay(own, {"sitecustomize.py": "print('mine', __file__)\n"})
    script = "import sys, sitecustomize\nprint(sys.path, sitecustomize.__file__, sys.flags)\n"
    (tmp_path / "run.py").write_text(script)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(own)}
    watched = {
        **env, "PYTHONPATH": f"{HOOK}:{own}", "ROTE_TRACE": str(tmp_path / "notes"), "ROTE_TRACE_ROOTS": str(tmp_path),
    }  # fmt: skip
    done = [
        subprocess.run([PYTHON, "run.py"], cwd=tmp_path, env=e, capture_output=True, text=True, check=True)
        for e in (env, watched)
    ]
    assert done[0].stdout == done[1].stdout
    assert done[0].stderr == done[1].stderr == ""
    assert list((tmp_path / "notes").iterdir())


@pytest.mark.parametrize("place", ["/dev/null/notes", "/proc/nowhere", ""])
def test_notes_that_cannot_be_written_break_nothing(tmp_path: Path, place: str) -> None:
    (tmp_path / "run.py").write_text("import json\nprint(open('run.py').read() is not None)\n")
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": HOOK,
        "ROTE_TRACE": place,
        "ROTE_TRACE_ROOTS": str(tmp_path),
    }
    done = subprocess.run(
        [PYTHON, "run.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_hostile_use_of_files_breaks_nothing(tmp_path: Path) -> None:
    script = """\
import os
for bad in [b'x\\xff', 'a\\nb', 'a b', '\\x1f']:
    try: open(bad)
    except OSError: pass
try: open('nul\\0')
except ValueError: pass
try: open(10**9)
except (OSError, OverflowError): pass
class P:
    def __fspath__(self): return 'there.txt'
open(P()).read()
os.scandir('.').close(); os.listdir(b'.'); os.listdir()
fd = os.open('.', os.O_RDONLY); os.listdir(fd); os.close(fd)
"""
    root = project(tmp_path / "p", f"{PYTHON} run.py", {"run.py": script + WRITE, "there.txt": "1"})
    outcome = ran(root)
    assert outcome.outcome == "done", outcome.why
    assert {"there.txt", "a\nb", "a b"} <= set(found(root).files)
    assert "." in found(root).folders


def test_what_a_stage_makes_is_no_finding(tmp_path: Path) -> None:
    script = """\
import os, subprocess
open('scratch', 'w').write('1'); open('scratch').read()
open('draft', 'w').write('1'); os.rename('draft', 'final'); open('final').read()
subprocess.run('echo 1 > by-shell.csv', shell=True); open('by-shell.csv').read()
os.makedirs('new', exist_ok=True); open('new/a', 'w').close(); os.listdir('new'); os.listdir('.')
open('out', 'w').write('x'); open('out').read()
"""
    root = project(tmp_path / "p", f"{PYTHON} run.py", {"run.py": script})
    assert ran(root).undeclared == []
    what = found(root)
    assert what.files == {}
    assert what.folders["."].names == ["rote.yaml"]
    assert set(what.folders["."].besides) == {
        "by-shell.csv",
        "draft",
        "final",
        "new",
        "out",
        "run.py",
        "scratch",
    }


def test_code_that_is_edited_while_it_runs_is_told_and_not_kept(tmp_path: Path) -> None:
    script = "import helper, subprocess\nsubprocess.run('echo Y = 2 >> helper.py', shell=True)\n" + WRITE
    root = project(tmp_path / "p", f"{PYTHON} run.py", {"run.py": script, "helper.py": "X = 1\n"})
    outcome = ran(root)
    assert outcome.why == "helper.py was changed meanwhile, so this is not kept as a result"
    assert opened(root, 1).plan().decisions[0].verdict == "run"


DATA = {"run.py": "open('data/x.csv').read()\n" + WRITE, "data/x.csv": "1"}


def test_strict_refuses_data_that_is_not_named(tmp_path: Path) -> None:
    root = project(tmp_path / "p", f"{PYTHON} run.py", dict(DATA))
    failed = ran(root, strict=True)
    assert failed.outcome == "failed"
    assert "it read data/x.csv, which it does not name, and it is strict" in failed.why
    assert not (root / "out").exists()
    assert ran(root, 1).undeclared == ["data/x.csv"]
    assert ran(root, 2).outcome == "hit"
    assert ran(root, 3, strict=True).outcome == "failed"
    text = (root / "rote.yaml").read_text()
    (root / "rote.yaml").write_text(text.replace("deps: [run.py]", "deps: [run.py, data]"))
    assert ran(root, 4, strict=True).outcome == "done"


def test_strict_stands_in_rote_yaml(tmp_path: Path) -> None:
    root = project(tmp_path / "p", f"{PYTHON} run.py", dict(DATA), "    strict: true\n")
    assert ran(root).outcome == "failed"
    root = project(tmp_path / "q", f"{PYTHON} run.py", dict(DATA), "strict: true\n")
    assert ran(root).outcome == "failed"
    root = project(tmp_path / "r", f"{PYTHON} run.py", dict(DATA), "    trace: off\n")
    assert (ran(root).outcome, ran(root, 1).outcome) == ("done", "hit")
    lay(root, {"data/x.csv": "2"})
    assert ran(root, 2).outcome == "hit"


def test_code_in_data_and_outs_of_others_are_data(tmp_path: Path) -> None:
    script = "open('code/a.py').read(); open('made.py').read()\n" + WRITE
    more = "  m:\n    cmd: echo > made.py\n    outs: [made.py]\n"
    root = project(tmp_path / "p", f"{PYTHON} run.py", {"run.py": script, "code/a.py": "1"}, more)
    opened(root, 0).add(str(root / "code"))
    opened(root, 1).run("m")
    assert ran(root, 2).undeclared == ["code/a.py", "made.py"]


def test_notes_of_a_killed_rote_are_cleared_away(tmp_path: Path) -> None:
    root = project(tmp_path / "p", f"{PYTHON} run.py", {"run.py": WRITE})
    lay(root, {".rote/trace/1-1-s/5-abc": "R 1,1,1,1 /x\n"})
    assert ran(root).outcome == "done"
    assert not (root / ".rote/trace").exists()


def test_two_machines_have_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two paths, two users, two time zones, two locales, two orders of listing: one key, one slot, one result."""
    script = "import helper, glob, time\nglob.glob('conf/*')\nopen('there.csv').read()\n" + WRITE
    files: dict[str, str | bytes] = {
        "run.py": script,
        "helper.py": "X = 1\n",
        "there.csv": "1",
        "conf/ä": "",
        "conf/b": "",
    }
    root = project(tmp_path / "one", "python run.py", dict(files))
    monkeypatch.setenv("PATH", f"{os.path.dirname(PYTHON)}:{os.environ['PATH']}")
    first = ran(root)
    assert first.outcome == "done"
    other = founded(tmp_path / "elsewhere" / "zwei", (root / "rote.yaml").read_text())
    (other / "rote.yaml").write_text(f"store: {root}/.rote/store\n" + (other / "rote.yaml").read_text())
    lay(other, dict(reversed(files.items())))
    for name, value in {
        "USER": "eve",
        "HOME": str(tmp_path),
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
        "LANG": "de_DE",
    }.items():
        monkeypatch.setenv(name, value)
    hit = ran(other, 1)
    assert (hit.outcome, hit.key, hit.slot) == ("hit", first.key, first.slot)
    lay(other, {"helper.py": "X = 2\n"})
    second = ran(other, 2)
    lay(root, {"helper.py": "X = 2\n"})
    back = ran(root, 3)
    assert (second.outcome, back.outcome, back.key) == ("done", "hit", first.key)
    assert back.slot is not None
    assert back.slot == ran(other, 4).slot


# ---- strace --------------------------------------------------------------------------------------------------


SHELL = """\
. ./lib.sh
test -e maybe.cfg && cat maybe.cfg > out
while read line; do echo "$line" >> out; done < in/a.csv
cd in && cat b.csv >> ../out
sh -c 'ls ../conf > ../names; mv ../names ../listed' && cat ../listed >> ../out
exit "${CODE:-0}"
"""


def test_a_shell_script_is_traced(tmp_path: Path, strace: str) -> None:
    files: dict[str, str | bytes] = {
        "run.sh": SHELL, "lib.sh": "X=1\n", "in/a.csv": "a\n", "in/b.csv": "b\n", "in/c.csv": "c\n", "conf/x": "",
    }  # fmt: skip
    root = project(tmp_path / "p", "sh run.sh", files, "    trace: strace\n", deps="[]")
    outcome = ran(root)
    assert outcome.outcome == "done", outcome.why
    assert outcome.undeclared == ["in/a.csv", "in/b.csv"]
    what = found(root)
    assert {p for p, d in what.files.items() if d} == {"run.sh", "lib.sh", "in/a.csv", "in/b.csv"}
    assert what.files["maybe.cfg"] is None
    assert "conf" in what.folders
    lay(root, {"in/c.csv": "changed"})
    assert ran(root, 1).outcome == "hit"
    for seed, path in enumerate(("lib.sh", "in/b.csv", "maybe.cfg", "conf/y"), 2):
        lay(root, {path: "Y=2\n"})
        assert ran(root, seed).outcome == "done", path
    lay(root, {"run.sh": SHELL.replace("CODE:-0", "CODE:-7")})
    assert ran(root, 9).exit_code == 7


def test_a_program_in_c_is_traced(tmp_path: Path, strace: str) -> None:
    source = """\
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
int main(void) {
    char c = 0;
    int folder = open("in", O_RDONLY | O_DIRECTORY);
    int fd = openat(folder, "a.csv", O_RDONLY);
    FILE *out = fopen("out", "w");
    while (read(fd, &c, 1) == 1) fputc(c, out);
    fclose(out);
    return 0;
}
"""
    root = project(
        tmp_path / "p", "./prog", {"in/a.csv": "1", "main.c": source}, "    trace: strace\n", deps="[]"
    )
    subprocess.run(["cc", "-o", "prog", "main.c"], cwd=root, check=True)
    assert ran(root).outcome == "done"
    assert {p for p, d in found(root).files.items() if d} == {"prog", "in/a.csv"}
    lay(root, {"in/a.csv": "2"})
    assert ran(root, 1).outcome == "done"
    assert (root / "out").read_text() == "2"


def test_python_under_strace_has_no_needless_miss(tmp_path: Path, strace: str) -> None:
    script = "import helper, os\nos.path.exists('maybe')\n" + WRITE
    root = project(
        tmp_path / "p",
        f"{PYTHON} run.py",
        {"run.py": script, "helper.py": "X=1\n", "other.py": ""},
        "    trace: strace\n",
    )
    assert ran(root).outcome == "done"
    assert found(root).files["maybe"] is None
    lay(root, {"other.py": "Y = 1\n", "unrelated.txt": "1"})
    assert ran(root, 1).outcome == "hit"
    lay(root, {"maybe": "1"})
    assert ran(root, 2).outcome == "done"


def test_without_strace_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "p", "cp run.py out", {"run.py": ""}, "    trace: strace\n")
    monkeypatch.setenv("PATH", "/nowhere")
    outcome = ran(root)
    assert outcome.outcome == "failed"
    assert "there is no `strace` here" in outcome.why
    assert "apt-get install strace" in outcome.why


def test_a_traced_stage_is_stopped_like_any_other(tmp_path: Path, strace: str) -> None:
    """TERM reaches the command through strace."""
    cmd = "kill -TERM 0; sleep 600"
    root = project(tmp_path / "p", cmd, {"run.py": ""}, "    trace: strace\n")
    outcome = ran(root)
    assert outcome.outcome == "failed"
    assert outcome.exit_code in (-signal.SIGTERM, 128 + signal.SIGTERM)
