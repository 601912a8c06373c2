"""Runs under way, as a user controls them: in the background, from another clone, before a deadline, after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from place import Place

import rote
from rote.adapters.executors.census import Census
from rote.errors import Locked, Refused

SLOW = """\
stages:
  quick: {cmd: echo quick > quick, outs: [quick]}
  slow:
    cmd: "echo begun; cat gate; echo over; echo done > slow"
    deps: [quick]
    params: [train.lr]
    outs: [slow]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "one")
    place.git("init", "-q")
    place.write("rote.yaml", SLOW)
    place.write("params.yaml", "train: {lr: 0.1}\n")
    place.write(".gitignore", "/quick\n/slow\n/gate\n")
    place.rote("init", "--store", str(tmp_path / "store"))
    place.commit()
    os.mkfifo(place.root / "gate")
    return place


@pytest.fixture
def other(place: Place, tmp_path: Path) -> Place:
    """Another clone, as on another machine that shares the store."""
    place.git("clone", "-q", str(place.root), str(tmp_path / "two"))
    return Place(tmp_path / "two")


def begun(place: Place, *args: str) -> str:
    """Start a run in the background, and wait until its slow stage has said so."""
    id = place.rote("run", "--detach", *args).out.strip()
    for piece in rote.open(str(place.root)).logs(id, follow=True):
        if b"begun" in piece:
            return id
    raise AssertionError("it ended before it began")


def let_go(place: Place) -> None:
    (place.root / "gate").write_text("go\n")


def state(place: Place, run: str) -> str:
    return str(place.rote("show", run, "--json").json["state"])


def test_in_the_background_and_seen_and_followed_from_elsewhere(place: Place, other: Place) -> None:
    id = begun(place)
    (row,) = other.rote("ps", "--json").json
    assert (row["id"], row["state"]) == (id, "running")
    said: list[bytes] = []
    heard = threading.Event()

    def follow() -> None:
        for piece in rote.open(str(other.root)).logs(id, stage="slow", follow=True):
            said.append(piece)
            heard.set()

    follower = threading.Thread(target=follow)
    follower.start()
    assert heard.wait(60)
    let_go(place)
    follower.join(60)
    assert not follower.is_alive()
    assert b"".join(said) == b"begun\ngo\nover\n"
    assert state(other, id) == "finished"
    assert other.rote("ps").out == "no run is under way\n"
    log = other.rote("logs", id).out
    assert "rote: slow: running" in log
    keys = {p.name for p in (place.root.parent / "store" / "runs" / id).iterdir()}
    assert keys == {"record", "live"}, "nothing is left of what was only for the time under way"


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_stopped_and_resumed(place: Place, other: Place, where: str) -> None:
    id = begun(place, "-S", "train.lr=0.5", "--tag", "owner=x")
    told = (place if where == "here" else other).rote("stop", id)
    assert f"run {id}: stopped" in told.out
    record = place.rote("show", id, "--json").json
    assert record["state"] == "stopped"
    assert record["error"].startswith("stopped by ")
    assert other.rote("stop", id).out == f"run {id} was over already: stopped\n"
    with open(other.write("slow.sh"), "wb"):
        pass
    os.mkfifo(other.root / "gate")
    opener = threading.Thread(target=let_go, args=(other,))
    opener.start()
    other.write("params.yaml", "train: {lr: 0.7}\n")
    again = other.rote("resume", id, "--json")
    opener.join(60)
    run = again.json["run"]
    assert (run["resumes"], run["state"], run["tags"]) == (id, "finished", {"owner": "x"})
    assert run["params"]["params.yaml"]["train"]["lr"] == 0.5, "as the run had it, not as the file says now"
    assert {s["stage"]: s["outcome"] for s in run["stages"]} == {"quick": "hit", "slow": "done"}
    assert other.read("params.yaml") == "train: {lr: 0.7}\n"
    refused = other.rote("resume", run["id"], code=1)
    assert "is finished: there is nothing to go on with" in refused.err


def test_a_deadline_pauses_and_resume_goes_on(place: Place) -> None:
    told = place.rote("run", "--deadline", "2s", code=75)
    assert "paused" in told.out
    assert "rote resume" in told.err
    (row,) = place.rote("runs", "--where", "state = 'paused'", "--json").json
    record = place.rote("show", row["id"], "--json").json
    assert record["error"].startswith("its deadline is near")
    opener = threading.Thread(target=let_go, args=(place,))
    opener.start()
    assert place.rote("resume", "last", "--json").json["run"]["state"] == "finished"
    opener.join(60)


@pytest.mark.parametrize("text", ["soon", "-5m", "0s", "2001-01-01T00:00", "99:99", ""])
def test_a_deadline_that_cannot_be_meant(place: Place, text: str) -> None:
    told = place.rote("run", f"--deadline={text}", code=2)
    assert "deadline" in told.err
    assert place.rote("runs").out.startswith("no runs")


def test_killed_and_what_was_written_is_there_and_resumed(place: Place, other: Place) -> None:
    id = begun(place)
    pid = int((place.root / ".rote" / "running").read_text().split()[1])
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(rote.RoteError, match="its process is gone"):
        for _ in rote.open(str(place.root)).logs(id, follow=True):
            pass
    assert "begun\n" in place.rote("logs", id).out
    (row,) = place.rote("ps", "--json").json
    assert row["state"] == "gone"
    opener = threading.Thread(target=let_go, args=(place,))
    opener.start()
    assert place.rote("resume", id, "--json").json["run"]["resumes"] == id
    opener.join(60)
    assert state(place, id) == "stopped"
    assert "begun\n" in other.rote("logs", id).out, "the rest of the log was sent by who found it"


def changed(place: Place, old: str, new: str) -> None:
    """The pipeline with another command."""
    place.write("rote.yaml", place.read("rote.yaml").replace(old, new))


def kill(place: Place, tree: str = ".") -> None:
    """Kill rote and its guard, in the middle of the slow stage of a run that was begun in a tree."""
    pid = int((place.root / tree / ".rote" / "running").read_text().split()[1])
    for guard in guards(pid):
        os.kill(guard, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


def guards(parent: int) -> list[int]:
    """The processes beside a rote that see to its stages when it is killed."""
    if not Census().works:
        return []
    found = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", "rote-guard"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.parametrize("command", ["plan", "status", "run", "add"])
def test_after_a_kill_the_next_command_clears_up_and_says_so(place: Place, command: str) -> None:
    """Params that were overridden are put back before anything reads them, also for templates."""
    changed(place, "echo quick > quick", "'echo ${train.lr} > quick'")
    id = begun(place, "-S", "train.lr=0.5")
    kill(place)
    assert place.read("params.yaml") == "train: {lr: 0.5}\n"
    place.write("data/a", "a")
    more = {"add": ["data"], "run": ["quick"]}
    told = place.rote(command, *more.get(command, []))
    assert place.read("params.yaml") == "train: {lr: 0.1}\n"
    assert "a killed run had overridden params: params.yaml is put back" in told.err
    assert (
        f"run {id} was killed; it is recorded as stopped, and `rote resume {id}` goes on with it" in told.err
    )
    if Census().works:
        assert f"ended what the killed run {id} had left running: " in told.err
        assert "cat gate" in told.err
    assert state(place, id) == "stopped"
    assert not (place.root / ".rote" / "running").exists()
    if command == "run":
        assert place.read("quick") == "0.1\n"
    again = place.rote("status").err
    assert "killed" not in again


@pytest.mark.parametrize(("option", "tree"), [("--rev=HEAD", ".rote/revs/*"), ("--smoke", ".rote/smoke")])
def test_a_killed_run_in_a_tree_of_its_own_is_no_riddle(
    place: Place, other: Place, option: str, tree: str
) -> None:
    changed(place, "cat gate", f"cat {place.root}/gate")
    place.commit()
    id = begun(place, option)
    [where] = [p for p in place.root.glob(tree) if p.is_dir()]
    (row,) = place.rote("ps", "--json").json
    assert row["state"] == "running"
    kill(place, str(where.relative_to(place.root)))
    (row,) = place.rote("ps", "--json").json
    assert row["state"] == "gone"
    assert "begun\n" in place.rote("logs", id).out
    told = place.rote("plan").err
    assert f"run {id} was killed in {where.relative_to(place.root)}; it is recorded as stopped" in told
    assert state(place, id) == "stopped"
    assert "begun\n" in other.rote("logs", id).out, "the rest of the log was sent by who found it"
    opener = threading.Thread(target=let_go, args=(place,))
    opener.start()
    assert place.rote("resume", id, "--json").json["run"]["state"] == "finished"
    opener.join(60)


def test_who_waits_for_a_run_does_not_take_its_params(place: Place) -> None:
    """What was read while another run had params overridden is read anew when that run is over."""
    changed(place, "echo quick > quick", "'echo ${train.lr} > quick'")
    begun(place, "-S", "train.lr=0.5")
    waiting = place.start("run", "quick")
    assert waiting.stderr is not None
    assert b"waiting for" in waiting.stderr.readline()
    let_go(place)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert place.read("quick") == "0.1\n"


def test_one_that_is_under_way_is_not_resumed_and_none_starts_beside_it(place: Place, other: Place) -> None:
    id = begun(place)
    with pytest.raises(Locked, match="is under way"):
        rote.open(str(place.root)).resume(id)
    with pytest.raises(Locked, match="is under way"):
        rote.open(str(other.root)).resume(id)
    told = place.rote("run", "--detach", code=1)
    assert "another command works in this working tree" in told.err
    asked = other.rote("stop", id, "--no-wait")
    assert "is asked to end" in asked.out
    assert place.rote("stop", id, "--now").out.endswith("stopped\n"), (
        "it ends now, if the first stop has not ended it"
    )


def test_what_cannot_be_stopped_or_resumed(place: Place) -> None:
    assert place.rote("stop", "20200101-000000-abcdef", code=1).err.startswith("rote: ")
    place.rote("resume", "nonsense", code=2)
    place.write("rote.yaml", "stages: {a: {cmd: 'false', outs: [a]}}\n")
    told = place.rote("run", "--detach")
    id = told.out.strip()
    for _ in rote.open(str(place.root)).logs(id, follow=True):
        pass
    assert state(place, id) == "failed"
    place.rote("resume", id, code=1)
    place.write("rote.yaml", "stages: {a: {cmd: 'true > a', params: [x], outs: [a]}}\n")
    assert "x" in place.rote("run", "--detach", code=None).err + place.rote("show", "last").out


def test_params_that_cannot_be_brought_back(place: Place) -> None:
    place.rote("run", "--deadline", "2s", code=75)
    place.write("params.yaml", "train: {lr: 0.1, more: 1}\n")
    with pytest.raises(Refused, match=r"params\.yaml:train\.more"):
        rote.open(str(place.root)).resume("last")


def test_detached_with_nothing_to_do_and_with_nothing_to_run(place: Place) -> None:
    place.rote("run", "quick")
    told = place.rote("run", "--detach", "quick", "--json")
    assert json.loads(told.out)["recorded"] is False
    assert not list((place.root / ".rote" / "runs").glob("detached-*"))
    place.write("rote.yaml", "stages: {}\n")
    refused = place.rote("run", "--detach", code=2)
    assert "describes no stages" in refused.err
    place.write("rote.yaml", "stages: [}\n")
    place.rote("run", "--detach", code=2)
