"""Real models of real digits: the version in production is evaluated on the new images, and compared example by example."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from place import Place

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"


def test_the_version_in_production_is_compared_on_the_new_images(bare: Place) -> None:
    place = bare
    for name in ("rote.yaml", "params.yaml"):
        shutil.copy(EXAMPLE / name, place.root)
    shutil.copytree(EXAMPLE / "src", place.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    text = place.read("rote.yaml").replace("python src/", f"{sys.executable} src/")
    # The check of the example asks for more than the first images.
    text = text.replace("rows > 1000", "rows > 300")
    place.write(".gitignore", "__pycache__/\nbuild/\nmetrics.json\n")
    place.write("rote.yaml", text)
    place.rote("init")
    images(place, 400)
    place.rote("run", "-S", "train.epochs=12")
    first = place.rote("release", "digits", "--promote", "prod", "--json", code=None).json
    if "version" not in first:  # few images: the gates of the example ask for more than they give
        place.write("rote.yaml", loosened(text, []))
        first = place.rote("release", "digits", "--promote", "prod", "--json").json
    images(place, 1797)
    place.rote("run")

    gates = ["accuracy >= prod.accuracy", "better(accuracy, than=prod)", "better(f1, than=prod)"]
    place.write("rote.yaml", loosened(text, gates))
    compared, tested, f1 = place.rote("release", "digits", "--dry-run", "--json").json["verdicts"]

    # The same, by hand: the files of the version, and the images that the run was tested on.
    place.rote("fetch", "digits@1.0.0", "--to", "old")
    data = np.load(place.root / "build/dataset.npz")
    session = onnxruntime.InferenceSession(place.root / "old/model.onnx", providers=["CPUExecutionProvider"])
    (probability,) = session.run(["probability"], {"image": data["test_x"]})
    old = probability.argmax(axis=1) == data["test_y"]
    rows = list(csv.DictReader((place.root / "build/predictions.csv").open()))
    new = np.array([row["label"] == row["prediction"] for row in rows])
    assert compared["threshold"] == pytest.approx(old.mean(), abs=1e-4)
    assert compared["threshold"] != pytest.approx(
        first["version"]["metrics"]["metrics.json"]["accuracy"], abs=1e-4
    )
    assert compared["why"] == "digits@1.0.0 was evaluated again, as the run was"
    assert (tested["value"], tested["threshold"]) == (pytest.approx(new.mean()), pytest.approx(old.mean()))
    evidence = tested["evidence"]
    assert (evidence["examples"], evidence["better"], evidence["worse"]) == (
        len(new), int((new & ~old).sum()), int((~new & old).sum()),
    )  # fmt: skip
    assert evidence["p"] < 0.05
    assert f1["evidence"]["low"] > 0
    assert json.loads(place.read("metrics.json"))["accuracy"] == pytest.approx(new.mean(), abs=1e-4)


def loosened(text: str, gates: list[str]) -> str:
    """The pipeline with these gates instead of the example's."""
    before, _, after = text.partition("gates:\n")
    models = "models:\n" + after.partition("models:\n")[2]
    return before + "".join(["gates:\n", *(f"  - {gate}\n" for gate in gates)] if gates else []) + models


def images(place: Place, count: int) -> None:
    subprocess.run(
        [sys.executable, "src/images.py", str(count)], cwd=place.root, check=True, capture_output=True
    )
    place.rote("add", "data/digits")
    place.commit(f"{count} digits")
