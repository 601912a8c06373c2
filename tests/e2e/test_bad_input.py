"""Bad input gets a clear error, the right exit code, and loses nothing (through the real command)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from place import ROTE, Place, Told


def mentions(told: Told, *words: str) -> None:
    for word in words:
        assert word in told.err, f"{word!r} is not in:\n{told.err}"


STAGE = "stages:\n  make:\n    cmd: echo hi > out.txt\n    outs: [out.txt]\n"

PIPELINES = [
    ("an unknown key", "stages:\n  a:\n    cmd: x\n    dep: [y]\n", ["rote.yaml:4", "dep", "deps"]),
    ("an unknown top key", "stage:\n  a:\n    cmd: x\n", ["rote.yaml:1", "stage", "stages"]),
    ("a wrong type", "stages:\n  a:\n    cmd: x\n    deps: {y: 1}\n", ["rote.yaml:4", "deps"]),
    ("a cmd that is missing", "stages:\n  a:\n    deps: [y]\n", ["rote.yaml:2", "cmd"]),
    (
        "a cycle",
        "stages:\n  a:\n    cmd: x\n    deps: [b.txt]\n    outs: [a.txt]\n  b:\n    cmd: x\n    deps: [a.txt]\n    outs: [b.txt]\n",
        ["rote.yaml:", "cycle", "a", "b"],
    ),
    (
        "two stages that write one out",
        "stages:\n  a:\n    cmd: x\n    outs: [o.txt]\n  b:\n    cmd: x\n    outs: [o.txt]\n",
        ["rote.yaml:", "o.txt", "a", "b"],
    ),
    (
        "an out inside another's out",
        "stages:\n  a:\n    cmd: x\n    outs: [d]\n  b:\n    cmd: x\n    outs: [d/o.txt]\n",
        ["rote.yaml:", "d/o.txt", "a", "b"],
    ),
    ("an out outside the project", "stages:\n  a:\n    cmd: x\n    outs: [../o]\n", ["rote.yaml:4", "../o"]),
    ("a duplicate key", "stages:\n  a:\n    cmd: x\n    cmd: y\n", ["rote.yaml:4", "cmd"]),
    ("no YAML", "stages: [\n", ["rote.yaml"]),
    ("a list instead of a mapping", "- a\n", ["rote.yaml"]),
]


@pytest.mark.parametrize(("text", "words"), [p[1:] for p in PIPELINES], ids=[p[0] for p in PIPELINES])
def test_a_pipeline_that_cannot_be_meant(place: Place, text: str, words: list[str]) -> None:
    place.write("rote.yaml", text)
    for command in ("run", "plan"):
        mentions(place.rote(command, code=2), *words)
    assert place.rote("runs", "--json", code=None).code in (0, 2)


def test_a_stage_that_is_not_there(place: Place) -> None:
    place.write("rote.yaml", STAGE)
    mentions(place.rote("run", "mak", code=2), "mak", "make")


def test_a_dep_that_does_not_exist(place: Place) -> None:
    place.write(
        "rote.yaml", "stages:\n  a:\n    cmd: cat in.txt > o.txt\n    deps: [in.txt]\n    outs: [o.txt]\n"
    )
    told = place.rote("run", code=None)
    assert told.code in (1, 2)
    assert "in.txt" in told.err + told.out
    assert not (place.root / "o.txt").exists()


def test_a_param_that_does_not_exist(place: Place) -> None:
    place.write(
        "rote.yaml", "stages:\n  a:\n    cmd: echo > o.txt\n    params: [train.rl]\n    outs: [o.txt]\n"
    )
    place.write("params.yaml", "train:\n  lr: 1\n")
    told = place.rote("run", code=2)
    mentions(told, "train.rl", "train.lr", "params.yaml")


def test_an_override_of_a_param_that_does_not_exist(place: Place) -> None:
    place.write(
        "rote.yaml", "stages:\n  a:\n    cmd: echo > o.txt\n    params: [train.lr]\n    outs: [o.txt]\n"
    )
    place.write("params.yaml", "train:\n  lr: 1\n")
    mentions(place.rote("run", "-S", "train.rl=2", code=2), "train.rl", "train.lr")
    assert place.read("params.yaml") == "train:\n  lr: 1\n"


def test_a_stage_that_ends_well_without_its_out(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a:\n    cmd: echo hi > one.txt\n    outs: [one.txt, two.txt]\n")
    told = place.rote("run", code=1)
    assert "two.txt" in told.err + told.out
    assert place.rote("run", code=1).code == 1  # it left no result


def test_a_failing_stage_leaves_no_result_and_its_partial_out_is_put_aside(place: Place) -> None:
    place.write("rote.yaml", "stages:\n  a:\n    cmd: echo half > one.txt; exit 3\n    outs: [one.txt]\n")
    told = place.rote("run", code=1)
    assert "3" in told.err + told.out
    assert not (place.root / "one.txt").exists()
    aside = list((place.root / ".rote").rglob("one.txt"))
    assert [p.read_text() for p in aside] == ["half\n"]
    (run,) = place.rote("runs", "--json").json
    assert place.rote("show", run["id"], "--json").json["state"] == "failed"


@pytest.mark.parametrize("text", ["[1, 2]", '"good"', '{"a": "good"}', "{bad", '{"a": NaN}'])
def test_a_metrics_file_that_is_no_mapping_of_numbers(place: Place, text: str) -> None:
    place.write("m.txt", text)
    place.write(
        "rote.yaml", "stages:\n  a:\n    cmd: cp m.txt m.json\n    deps: [m.txt]\n    metrics: [m.json]\n"
    )
    told = place.rote("run", code=1)
    assert "m.json" in told.err + told.out


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\\b", b"c:d", b"nul", b"end.", b"end ", b"tab\t"])
def test_hostile_names_are_refused_before_anything_is_written(place: Place, name: bytes) -> None:
    folder = os.fsencode(place.root / "data")
    os.mkdir(folder)
    with open(os.path.join(folder, name), "wb") as out:
        out.write(b"x")
    place.write("data/good.txt", "good")
    before = place.files(".rote/store")
    told = place.rote("add", "data", code=2)
    assert "data" in told.err
    assert place.files(".rote/store") == before
    assert not (place.root / "data.rote").exists()


def test_names_that_differ_only_in_case(place: Place) -> None:
    place.write("data/Readme.txt", "a")
    place.write("data/readme.txt", "b")
    mentions(place.rote("add", "data", code=2), "Readme.txt", "readme.txt")


def test_a_socket_a_fifo_and_a_dangling_link(place: Place) -> None:
    (place.root / "data").mkdir()
    here = os.getcwd()
    os.chdir(place.root / "data")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind("sock")
        mentions(place.rote("add", "data", code=2), "sock")
    finally:
        listener.close()
        os.chdir(here)
    (place.root / "data/sock").unlink()
    os.mkfifo(place.root / "data/fifo")
    mentions(place.rote("add", "data", code=2), "fifo")
    (place.root / "data/fifo").unlink()
    (place.root / "data/gone").symlink_to("nowhere")
    mentions(place.rote("add", "data", code=2), "gone")


def test_data_that_is_not_there(place: Place) -> None:
    place.write("data/train/a.txt", "a")
    told = place.rote("add", "data/trian", code=None)
    assert told.code in (1, 2)
    mentions(told, "data/trian")


def test_data_outside_the_project(place: Place) -> None:
    (place.root.parent / "elsewhere").mkdir()
    told = place.rote("add", "../elsewhere", code=2)
    mentions(told, "elsewhere")


def test_data_inside_other_data(place: Place) -> None:
    place.write("data/a/x.txt", "x")
    place.rote("add", "data")
    mentions(place.rote("add", "data/a", code=2), "data")


def test_data_that_git_tracks(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.commit()
    told = place.rote("add", "data", code=None)
    assert told.code in (1, 2)
    mentions(told, "git rm")


def test_changed_unsaved_files_are_never_overwritten(place: Place) -> None:
    place.write("data/x.txt", "one")
    place.rote("add", "data")
    first = place.commit()
    place.write("data/x.txt", "two, longer")
    place.rote("add", "data")
    place.commit()
    place.write("data/x.txt", "three, not saved")
    told = place.rote("checkout", "--rev", first, code=1)
    mentions(told, "data/x.txt", "--force")
    assert place.read("data/x.txt") == "three, not saved"
    place.rote("checkout", "--rev", first, "--force")
    assert place.read("data/x.txt") == "one"


def test_outside_a_project(tmp_path: Path) -> None:
    place = Place(tmp_path / "nothing")
    for command in (["status"], ["run"], ["add", "x"], ["runs"], ["store", "stats"]):
        mentions(place.rote(*command, code=2), "rote init")


def test_init_without_a_git_repository(tmp_path: Path) -> None:
    """Data, stages and runs work without git; what needs revisions says so."""
    place = Place(tmp_path / "plain")
    place.rote("init")
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    place.write("rote.yaml", STAGE)
    place.rote("run")
    mentions(place.rote("checkout", "--rev", "HEAD", code=None), "git")


def test_a_revision_that_is_not_there(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    place.commit()
    told = place.rote("checkout", "--rev", "v9", code=None)
    assert told.code in (1, 2)
    mentions(told, "v9")
    told = place.rote("checkout", "--rev", "--output=/tmp/x", code=None)
    assert told.code in (1, 2)


def test_detached_and_shallow(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    place.commit("one")
    place.write("rote.yaml", STAGE)
    place.commit("two")
    shallow = Place(place.root.parent / "shallow")
    shallow.git("clone", "-q", "--depth", "1", f"file://{place.root}", ".")
    shallow.git("checkout", "-q", "--detach", "HEAD")
    store = {"ROTE_STORE": str(place.root / ".rote/store")}
    shallow.rote("checkout", **store)
    shallow.rote("run", **store)
    run = shallow.rote("show", "last", "--json", **store).json
    assert run["commit"]["id"]
    assert run["commit"]["shallow"]
    told = shallow.rote("checkout", "--rev", "HEAD~1", code=None, **store)
    assert told.code in (1, 2)
    mentions(told, "HEAD~1")


def test_a_store_of_a_newer_format(place: Place) -> None:
    info = place.root / ".rote/store/rote.json"
    import json

    from rote.words.encoding import with_check

    body = json.loads(info.read_bytes().rpartition(b"\nblake3:")[0])
    os.chmod(info, 0o644)
    info.write_bytes(with_check({**body, "format": 99}))
    place.write("data/x.txt", "x")
    mentions(place.rote("add", "data", code=1), "99", "rote")


def test_a_store_that_went_away(place: Place) -> None:
    place.write("data/x.txt", "x")
    place.rote("add", "data")
    (place.root / ".rote/store").rename(place.root / ".rote/elsewhere")
    (place.root / "data/x.txt").unlink()
    mentions(place.rote("checkout", code=1), ".rote/store")
    assert not (place.root / ".rote/store").exists(), "no empty store is founded where one should be"
    (place.root / ".rote/elsewhere").rename(place.root / ".rote/store")
    place.rote("checkout")
    assert place.read("data/x.txt") == "x"


def packs(place: Place) -> list[Path]:
    return sorted(p for p in (place.root / ".rote/store/packs").rglob("*") if p.is_file())


def test_a_damaged_pack_is_found_named_and_repaired(place: Place) -> None:
    place.write("data/x.txt", os.urandom(5000))
    place.rote("add", "data")
    place.commit()
    (pack,) = packs(place)
    content = bytearray(pack.read_bytes())
    content[100] ^= 1
    os.chmod(pack, 0o644)
    pack.write_bytes(content)
    saved = (place.root / "data/x.txt").read_bytes()
    (place.root / "data/x.txt").rename(place.root / "kept")
    told = place.rote("checkout", code=1)
    mentions(told, "x.txt", pack.name[:12], "next:")
    assert not (place.root / "data/x.txt").exists()
    told = place.rote("store", "check", "--read-data", code=1)
    assert "data" in told.out + told.err
    assert pack.name[:12] in told.out + told.err
    (place.root / "kept").rename(place.root / "data/x.txt")
    place.rote("add", "--force", "data")
    (place.root / "data/x.txt").unlink()
    place.rote("checkout")
    assert (place.root / "data/x.txt").read_bytes() == saved


def test_a_full_disk(place: Place) -> None:
    """The limit on a file's size stands for the disk: a write beyond it fails in the same place."""
    content = os.urandom(3_000_000)
    place.write("data/x.bin", content)
    told = subprocess.run(
        ["sh", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$0" "$@"', *ROTE, "add", "data"],
        cwd=place.root, env=place.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    assert "next:" in told.stderr
    assert (place.root / "data/x.bin").read_bytes() == content
    assert not (place.root / "data.rote").exists()
    place.rote("add", "data")
    place.rote("store", "check", "--read-data")


def test_two_runs_in_one_working_tree(place: Place) -> None:
    """The second waits and says for whom; told not to wait it fails. A fifo orders them."""
    os.mkfifo(place.root / "gate")
    place.write(
        "rote.yaml", "stages:\n  a:\n    cmd: echo up > started; cat gate > o.txt\n    outs: [o.txt]\n"
    )
    first = place.start("run")
    try:
        wait_for(place.root / "started", first)
        told = place.rote("run", "--no-wait", code=1)
        mentions(told, str(first.pid))
        second = place.start("run")
        assert second.stderr is not None
        said = b""
        while str(first.pid).encode() not in said:
            piece = second.stderr.readline()
            assert piece, said
            said += piece
        (place.root / "gate").write_text("through\n")
        assert first.wait(60) == 0
        out, _ = second.communicate(timeout=60)
        assert second.returncode == 0
        assert b"nothing to do" in out
    finally:
        first.kill()
        first.communicate()


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the stage has written `path`; the process must not have ended."""
    import time

    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_interrupted_run_is_recorded_as_stopped(place: Place) -> None:
    place.write(
        "rote.yaml",
        "stages:\n  a:\n    cmd: echo half > o.txt; echo up > started; exec sleep 300\n    outs: [o.txt]\n",
    )
    running = place.start("run")
    wait_for(place.root / "started", running)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "a: stopped – it was told to end; what it had written is in " in said.decode()
    assert place.rote("show", "last", "--json").json["state"] == "stopped"
    assert not (place.root / "o.txt").exists()


def test_a_killed_rote_takes_its_stage_along(place: Place) -> None:
    """A pipe tells: its reader sees the end only when the last process of the stage is gone."""
    os.mkfifo(place.root / "alive")
    place.write(
        "rote.yaml",
        "stages:\n  a:\n    cmd: exec 9> alive; echo up > started; sleep 300\n    outs: [o.txt]\n",
    )
    reader = os.open(place.root / "alive", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    running = place.start("run")
    wait_for(place.root / "started", running)
    running.kill()
    running.communicate()
    assert os.read(reader, 1) == b""
    os.close(reader)
    place.write("rote.yaml", "stages:\n  a:\n    cmd: echo whole > o.txt\n    outs: [o.txt]\n")
    place.rote("run")


def test_an_unknown_command_and_option(place: Place) -> None:
    told = place.rote("stauts", code=2)
    mentions(told, "status")
    assert place.rote("status", "--jsn", code=2).code == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["promote", "digits@1.0.0", "prod"], ["digits"]),
        (["promote", "digits", "prod"], ["@"]),
        (["fetch", "digits@prod", "--to", "out"], ["digits"]),
        (["rollback", "digits"], ["digits"]),
        (["release", "digits"], ["digits"]),
        (["show", "nonsense"], ["nonsense"]),
        (["compare", "last"], ["last"]),
        (["logs", "last"], ["last"]),
        (["sql", "DROP TABLE runs"], []),
        (["sql", "SELECT nope FROM runs"], ["nope"]),
        (["runs", "--where", "metrics.a >"], ["metrics.a"]),
        (["runs", "--sort", "-"], []),
        (["why", "nope"], ["nope"]),
        (["ls", "nope"], ["nope"]),
        (["cat", "nope"], ["nope"]),
        (["--store", "ftp://x/y", "store", "stats"], ["ftp"]),
        (["--cd", "/nowhere", "status"], ["/nowhere"]),
        (["tag", "last", "novalue"], ["novalue"]),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_met(place: Place, args: list[str], words: list[str]) -> None:
    told = place.rote(*args, code=None)
    assert told.code in (1, 2), told
    assert told.err.strip()
    mentions(told, *words)


def test_output_that_cannot_be_written(place: Place) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*ROTE, "schema"],
            cwd=place.root,
            env=place.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away(place: Place) -> None:
    """`rote schema | head -1` ends without a word on the error stream."""
    done = subprocess.run(
        f"'{ROTE[0]}' -m rote schema | head -c 1", shell=True, cwd=place.root, env=place.environment(),
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.stdout == b"{"
    assert done.stderr == b""
