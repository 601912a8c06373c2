"""Walks through data, runs and logs, off the paths that people mean to take."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from place import ROTE, Place

import rote
from rote.adapters.worktree.lock import held
from rote.errors import RoteError

STAGE = "stages:\n  make:\n    cmd: echo hi > out.txt\n    outs: [out.txt]\n"


def test_the_command_line_is_recorded_as_it_was_typed(place: Place) -> None:
    place.write("rote.yaml", STAGE)
    assert place.rote("run", "--json").json["run"]["command"] == "rote run --json"
    place.rote("run", "--force")
    place.rote("-q", "run", "--force", "make")
    commands = [row["command"] for row in place.rote("runs", "--columns", "command", "--json").json]
    assert commands == ["rote run --force make", "rote run --force", "rote run --json"]


def test_one_run_cannot_be_compared(place: Place) -> None:
    place.write("rote.yaml", STAGE)
    place.rote("run")
    assert "two runs" in place.rote("compare", "last", code=2).err


def test_there_are_not_so_many_runs(place: Place) -> None:
    place.write("rote.yaml", STAGE)
    assert "next: rote run\n" in place.rote("show", "last", code=1).err
    place.rote("run")
    told = place.rote("show", "last~3", code=1).err
    assert "there is only one run" in told
    assert "next: rote runs\n" in told


def test_an_option_of_every_command_behind_the_command(place: Place) -> None:
    place.write("rote.yaml", STAGE)
    told = place.rote("run", "-q", code=2)
    assert "before the command" in told.err
    assert "rote -q" in told.err


def test_a_command_that_changed_is_shown_as_it_is_written(place: Place) -> None:
    place.write("rote.yaml", STAGE)
    place.rote("run")
    place.write("rote.yaml", STAGE.replace("echo hi", "echo ho"))
    told = place.rote("why", "make").out
    assert "before: echo hi > out.txt" in told
    assert "now:    echo ho > out.txt" in told


def test_a_failed_stage_leads_to_its_log(place: Place) -> None:
    place.write("rote.yaml", STAGE.replace("echo hi", "echo why it failed; exit 3; echo hi"))
    told = place.rote("run", code=1)
    run = place.rote("runs", "--json").json[0]["id"]
    assert f"rote logs {run}" in told.err
    assert "why it failed" in place.rote("logs", run).out


@pytest.mark.parametrize("text", ["[1]", "nope", '{"a": NaN}', '{"a": "x"}'])
def test_a_metrics_file_is_never_taken_for_params(place: Place, text: str) -> None:
    place.write(
        "rote.yaml", "stages:\n  a:\n    cmd: cp in.json m.json\n    deps: [in.json]\n    metrics: [m.json]\n"
    )
    place.write("in.json", text)
    told = place.rote("run", code=1)
    assert "a metrics file must be a mapping of numbers" in told.out
    assert "m.json" in told.out
    assert "params" not in told.out
    assert 'text: "inf"' not in told.out


def test_a_killed_run_counts_as_running_until_the_next(place: Place) -> None:
    place.write(
        "rote.yaml",
        "stages:\n  a:\n    cmd: echo begun; echo $$ > began; cat in; echo x > out\n    outs: [out]\n",
    )
    os.mkfifo(place.root / "in")
    os.mkfifo(place.root / "began")
    running = place.start("run")
    stage = int((place.root / "began").read_text())
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    assert stage > 0
    (killed,) = place.rote("runs", "--json").json
    assert killed["state"] == "running"
    place.write("rote.yaml", STAGE)
    place.rote("run")
    now = place.rote("show", killed["id"], "--json").json
    assert now["state"] == "stopped"
    assert "killed" in now["error"]
    assert {r["state"] for r in place.rote("runs", "--json").json} == {"stopped", "finished"}


# What the system refuses. Root may do anything, so it acts as the owner alone, without root's powers.


def as_owner(place: Place, *args: str) -> subprocess.CompletedProcess[str]:
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*drop, *ROTE, *args],
        cwd=place.root,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def data(place: Place) -> Place:
    place.write("data/sub/a", "one\n")
    place.rote("add", "data")
    return place


def refused(told: subprocess.CompletedProcess[str], *words: str) -> None:
    assert told.returncode in (1, 2), told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    for word in words:
        assert word in told.stderr, told.stderr


def test_a_file_and_a_folder_that_may_not_be_read(data: Place) -> None:
    data.write("data/b", "two\n")
    (data.root / "data/b").chmod(0)
    refused(as_owner(data, "add", "data"), "'data/b'", "chmod")
    (data.root / "data/b").chmod(0o644)
    for folder, name in (("data/sub", "'data/sub'"), ("data", "'data'")):
        (data.root / folder).chmod(0)
        refused(as_owner(data, "add", "data"), f"cannot take {name}: the folder cannot be read", "chmod")
        (data.root / folder).chmod(0o755)


def test_a_pointer_that_may_not_be_read(data: Place) -> None:
    (data.root / "data.rote").chmod(0)
    refused(as_owner(data, "status"), "cannot read 'data.rote'")


def test_a_folder_that_may_not_be_written(data: Place) -> None:
    data.write("data/sub/a", "another\n")
    (data.root / "data/sub").chmod(0o555)
    refused(as_owner(data, "checkout", "--force"), "cannot write 'data/sub/a'", "safe:")
    (data.root / "data/sub").chmod(0o755)


def test_data_that_has_no_room_or_no_way_to_come_back(data: Place) -> None:
    (data.root / "data/sub/a").unlink()
    (data.root / "data/sub").chmod(0o555)
    refused(as_owner(data, "checkout"), "cannot write 'data/sub/a'", "safe:")
    (data.root / "data/sub").chmod(0o755)
    data.rote("checkout")
    assert data.read("data/sub/a") == "one\n"


def test_a_store_that_may_not_be_written(data: Place) -> None:
    folders = [Path(f) for f, _, _ in os.walk(data.root / ".rote/store")]
    for folder in folders:
        folder.chmod(0o555)
    data.write("data/b", "two\n")
    told = as_owner(data, "add", "data")
    refused(told, "no permission", "safe:", "ls -ld ")
    named = told.stderr.split("ls -ld ")[1].split()[0]
    assert os.path.lexists(named), f"{named} is not there to be looked at"
    for folder in folders:
        folder.chmod(0o755)


def test_a_folder_of_rotes_own_that_may_not_be_written(place: Place) -> None:
    place.write("data/a", "one\n")
    lock = place.root / ".rote/lock"
    lock.unlink(missing_ok=True)
    (place.root / ".rote").chmod(0o555)
    refused(as_owner(place, "add", "data"), ".rote/lock", "Permission denied")
    (place.root / ".rote").chmod(0o755)


def test_the_lock_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # now no file can grow, as on a full disk
    try:
        with pytest.raises(OSError, match="large"):
            (tmp_path / "other").write_text("x")
        with held(str(tmp_path / "lock"), "rote run", wait=False, say=None):
            entered = True
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert entered


def test_what_no_part_of_rote_has_words_for(place: Place) -> None:
    (place.root / "rote.yaml").unlink()
    (place.root / ".gitignore").unlink()
    (place.root / ".gitignore").mkdir()
    told = place.rote("init", code=None)
    assert told.code == 1
    assert ".gitignore" in told.err
    assert "Traceback" not in told.err


def test_a_run_of_an_empty_pipeline_is_no_run(place: Place) -> None:
    assert "no stages" in place.rote("run", code=2).err
    assert "no runs yet" in place.rote("runs").out
    with pytest.raises(RoteError):
        rote.open(str(place.root)).run()
