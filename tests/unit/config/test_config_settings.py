"""Which store, and where that was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.config import settings
from rote.errors import ConfigError
from rote.pipeline import At, Pipeline


def read(
    root: Path, pipeline: Pipeline | None = None, store: str | None = None, **environ: str
) -> settings.Setting:
    found = settings.read(
        str(root), pipeline or Pipeline(), store=store, environ=environ, cwd=str(root / "sub")
    )
    return found.store


def test_each_goes_before_the_next(tmp_path: Path) -> None:
    pipeline = Pipeline(store="in/file")
    assert read(tmp_path) == settings.Setting(str(tmp_path / ".rote/store"), "the default")
    assert read(tmp_path, pipeline) == settings.Setting(
        str(tmp_path / "in/file"), "rote.yaml", At("rote.yaml", 0, "store")
    )
    (tmp_path / "rote.local.yaml").write_text("# mine\nstore: ../local\n")
    local = settings.Setting(
        str(tmp_path.parent / "local"), "rote.local.yaml", At("rote.local.yaml", 2, "store")
    )
    assert read(tmp_path, pipeline) == local
    assert read(tmp_path, pipeline, ROTE_STORE="") == local
    env = read(tmp_path, pipeline, ROTE_STORE="env")
    assert env == settings.Setting(str(tmp_path / "sub/env"), "the environment variable ROTE_STORE")
    typed = read(tmp_path, pipeline, store="typed", ROTE_STORE="env")
    assert typed == settings.Setting(str(tmp_path / "sub/typed"), "--store")


def test_urls_and_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert read(tmp_path, store="s3://bucket/../x").value == "s3://bucket/../x"
    assert read(tmp_path, store="~/store").value == "/home/somebody/store"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stor: a\n", "rote.local.yaml:1: stor: unknown key 'stor'; expected one of: store"),
        ("- a\n", "rote.local.yaml:1: expected a mapping with store, found a list"),
        ("\nstore: 3\n", "rote.local.yaml:2: store: expected text, found a number ('3')"),
        ("store: [\n", "rote.local.yaml:2: store.0: this is not YAML"),
    ],
)
def test_a_bad_local_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rote.local.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    assert caught.value.lines()[0].startswith(message), caught.value.lines()


def test_an_empty_local_file_and_an_empty_option(tmp_path: Path) -> None:
    (tmp_path / "rote.local.yaml").write_text("store:\n")
    assert read(tmp_path).source == "the default"
    with pytest.raises(ConfigError, match="expected a folder or a URL"):
        read(tmp_path, store=" ")
