"""Stages that misbehave, through the real command: each is handled or refused in words, and nothing is lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from place import ROTE, Place

from rote.adapters.executors.census import Census

FOUND = Census().works
GOOD = "  good: {cmd: cp in.txt good.txt, deps: [in.txt], outs: [good.txt]}\n"


def pipeline(place: Place, bad: str) -> None:
    """A pipeline with a stage that is fine, whose result must be there whatever the other one does."""
    place.write("in.txt", "in\n")
    place.write("rote.yaml", f"stages:\n{GOOD}  bad:\n{bad}")


def gone(pid: int) -> bool:
    """Whether a process has ended, and at most waits to be reaped by whoever adopted it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return b") Z" in f.read()
    except OSError:
        return True


def still_good(place: Place) -> None:
    assert place.read("good.txt") == "in\n"
    (place.root / "good.txt").unlink()
    told = place.rote("run", "good")
    assert "hit" in told.out
    assert place.read("good.txt") == "in\n"
    place.rote("store", "check")


def test_a_daemon(place: Place) -> None:
    """It would write over the out a moment later. It does not outlive the stage, so the out is what the stage left."""
    os.mkfifo(place.root / "ready")
    os.mkfifo(place.root / "never")
    place.write(
        "daemon.py",
        "import os\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
        "open('pid', 'w').write(str(os.getpid()))\nopen('ready', 'w').close()\nopen('never').read()\n"
        "open('out', 'w').write('spoiled')\n",
    )
    pipeline(
        place, f"    cmd: {sys.executable} daemon.py; read x < ready; echo right > out\n    outs: [out]\n"
    )
    place.rote("run")
    assert place.read("out") == "right\n"
    if FOUND:
        assert gone(int(place.read("pid")))
    else:
        os.close(os.open(place.root / "never", os.O_WRONLY))
    still_good(place)


@pytest.mark.parametrize("size", [300, pytest.param(10_240, marks=pytest.mark.heavy)])
def test_one_line_without_end(place: Place, size: int) -> None:
    """300 MiB, or 10 GiB, without a newline: memory stays small, the log says where it was cut and keeps the end."""
    pipeline(place, f"    cmd: {sys.executable} flood.py && echo 1 > out\n    outs: [out]\n")
    place.write(
        "flood.py",
        f"import os\nlong = b'x' * (1 << 20)\nfor _ in range({size}):\n    at = 0\n"
        "    while at < len(long): at += os.write(1, long[at:])\nos.write(1, b'the end')\n",
    )
    script = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *ROTE, "-q", "run"],
        cwd=place.root, env=place.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, peak = map(int, done.stdout.split()[-2:])
    assert code == 0
    assert peak * (1 if sys.platform == "darwin" else 1024) < 250 << 20
    logs = list((place.root / ".rote/runs").rglob("bad.log"))
    text = logs[0].read_bytes()
    assert len(text) < 257 << 20
    assert b"[rote: this log is longer than 256 MiB" in text
    assert text.endswith(b"the end")
    still_good(place)


def test_ignores_term(place: Place) -> None:
    pipeline(
        place,
        "    cmd: trap '' TERM; mkfifo f; exec 3<>f; while :; do read x <&3; done\n    outs: [o]\n    timeout: 0.2\n",
    )
    told = place.rote("run", code=1)
    assert "its timeout" in told.out
    still_good(place)


def test_deletes_its_own_dep(place: Place) -> None:
    place.write("dep.txt", "dep")
    pipeline(place, "    cmd: cp dep.txt out && rm dep.txt\n    deps: [dep.txt]\n    outs: [out]\n")
    told = place.rote("run")
    assert "dep.txt was changed meanwhile" in told.out
    assert place.read("out") == "dep"
    place.write("dep.txt", "dep")
    assert "bad: done" in place.rote("run").out  # it left no result
    still_good(place)


def test_changes_a_dep(place: Place) -> None:
    place.write("dep.txt", "dep")
    pipeline(place, "    cmd: cp dep.txt out && echo more >> dep.txt\n    deps: [dep.txt]\n    outs: [out]\n")
    assert "dep.txt was changed meanwhile" in place.rote("run").out
    still_good(place)


def test_writes_into_the_out_of_another(place: Place) -> None:
    """What the other stage made is brought again, what was written over it is kept aside."""
    pipeline(place, "    cmd: echo 1 > out; echo spoiled > good.txt\n    deps: [good.txt]\n    outs: [out]\n")
    told = place.rote("run", code=None)
    # Either it was saved before it was spoiled, or what is there cannot be saved as what the stage made.
    saved = "good.txt was changed meanwhile" in told.out
    assert saved or "'good.txt' changed while it was being read" in told.out or "it changed after" in told.out
    place.rote("run", "good")
    assert place.read("good.txt") == "in\n"
    assert any(p.read_text() == "spoiled\n" for p in (place.root / ".rote/aside").rglob("good.txt*"))


def test_a_gpu_that_is_not_there(place: Place) -> None:
    pipeline(place, "    cmd: echo 1 > out\n    outs: [out]\n    resources: {gpus: 1}\n")
    told = place.rote("run", code=2, CUDA_VISIBLE_DEVICES="")
    assert "rote.yaml:3: stages.bad: the stage bad needs 1 GPU, and this machine has none" in told.err
    assert "nothing was started" in told.err
    assert not (place.root / "good.txt").exists()
    place.rote("run", "good", CUDA_VISIBLE_DEVICES="")
    place.rote("run", CUDA_VISIBLE_DEVICES="0")
    assert "bad: hit" in place.rote("run", CUDA_VISIBLE_DEVICES="").out  # a result needs no GPU
    still_good(place)


def test_takes_more_memory_than_it_said(place: Place) -> None:
    hungry = f"{sys.executable} -c 'b = bytearray(300 << 20); import signal; signal.pause()'"
    pipeline(
        place, f'    cmd: "{hungry}"\n    outs: [out]\n    resources: {{memory: 150 MB}}\n    timeout: 60\n'
    )
    told = place.rote("run", code=1)
    assert ("150 MB is what it may have" in told.out) if FOUND else ("not enforced" in told.err)
    still_good(place)


def test_fills_the_disk(place: Place) -> None:
    """No file may be longer than a mebibyte: the stage cannot write on, and neither can its log."""
    place.write("flood.py", "import os\nfor _ in range(64): os.write(1, b'x' * (1 << 16))\n")
    place.write("big.py", "open('out', 'wb').write(bytes(4 << 20))\n")
    for script, words in (("flood.py", "cannot write the log"), ("big.py", "exit code")):
        pipeline(place, f"    cmd: {sys.executable} {script}\n    outs: [out]\n")
        place.rote("run", "good")
        done = subprocess.run(
            [*ROTE, "run"], cwd=place.root, env=place.environment(), capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY)),
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert words in done.stdout
        still_good(place)


def test_tried_again_by_hand_and_by_rote(place: Place) -> None:
    pipeline(
        place,
        "    cmd: echo x >> tries; test $(grep -c x tries) -ge 2 || exit 75; echo 1 > out\n    outs: [out]\n"
        "    retries: {times: 3, backoff: 0.01}\n",
    )
    told = place.rote("run")
    assert "bad: exit code 75; attempt 2 of 4" in told.err
    attempts = [
        s["attempts"] for s in place.rote("show", "last", "--json").json["stages"] if s["stage"] == "bad"
    ]
    assert [[a["exit_code"] for a in each] for each in attempts] == [[75]]
