"""`rote run --smoke`: a trial with less, beside the user's working tree, never a result and never released."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from place import Place

PIPELINE = """\
stages:
  prepare:
    cmd: ls data/images/* | wc -l > images.txt && wc -l < data/labels.csv > rows.txt
    deps: [data/images, data/labels.csv]
    outs: [images.txt, rows.txt]
    smoke:
      sample: {data/images: 4, data/labels.csv: 3}
  train:
    cmd: cat params.yaml images.txt rows.txt > model.bin; echo "\\${ROTE_SMOKE:-in earnest}" >> model.bin; sh score.sh
    deps: [images.txt, rows.txt, score.sh]
    params: [train]
    outs: [model.bin]
    metrics: [metrics.json]
    smoke:
      params: {train.epochs: 1}
models:
  digits: {files: [model.bin]}
"""


def world(place: Place, pipeline: str = PIPELINE) -> Place:
    place.write("rote.yaml", pipeline)
    place.write("params.yaml", "train:\n  epochs: 100\n  lr: 0.1\n")
    place.write("score.sh", "echo '{\"accuracy\": 0.9}' > metrics.json\n")
    for label in ("cat", "dog"):
        for number in range(10):
            place.write(f"data/images/{label}/{number}.png", f"{label} {number}")
    rows = "".join(f'{n},"a name\nin two lines"\n' for n in range(50))
    place.write("data/labels.csv", "number,name\n" + rows)
    place.write(".gitignore", ".rote\n/images.txt\n/rows.txt\n/model.bin\n/metrics.json\n")
    place.rote("add", "data/images", "data/labels.csv")
    place.commit()
    return place


def model(place: Place, folder: str = ".") -> str:
    return place.read(f"{folder}/model.bin")


def test_a_trial_has_less_and_touches_nothing(place: Place) -> None:
    world(place)
    before = place.files("data"), place.read("params.yaml")
    told = place.rote("run", "--smoke")
    assert "2 done" in told.out
    small = place.read(".rote/smoke/model.bin").splitlines()
    assert small[:3] == ["train:", "  epochs: 1", "  lr: 0.1"]
    assert [line.strip() for line in small[-2:]] == ["7", "1"]
    names = sorted(p.name for p in (place.root / ".rote/smoke/data/images").rglob("*.png"))
    assert len(names) == 4
    assert {p.parent.name for p in (place.root / ".rote/smoke/data/images").rglob("*.png")} == {"cat", "dog"}
    assert not (place.root / "model.bin").exists()
    assert (place.files("data"), place.read("params.yaml")) == before
    assert place.git("status", "--short") == ""


def test_it_is_planned_and_explained_before(place: Place) -> None:
    world(place)
    before = {name: data for name, data in place.files().items() if not name.startswith((".rote/", ".git/"))}
    assert "2 of 2 stages would run" in place.rote("plan", "--smoke").out
    assert place.rote("runs").out.startswith("no runs")
    now = {name: data for name, data in place.files().items() if not name.startswith((".rote/", ".git/"))}
    assert now == before
    place.rote("run", "--smoke")
    assert "nothing to do" in place.rote("plan", "--smoke").out
    assert "2 of 2 stages would run" in place.rote("plan").out
    forced = place.rote("plan", "--smoke", "--force", "train").out
    assert forced.count("forced") == 2
    told = place.rote("plan", "--smoke", "-S", "train.epochs=2").out
    assert "param params.yaml:train.epochs changed: 1 -> 2" in told
    place.write("rote.yaml", PIPELINE.replace("train.epochs: 1", "train.epochs: 3"))
    assert "param params.yaml:train.epochs changed: 1 -> 3" in place.rote("why", "--smoke", "train").out
    assert "train: run" in place.rote("why", "train").out
    missing = PIPELINE.replace("data/labels.csv: 3", "data/labels.csv: small.csv")
    place.write("rote.yaml", missing)
    assert "is not there" in place.rote("plan", "--smoke", code=1).err


def test_its_results_are_its_own(place: Place) -> None:
    world(place)
    place.rote("run", "--smoke")
    assert "2 done" in place.rote("run").out
    assert model(place).endswith("in earnest\n")
    assert "nothing to do" in place.rote("run", "--smoke").out
    assert "nothing to do" in place.rote("run").out
    # What is not reduced has another key as well.
    place.write("params.yaml", "train:\n  epochs: 1\n  lr: 0.1\n")
    place.write(
        "rote.yaml", PIPELINE.replace("smoke:\n      sample: {data/images: 4, data/labels.csv: 3}", "")
    )
    assert "1 done" in place.rote("run").out
    assert model(place).endswith("in earnest\n")


def test_it_is_marked_and_never_released(place: Place) -> None:
    world(place)
    place.rote("run", "--smoke", "--tag", "who=ada")
    [smoke] = place.rote("runs", "--json").json
    refused = place.rote("release", "digits", "--run", smoke["id"], code=1)
    assert "is a smoke run" in refused.err
    assert "nothing was changed" in refused.err
    assert "smoke run" in place.rote("release", "digits", code=1).err  # there is no other
    assert "a smoke run" in place.rote("show", "last").out
    place.rote("run")
    assert [
        row["id"] == smoke["id"] for row in place.rote("runs", "--where", "smoke = true", "--json").json
    ] == [True]
    place.rote("run", "--smoke")
    assert "released digits@1.0.0" in place.rote("release", "digits").out  # the last one in earnest


def test_files_that_change_are_taken_as_they_are(place: Place) -> None:
    world(place)
    place.rote("run", "--smoke")
    place.write("score.sh", "echo '{\"accuracy\": 0.5}' > metrics.json\n")
    place.write("new.py", "print('new')")
    told = place.rote("run", "--smoke")
    assert "1 done" in told.out
    assert (place.root / ".rote/smoke/new.py").exists()
    assert "0.5" in place.read(".rote/smoke/metrics.json")
    (place.root / "new.py").unlink()
    place.rote("run", "--smoke")
    assert not (place.root / ".rote/smoke/new.py").exists()


def test_what_is_data_now_is_never_deleted_through_a_link(place: Place) -> None:
    """A folder that was copied file by file, and is linked as a whole later; and the other way round."""
    place.write("rote.yaml", "stages:\n  a:\n    cmd: cat sub/* > out\n    deps: [sub]\n    outs: [out]\n")
    place.write("sub/one", "1")
    place.write("sub/two", "2")
    place.commit()
    place.rote("run", "--smoke")
    assert not (place.root / ".rote/smoke/sub").is_symlink()
    place.git("rm", "-q", "-r", "--cached", "sub")
    place.rote("add", "sub")
    place.rote("run", "--smoke")
    assert (place.root / ".rote/smoke/sub").is_symlink()
    place.write("rote.yaml", place.read("rote.yaml") + "    smoke: {sample: {sub: 1}}\n")
    assert "done" in place.rote("run", "--smoke").out
    assert place.files("sub") == {"one": b"1", "two": b"2"}
    assert len(place.files(".rote/smoke/sub")) == 1


def test_a_dep_inside_another(place: Place) -> None:
    pipeline = (
        "stages:\n  a:\n    cmd: find data -type f -o -type l | wc -l > a\n    deps: [data]\n    outs: [a]\n"
        "  b:\n    cmd: ls data/in > b\n    deps: [data/in]\n    outs: [b]\n    smoke: {sample: {data/in: 1}}\n"
    )
    place.write("rote.yaml", pipeline)
    for name in ("x", "in/1", "in/2", "in/3"):
        place.write(f"data/{name}", name)
    place.write(".gitignore", ".rote\na\nb\n")
    place.rote("add", "data")
    place.rote("run", "--smoke")
    assert place.read(".rote/smoke/b").split() in (["1"], ["2"], ["3"])
    assert len(place.files("data")) == 4


def test_in_a_folder_without_git(tmp_path: Path) -> None:
    place = Place(tmp_path / "plain")
    place.rote("init")
    place.write("rote.yaml", PIPELINE)
    place.write("params.yaml", "train:\n  epochs: 100\n  lr: 0.1\n")
    place.write("score.sh", "echo '{\"accuracy\": 0.9}' > metrics.json\n")
    place.write("data/images/a/1.png", "1")
    place.write("data/labels.csv", "a\n1\n")
    assert "2 done" in place.rote("run", "--smoke").out
    assert not (place.root / "model.bin").exists()


def test_a_path_stands_in(place: Place) -> None:
    world(place, PIPELINE.replace("data/labels.csv: 3", "data/labels.csv: small.csv"))
    missing = place.rote("run", "--smoke", code=1).err
    assert "small.csv" in missing
    assert "is not there" in missing
    assert "next:" in missing
    place.write("small.csv", "a\n1\n2\n")
    place.rote("run", "--smoke")
    assert place.read(".rote/smoke/rows.txt").strip() == "3"


def test_what_is_typed_goes_before(place: Place) -> None:
    world(place)
    place.rote("run", "--smoke", "-S", "train.epochs=7")
    assert "epochs: 7" in place.read(".rote/smoke/model.bin")
    assert place.read("params.yaml").startswith("train:\n  epochs: 100")
    assert place.read(".rote/smoke/params.yaml").startswith("train:\n  epochs: 100")


def test_it_is_resumed_as_a_trial(place: Place) -> None:
    world(place)
    place.write("score.sh", "exit 3\n")
    place.rote("run", "--smoke", code=1)
    place.write("score.sh", "echo '{\"accuracy\": 0.9}' > metrics.json\n")
    place.rote("resume", "last")
    assert "epochs: 1\n" in place.read(".rote/smoke/model.bin")
    assert "smoke run" in place.rote("show", "last").out
    assert not (place.root / "model.bin").exists()


def test_beside_a_run_in_earnest(place: Place) -> None:
    """Whoever holds the user's tree is not waited for."""
    world(place)
    os.mkfifo(place.root / "gate")
    slow = PIPELINE.replace("cmd: ls data", 'cmd: test -n "$ROTE_SMOKE" || cat gate; ls data')
    place.write("rote.yaml", slow)
    running = place.start("run", "-S", "train.lr=0.7")
    try:
        with open(place.root / "gate", "w") as gate:  # opened on both sides: the stage is at work
            assert "lr: 0.7" in place.read("params.yaml")
            assert "2 done" in place.rote("run", "--smoke", "--no-wait").out
            assert "lr: 0.1" in model(place, ".rote/smoke"), "what another run overrides is not its own"
            gate.write("go on\n")
        assert running.wait(60) == 0
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
        running.communicate()
    assert model(place).endswith("in earnest\n")


def test_in_the_background(place: Place) -> None:
    world(place)
    place.rote("run", "--smoke", "--detach")
    place.rote("logs", "-f", "last")
    assert "smoke run" in place.rote("show", "last").out
    assert "epochs: 1\n" in place.read(".rote/smoke/model.bin")


def test_what_is_frozen_and_what_python_needs_is_there(place: Place) -> None:
    place.write(".venv/pyvenv.cfg", "home = /usr\n")
    place.write(".gitignore", ".rote\n.venv\n/made\n/out\n")
    place.write("made", "by hand\n")
    place.write(
        "rote.yaml",
        "stages:\n  old: {cmd: 'false', outs: [made], frozen: true}\n"
        "  new: {cmd: test -e .venv/pyvenv.cfg && cp made out, deps: [made], outs: [out]}\n",
    )
    told = place.rote("run", "--smoke")
    assert "old: frozen" in told.out
    assert place.read(".rote/smoke/out") == "by hand\n"


def test_two_at_once_one_after_the_other(place: Place) -> None:
    """Both use one tree; the second finds what the first made."""
    world(place)
    both = [place.start("run", "--smoke") for _ in range(2)]
    outs = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("nothing to do" in out for out in outs) == [False, True]


def refused(place: Place, pipeline: str, code: int = 2) -> str:
    place.write("rote.yaml", pipeline)
    return place.rote("run", "--smoke", code=code).err


def test_what_is_written_wrong(place: Place) -> None:
    world(place)
    told = refused(place, PIPELINE.replace("train.epochs: 1", "train.epoch: 1"))
    assert "rote.yaml:14: stages.train.smoke" in told
    assert "did you mean 'train.epochs'" in told
    told = refused(place, PIPELINE.replace("data/images: 4", "data/image: 4"))
    assert "rote.yaml:7" in told
    assert "no dep of this stage" in told
    assert "did you mean 'data/images'" in told
    told = refused(place, PIPELINE.replace("data/images: 4", "data/images: 0"))
    assert "a number from 1 on" in told
    told = refused(place, PIPELINE.replace("data/images: 4", "data/images: true"))
    assert "a number of files or records, or a path" in told
    told = refused(place, PIPELINE.replace("params: {train.epochs: 1}", "parms: {}"))
    assert "unknown key" in told
    assert "did you mean" in told
    told = refused(place, PIPELINE.replace("params: {train.epochs: 1}", "sample: {images.txt: 3}"))
    assert "made by the stage prepare" in told
    assert "let prepare make less" in told
    told = refused(place, PIPELINE.replace("params: {train.epochs: 1}", "- 3"))
    assert "expected a mapping with params and sample" in told
    two = PIPELINE.replace("deps: [images.txt,", "deps: [data/images, images.txt,").replace(
        "params: {train.epochs: 1}", "sample: {data/images: 5}"
    )
    told = refused(place, two)
    assert "the sample of 'data/images' is another in rote.yaml:6" in told
    assert "write the same in both" in told
    place.write("data/blob.bin", b"\0" * 100)
    blob = PIPELINE.replace("data/labels.csv", "data/blob.bin")
    told = refused(place, blob)
    assert "no number of records" in told
    assert "make a small one" in told
