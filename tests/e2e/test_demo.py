"""The demo is the main job: it runs here as `make demo` runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from place import Place

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """The demo's project after the demo, and what it printed."""
    place = Place(tmp_path_factory.mktemp("demo") / "digits")
    done = subprocess.run(
        [sys.executable, str(DIGITS / "demo.py"), str(place.root)],
        env=place.environment(), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place, done.stdout


def test_the_application_follows_the_alias(demo: tuple[Place, str]) -> None:
    _, printed = demo
    said = [line.split()[-1] for line in printed.splitlines() if "shows a" in line]
    assert said == ["1.0.0", "1.1.0", "1.0.0", "1.1.0"]


def test_the_demo_ends_with_an_update_from_what_was_published(demo: tuple[Place, str]) -> None:
    """Not from the store: that may be away."""
    place, printed = demo
    *_, promoted, app = [line for line in printed.splitlines() if line.startswith("  ")]
    assert promoted.startswith("  prod points at digits@1.1.0, before at 1.0.0")
    assert app.endswith("says digits 1.1.0")
    (place.root / ".rote/store").rename(place.root / ".rote/away")
    try:
        told = subprocess.run(
            [sys.executable, "app.py", "data/digits/3/0003.png"], cwd=place.root, env=place.environment(),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    finally:
        (place.root / ".rote/away").rename(place.root / ".rote/store")
    assert "says digits 1.1.0" in told.stdout


def test_only_what_must_run_again_runs(demo: tuple[Place, str]) -> None:
    place, _ = demo
    runs = [place.rote("show", f"last~{n}", "--json").json for n in (2, 1, 0)]
    outcomes = [{s["stage"]: s["outcome"] for s in run["stages"]} for run in runs]
    assert outcomes[0] == dict.fromkeys(("sound", "prepare", "train", "export", "evaluate"), "done")
    assert outcomes[1] == dict.fromkeys(("sound", "prepare", "train", "export", "evaluate"), "done")
    assert outcomes[2] == {
        "sound": "hit",
        "prepare": "hit",
        "train": "done",
        "export": "done",
        "evaluate": "done",
    }


def test_nothing_to_do_is_said_and_makes_no_run(demo: tuple[Place, str]) -> None:
    place, printed = demo
    assert "nothing to do" in printed
    assert len(place.rote("runs", "--json").json) == 3


def test_the_bad_model_was_refused(demo: tuple[Place, str]) -> None:
    place, printed = demo
    assert "FAIL" in printed
    (model,) = place.rote("models", "--json").json
    assert model["aliases"] == {"prod": "1.1.0"}
    assert (model["versions"], model["newest"]) == (2, "1.1.0")


def test_the_store_is_sound_after_it_all(demo: tuple[Place, str]) -> None:
    place, _ = demo
    place.rote("store", "check", "--read-data")


def test_the_released_model_is_what_the_run_measured(demo: tuple[Place, str], tmp_path: Path) -> None:
    place, _ = demo
    place.rote("fetch", "digits@1.1.0", "--to", str(tmp_path / "out"))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    newest = place.rote("models", "digits", "--json").json[0]
    assert newest["metrics"]["metrics.json"]["accuracy"] == metrics["accuracy"] >= 0.93


def test_the_application_is_short() -> None:
    lines = [x for x in (DIGITS / "app.py").read_text().splitlines() if x.strip()]
    assert len(lines) <= 15


def test_the_pages_show_what_the_demo_prints(demo: tuple[Place, str]) -> None:
    """Line by line, but for figures, ids, and where the project lies."""
    place, printed = demo

    def plain(text: str) -> list[str]:
        lines = text.replace(str(place.root), "demo").splitlines()
        return [
            re.sub(
                r"\s+store \+#.*| +",
                lambda m: " " if m[0].isspace() else "",
                re.sub(r"[0-9][0-9a-f.,:-]*", "#", x),
            ).strip()
            for x in lines
        ]

    def shown(page: str) -> str:
        found = re.search(
            r"```\n(# A git repository.*?)```", (DIGITS.parents[1] / page).read_text(), re.DOTALL
        )
        assert found is not None
        return found[1].strip()

    assert plain(shown("docs/demo.md")) == plain(printed.strip())
    scenes = [plain(scene) for scene in printed.strip().split("\n\n")]
    for scene in shown("README.md").split("\n\n"):
        assert plain(scene) in scenes


def test_playing_on_with_the_demo(demo: tuple[Place, str]) -> None:
    """Somebody else clones the repository, points at the same store, and has the data and the results."""
    place, _ = demo
    other = Place(place.root.parent / "other")
    other.git("clone", "-q", str(place.root), ".")
    told = other.rote("checkout", ROTE_STORE=str(place.root / ".rote/store"))
    assert "1,797" in told.out + told.err
    assert other.files("data/digits") == place.files("data/digits")
    told = other.rote("run", ROTE_STORE=str(place.root / ".rote/store"))
    assert "nothing to do" in told.out
    assert (other.root / "build/model.onnx").exists()
