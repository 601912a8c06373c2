"""A project of DVC's runs as it is. The project, its remote and what DVC does with it were made by real DVC (tests/fixtures/make_dvc_3.py)."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from place import Place

from dvc_scenes import CHANGES, content, lay
from rote.laws.pipeline.graph import needs
from rote.wiring import config
from servers.fixtures import Bucket

FIXTURE = Path(__file__).parents[1] / "fixtures/dvc-3.tar.gz"
OUTS = [
    "clean",
    "sub/report.txt",
    "sub/inner/out.txt",
    "history.txt",
    *(f"score-{n}.txt" for n in ("one", "2", "0.5")),
]
TRAINED = [
    "model-cnn.bin",
    "model-mlp.bin",
    "grid-1-red.csv",
    "grid-2-red.csv",
    "grid-1-blue.csv",
    "grid-2-blue.csv",
]
STAGES = 13


@pytest.fixture
def project(tmp_path: Path) -> Place:
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(tmp_path, filter="data")
    place = Place(tmp_path / "project")
    place.git("init", "-q")
    return place


def told(project: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.root.parent / "expected.json").read_text())
    return found


def run(project: Place, *args: str) -> tuple[list[str], dict[str, str]]:
    """`rote run`: which steps ran, and what became of each stage."""
    ran = project.root.parent / "ran"
    ran.unlink(missing_ok=True)
    out = project.rote("run", "--json", *args, RAN=str(ran)).json
    steps = sorted(ran.read_text().split()) if ran.exists() else []
    return steps, {stage["stage"]: stage["outcome"] for stage in out["stages"]}


def test_it_has_the_graph_that_dvc_sees(project: Place) -> None:
    stages = config.load(str(project.root)).stages
    assert {name: sorted(needed) for name, needed in needs(stages).items()} == told(project)["graph"]
    assert len(stages) == STAGES


def test_everything_is_a_hit_and_nothing_is_touched(project: Place) -> None:
    before = content(project.root)
    plan = project.rote("plan", "--json").json
    assert {d["verdict"] for d in plan["decisions"]} == {"hit"}
    assert "made by DVC (dvc.lock:" in project.rote("why", "prepare").out
    assert run(project) == ([], dict.fromkeys(config.load(str(project.root)).stages, "hit"))
    assert content(project.root) == before
    assert f"{STAGES} stages, nothing to do" in project.rote("status").out
    # what was taken over is rote's own now
    shutil.rmtree(project.root / ".dvc/cache")
    (project.root / "dvc.lock").unlink()
    for name in [*OUTS, *TRAINED]:
        path = project.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(project)[0] == []
    assert content(project.root) == before


def as_dvc_2(root: Path) -> None:
    """Cache, lock and pins as DVC 2 has them: other places, and the line ends of text as Unix has them."""
    cache = root / ".dvc/cache"
    objects = sorted((cache / "files/md5").rglob("??*"), key=lambda path: path.name.endswith(".dir"))
    sums: dict[str, str] = {}
    for path in (p for p in objects if p.is_file()):
        old = path.parent.name + path.name
        text = path.read_bytes()
        if old.endswith(".dir"):
            for before, after in sums.items():
                text = text.replace(before.encode(), after.encode())
            new = hashlib.md5(text).hexdigest() + ".dir"
        else:
            new = hashlib.md5(text.replace(b"\r\n", b"\n")).hexdigest()
        sums[old] = new
        target = cache / new[:2] / new[2:]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(text)
    assert any(old != new for old, new in sums.items() if not old.endswith(".dir"))
    shutil.rmtree(cache / "files")
    shutil.rmtree(cache / "runs")
    for file in [root / "dvc.lock", root / "sub/dvc.lock", *root.glob("*.dvc")]:
        if file.is_file():
            text = "".join(
                line for line in file.read_text().splitlines(keepends=True) if "hash: md5" not in line
            )
            for before, after in sums.items():
                text = text.replace(before, after)
            file.write_text(text)


@pytest.mark.parametrize("source", ["the cache", "the remote", "the old layout"])
def test_outs_and_data_are_brought_from(project: Place, source: str) -> None:
    before = content(project.root)
    for name in [*OUTS, *TRAINED, "data", "single.csv"]:
        path = project.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    cache = project.root / ".dvc/cache"
    if source == "the remote":
        shutil.rmtree(cache / "files")
    elif source == "the old layout":
        as_dvc_2(project.root)
    plan = project.rote("plan", "--json").json
    assert {d["verdict"] for d in plan["decisions"]} == (
        {"hit"} if source != "the remote" else {"hit", "run"}
    )
    assert "data: not here yet" in project.rote("status").out
    assert run(project)[0] == []
    assert content(project.root) == before
    assert not list((project.root / ".rote/cache/dvc").glob("*"))


def test_the_cache_of_runs_is_known(project: Place) -> None:
    """These params are not those of dvc.lock, but DVC ran them before."""
    change = "a param that was so before"
    lay(project.root, CHANGES[change])
    steps, outcomes = run(project)
    assert steps == told(project)["ran"][change] == ["train-cnn"]  # DVC keeps no run of that
    assert outcomes["sub:report"] == outcomes["sub:inner"] == "hit"
    assert content(project.root) == told(project)["after"][change]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_what_dvc_runs(project: Place, change: str) -> None:
    assert run(project)[0] == []
    lay(project.root, CHANGES[change])
    assert run(project)[0] == told(project)["ran"][change]
    assert content(project.root) == told(project)["after"][change]


def test_a_change_before_rote_ever_ran(project: Place) -> None:
    lay(project.root, CHANGES["a file of the data"])
    plan = project.rote("plan", "--json").json
    assert next(d for d in plan["decisions"] if d["stage"] == "prepare")["verdict"] == "run"
    assert run(project)[0] == told(project)["ran"]["a file of the data"]


def test_checkout_and_status(project: Place) -> None:
    before = content(project.root)
    shutil.rmtree(project.root / "data")
    (project.root / "single.csv").unlink()
    (project.root / "model-cnn.bin").unlink()
    assert "data: 3 files written" in project.rote("checkout", "data").out
    assert "single.csv: not here yet" in project.rote("status").out
    project.rote("checkout")
    assert content(project.root) == before
    assert "single.csv: unchanged" in project.rote("status").out
    (project.root / "data/one.txt").write_text("mine\n")
    assert "data: changed" in project.rote("status").out
    refused = project.rote("checkout", "data", code=None)
    assert refused.code != 0
    assert "neither rote nor DVC has saved it" in refused.err
    assert "dvc add data" in refused.err
    project.rote("checkout", "--force", "data")
    assert content(project.root) == before


@pytest.mark.parametrize("damage", ["a file", "a manifest"])
def test_a_damaged_cache_is_seen_and_the_stage_runs(project: Place, damage: str) -> None:
    before = content(project.root)
    shutil.rmtree(project.root / "clean")
    shutil.rmtree(project.root.parent / "remote")
    for file in (project.root / ".dvc/cache/files/md5").rglob("*"):
        if file.is_file() and file.name.endswith(".dir") == (damage == "a manifest"):
            file.chmod(0o644)
            file.write_bytes(b"rotten")
    steps, _ = run(project, "prepare")
    assert steps == ["prepare"]
    assert content(project.root) == before


def test_a_group_a_file_and_a_stage_of_a_subfolder_are_targets(project: Place) -> None:
    assert list(run(project, "score")[1]) == ["prepare", "score@one", "score@2", "score@0.5"]
    for target in ("sub/dvc.yaml:inner", "sub:inner"):
        assert "sub:inner" in run(project, target)[1]
    out = project.rote("run", "--json", "inner", cwd=project.root / "sub").json
    assert "sub:inner" in [stage["stage"] for stage in out["stages"]]


def test_an_override_reaches_templates(project: Place) -> None:
    run(project)
    steps, _ = run(project, "-S", "models.cnn.lr=0.5", "train@cnn")
    assert steps == ["train-cnn"]
    assert (project.root / "model-cnn.bin").read_text().startswith("0.5 true cnn")
    assert "0.5" not in (project.root / "params.yaml").read_text()


LACKS = {
    "a URL": ("stages:\n  s:\n    cmd: x\n    deps:\n      - s3://bucket/x\n", "dvc.yaml:5: stages.s.deps[0]: 's3://bucket/x' is a URL"),
    "outside": ("stages:\n  s:\n    cmd: x\n    deps: [/mnt/x]\n", "dvc.yaml:4: stages.s.deps[0]: '/mnt/x' is absolute"),
    "datasets": ("datasets:\n  - {name: a, type: dc, url: b}\n", "dvc.yaml:2: datasets: rote has no datasets"),
    "params in Python": ("stages:\n  s:\n    cmd: x\n    params: [{p.py: [a]}]\n", "dvc.yaml:4: stages.s.params[0].p.py: 'p.py' is not a params file"),
    "checkpoints": ("stages:\n  s:\n    cmd: x\n    outs: [{m: {checkpoint: true}}]\n", "dvc.yaml:4: stages.s.outs[0].m.checkpoint: an out is either"),
    "a template": ("stages:\n  s: {cmd: 'x ${no}'}\n", "dvc.yaml:2: stages.s.cmd: ${no} refers to nothing"),
    "a key": ("stages:\n  s: {cmd: x, out: [a]}\n", "dvc.yaml:2: stages.s.out: unknown key 'out'"),
}  # fmt: skip


@pytest.mark.parametrize("what", LACKS)
def test_what_rote_lacks_is_named_with_its_line(tmp_path: Path, what: str) -> None:
    place = Place(tmp_path / "p")
    text, said = LACKS[what]
    lay(place.root, {"dvc.yaml": text, ".dvc/config": "", "p.py": "a = 1\n"})
    refused = place.rote("run", code=None)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("d.dvc", "outs:\n- path: d\n  etag: x\n", "d.dvc:2: outs[0]: rote reads data that has an md5: 'd': it has no `md5`"),
        ("d.dvc", "cmd: x\nouts: []\n", "d.dvc:1: cmd: a stage in a .dvc file is of DVC before version 1"),
        ("d.dvc", "outs:\n- path: ../d\n  md5: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "d.dvc:2: outs[0]: '../d' lies outside the project"),
        ("dvc.lock", "schema: '9'\n", "dvc.lock:1: schema: this rote reads dvc.lock of schema 2.0"),
        ("dvc.lock", "schema: '2.0'\nstages:\n  s:\n    deps: []\n", "dvc.lock:4: stages.s: this entry has no `cmd`"),
        (".dvc/config", "[core]\n    remote = here\n", ".dvc/config:2: core.remote: no remote is called 'here'"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_dvcs_is_named_with_its_line(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    place = Place(tmp_path / "p")
    lay(place.root, {"dvc.yaml": "stages:\n  s: {cmd: touch o, outs: [o]}\n", ".dvc/config": ""})
    lay(place.root, {file: text})
    refused = place.rote("status", code=None)
    assert refused.code == 2, refused.out
    assert said in refused.err


def test_a_remote_in_a_bucket(project: Place, moto: Bucket) -> None:
    """DVC's layout below a prefix, the credentials in .dvc/config.local."""
    prefix = "theirs/dvc"
    client = moto.client()
    remote = project.root.parent / "remote"
    for file in remote.rglob("*"):
        if file.is_file():
            name = f"{prefix}/{file.relative_to(remote).as_posix()}"
            client.put_object(Bucket=moto.name, Key=name, Body=file.read_bytes())
    shutil.rmtree(remote)
    shutil.rmtree(project.root / ".dvc/cache/files")
    (project.root / ".dvc/config").write_text(
        f"[core]\n    remote = bucket\n['remote \"bucket\"']\n    url = s3://{moto.name}/{prefix}\n    endpointurl = {moto.endpoint}\n    region = us-east-1\n"
    )
    (project.root / ".dvc/config.local").write_text(
        f"['remote \"bucket\"']\n    access_key_id = {moto.key}\n    secret_access_key = {moto.secret}\n"
    )
    before = content(project.root)
    for name in [*OUTS, *TRAINED, "data", "single.csv"]:
        path = project.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(project)[0] == []
    assert content(project.root) == before
    assert "data: unchanged" in project.rote("status").out


class TestImporting:
    def test_it_is_told_first_and_nothing_is_written(self, project: Place) -> None:
        before = sorted(str(p) for p in project.root.rglob("*") if ".rote" not in p.parts)
        told = project.rote("import", "dvc", "--dry-run", "--json").json
        assert told["files"] == ["rote.yaml", "sub/rote.yaml"]
        assert told["data"] == ["data", "single.csv"]
        assert len(told["results"]) == STAGES
        assert told["run"] == []
        assert any("metrics-${key}.json holds more than numbers" in note for note in told["notes"])
        assert sorted(str(p) for p in project.root.rglob("*") if ".rote" not in p.parts) == before

    @pytest.mark.parametrize("remove", [False, True])
    def test_afterwards_rote_needs_nothing_of_dvcs(self, project: Place, remove: bool) -> None:
        before = content(project.root)
        own = {p: p.read_bytes() for p in project.root.rglob("*dvc*") if p.is_file()}
        project.rote("import", "dvc", *(["--remove"] if remove else []))
        if remove:
            assert not (project.root / "dvc.yaml").exists()
            assert not (project.root / "sub/dvc.lock").exists()
            assert not (project.root / "data.dvc").exists()
        else:
            assert {p: p.read_bytes() for p in own} == own
        shutil.rmtree(project.root / ".dvc")
        shutil.rmtree(project.root.parent / "remote")
        for name in [*OUTS, *TRAINED, "data", "single.csv"]:
            path = project.root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        project.rote("checkout")
        steps, outcomes = run(project)
        assert steps == []
        assert set(outcomes.values()) == {"hit"}
        assert list(config.load(str(project.root)).files) == ["rote.yaml", "sub/rote.yaml"]
        after = content(project.root, lambda name: name.endswith((".rote", "rote.yaml")))
        assert after == {
            name: digest for name, digest in before.items() if not (remove and "dvc.yaml" in name)
        }
        lay(project.root, CHANGES["a param of one item"])
        assert run(project)[0] == told(project)["ran"]["a param of one item"]

    def test_settings_stay_and_what_changed_runs_later(self, project: Place) -> None:
        (project.root / "rote.yaml").write_text("# mine\nstore: kept\ngates: [accuracy > 0]\n")
        project.rote("init")
        lay(project.root, CHANGES["a script"])
        told = project.rote("import", "dvc", "--json").json
        assert told["run"] == ["train@cnn", "train@mlp", "sub:report", "sub:inner"]
        text = (project.root / "rote.yaml").read_text()
        assert text.startswith("# mine\nstore: kept\n")
        assert config.load(str(project.root)).models["digits"].files == ("model-cnn.bin",)
        assert run(project)[0] == ["inner", "report", "train-cnn", "train-mlp"]

    def test_without_dvc_there_is_nothing_to_import(self, tmp_path: Path) -> None:
        place = Place(tmp_path / "p")
        lay(place.root, {"rote.yaml": "stages: {s: {cmd: x}}\n"})
        refused = place.rote("import", "dvc", code=2)
        assert "there is nothing of DVC's to take over" in refused.err
