"""The journal: an override never outlives its run."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rote.errors import ConfigError, Corrupt
from rote.wiring.config import overrides, params, pipelines

TEXT = "# kept\nlr: 0.1\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(TEXT)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/m.json").write_bytes(b'\xef\xbb\xbf{"w": 1}')
    return tmp_path


def begin(project: Path, *texts: str) -> None:
    values = params.read(str(project), ["params.yaml", "conf/m.json"])
    overrides.write(str(project), overrides.rendered(str(project), values, overrides.parse(texts)))


def test_written_and_put_back(project: Path) -> None:
    path = project / "params.yaml"
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    begin(project, "lr=0.5", "w=2")
    assert path.read_text() == "# kept\nlr: 0.5\n"
    assert (project / "conf/m.json").read_bytes() == b'\xef\xbb\xbf{"w": 2}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert overrides.restore(str(project)) == ["params.yaml is put back", "conf/m.json is put back"]
    assert path.read_text() == TEXT
    assert path.stat().st_mtime_ns == 10**18
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (project / "conf/m.json").read_bytes() == b'\xef\xbb\xbf{"w": 1}'
    assert overrides.restore(str(project)) == []
    assert sorted(p.name for p in project.iterdir()) == [".rote", "conf", "params.yaml"]


def test_without_overrides_nothing_is_written(project: Path) -> None:
    begin(project)
    assert not (project / ".rote").exists()


def test_a_second_run_over_an_unrestored_one_is_refused(project: Path) -> None:
    begin(project, "lr=0.5")
    with pytest.raises(ConfigError, match="still those of another run"):
        begin(project, "lr=0.7")
    overrides.restore(str(project))
    assert (project / "params.yaml").read_text() == TEXT


def test_an_edit_during_the_run_is_not_lost(project: Path) -> None:
    begin(project, "lr=0.5")
    (project / "params.yaml").write_text("mine: 1\n")
    [told] = overrides.restore(str(project))
    assert told.startswith("params.yaml was changed during the run and is left as it is")
    assert (project / "params.yaml").read_text() == "mine: 1\n"
    assert (project / ".rote/aside/overrides/params.yaml").read_text() == TEXT


def test_a_file_that_went_away_comes_back(project: Path) -> None:
    begin(project, "lr=0.5")
    (project / "params.yaml").unlink()
    overrides.restore(str(project))
    assert (project / "params.yaml").read_text() == TEXT


def test_a_link_stays_a_link(project: Path) -> None:
    (project / "params.yaml").rename(project / "real.yaml")
    (project / "params.yaml").symlink_to("real.yaml")
    begin(project, "lr=0.5")
    assert (project / "real.yaml").read_text() == "# kept\nlr: 0.5\n"
    overrides.restore(str(project))
    assert (project / "params.yaml").is_symlink()
    assert (project / "real.yaml").read_text() == TEXT


KILLED = """
import os, signal, sys
from rote.wiring.config import overrides, params
root, at = sys.argv[1], int(sys.argv[2])
real, count = os.replace, 0
def replace(a, b):
    global count
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    real(a, b)
os.replace = replace
values = params.read(root, ["params.yaml", "conf/m.json"])
overrides.write(root, overrides.rendered(root, values, overrides.parse(["lr=0.5", "w=2"])))
overrides.restore(root)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("at", range(6))
def test_killed_at_any_moment_the_next_start_puts_all_back(project: Path, at: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(project), str(at)], check=False)
    assert done.returncode == -signal.SIGKILL
    overrides.restore(str(project))
    assert (project / "params.yaml").read_text() == TEXT
    assert (project / "conf/m.json").read_bytes() == b'\xef\xbb\xbf{"w": 1}'
    assert not (project / overrides.JOURNAL).exists()


@pytest.mark.parametrize("data", [b"", b"{", b'{"format": 1}', json.dumps({"format": 1, "files": {"a": {"original": "@", "atime": 0, "mtime": 0, "written": ""}}}).encode()])  # fmt: skip
def test_a_damaged_journal_touches_nothing(project: Path, data: bytes) -> None:
    (project / ".rote").mkdir()
    (project / overrides.JOURNAL).write_bytes(data)
    with pytest.raises(Corrupt) as caught:
        overrides.restore(str(project))
    assert caught.value.where == ".rote/overrides.json"
    assert caught.value.next
    assert (project / "params.yaml").read_text() == TEXT
    assert (project / overrides.JOURNAL).exists()


PIPELINE = pipelines.read(
    "stages:\n  a: {cmd: x, params: [lr]}\n  b: {cmd: y, params: ['made/p.json:k'], outs: [o]}\n  c: {cmd: z, outs: [made]}\n"
)


class Boom(Exception):
    """Whatever goes wrong in a run."""


def test_overridden_for_the_time_of_a_run(project: Path) -> None:
    path = project / "params.yaml"
    with overrides.overridden(str(project), PIPELINE, overrides.parse(["lr=0.5"])) as values:
        assert values == {"params.yaml": {"lr": 0.5}}, "a file that a stage makes need not be there"
        assert path.read_text() == "# kept\nlr: 0.5\n"
    assert path.read_text() == TEXT
    with pytest.raises(Boom):
        with overrides.overridden(str(project), PIPELINE, overrides.parse(["lr=0.5"])):
            raise Boom
    assert path.read_text() == TEXT


def test_what_a_killed_run_left_is_put_back_first(project: Path) -> None:
    begin(project, "lr=0.5")
    with overrides.overridden(str(project), PIPELINE, []) as values:
        assert values == {"params.yaml": {"lr": 0.1}}
        assert (project / "params.yaml").read_text() == TEXT


def test_a_refused_override_writes_nothing(project: Path) -> None:
    with pytest.raises(ConfigError, match="no param is called 'lrr'"):
        with overrides.overridden(str(project), PIPELINE, overrides.parse(["lrr=0.5"])):
            raise Boom
    assert (project / "params.yaml").read_text() == TEXT
    assert not (project / overrides.JOURNAL).exists()


def test_a_params_file_that_nobody_makes_has_to_be_there(project: Path) -> None:
    (project / "params.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        params.of(str(project), PIPELINE)
    assert caught.value.lines() == [
        "rote.yaml:2: stages.a.params: there is no file params.yaml",
        "next: write params.yaml",
    ]
    (project / "params.yaml").write_text("lrate: 1\n")
    with pytest.raises(ConfigError, match=r"stages\.a\.params: params\.yaml has no param 'lr'"):
        params.of(str(project), PIPELINE)
