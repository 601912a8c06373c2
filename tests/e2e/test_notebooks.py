"""The notebooks of examples/notebooks: one trains and publishes, the other downloads and predicts; no project around them."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import rote.releases
from servers.github import GitHub

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
TRAIN, PREDICT = FOLDER / "train_and_publish.ipynb", FOLDER / "download_and_predict.ipynb"


def code(notebook: Path) -> list[str]:
    told = json.loads(notebook.read_text())
    return ["".join(cell["source"]) for cell in told["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", [TRAIN, PREDICT], ids=lambda p: p.stem)
def test_a_notebook_is_clean_and_calls_what_there_is(notebook: Path) -> None:
    """Nothing of a former run is in it; its one line is a call that exists; everything else is everybody's."""
    told = json.loads(notebook.read_text())
    assert all(
        not c["outputs"] and c["execution_count"] is None for c in told["cells"] if c["cell_type"] == "code"
    )
    calls = [
        node.attr
        for cell in code(notebook)
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.Attribute)
    ]
    assert ("publish" if notebook is TRAIN else "download") in calls
    assert callable(rote.releases.GitHub.publish)
    assert callable(rote.releases.GitHub.download)
    assert "rote.yaml" not in "".join(code(notebook))


def run(notebook: Path, folder: Path) -> str:
    """Execute a notebook as people do, in a folder of its own; what it printed."""
    import nbformat
    from nbclient import NotebookClient

    folder.mkdir()
    loaded: Any = nbformat.read(notebook, as_version=4)
    nbformat.validate(loaded)
    NotebookClient(loaded, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    printed = [o.get("text", "") for cell in loaded.cells if cell.cell_type == "code" for o in cell.outputs]
    return "".join(printed)


@pytest.mark.heavy
def test_the_second_predicts_with_what_the_first_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GitHub(tmp_path / "forge") as forge:
        monkeypatch.setenv("OWNER", "owner")
        monkeypatch.setenv("REPO", "repo")
        monkeypatch.setenv("GITHUB_SERVER_URL", forge.url)
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_writer")
        monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        trained = run(TRAIN, tmp_path / "colab")
        assert f"{forge.url}/owner/repo/releases/tag/" in trained
        assert run(TRAIN, tmp_path / "again").splitlines()[-1] == trained.splitlines()[-1]
        monkeypatch.delenv("GITHUB_TOKEN")
        predicted = run(PREDICT, tmp_path / "server")
        accuracy = trained.split("accuracy ")[1].split()[0]
        assert float(accuracy) > 0.85
        assert f"accuracy: {float(accuracy):g}" in predicted
        assert "metrics.json" in predicted
        assert forge.wrong == []
