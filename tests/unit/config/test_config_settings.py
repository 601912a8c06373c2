"""Which store, and where that was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.errors import ConfigError
from rote.wiring import config
from rote.wiring.config import settings
from rote.words.pipeline import At, Pipeline


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
        ("- a\n", "rote.local.yaml:1: expected a mapping with store, cache, budget, found a list"),
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


def cache(root: Path, **environ: str) -> tuple[str, str, int]:
    found = settings.read(
        str(root), config.load(str(root)), environ={"HOME": "/home/me", **environ}, cwd="/elsewhere"
    )
    return found.cache.value, found.cache.source, found.cache_size


def test_where_the_read_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert cache(tmp_path) == ("/home/me/.cache/rote/packs", "the default", 10_000_000_000)
    assert cache(tmp_path, XDG_CACHE_HOME="/x")[0] == "/x/rote/packs"
    (tmp_path / "rote.yaml").write_text("cache: {folder: kept, size: 1.5 GiB}\n")
    assert cache(tmp_path) == (str(tmp_path / "kept"), "rote.yaml", 1_610_612_736)
    (tmp_path / "rote.local.yaml").write_text("cache:\n  folder: /scratch\n")
    assert cache(tmp_path) == ("/scratch", "rote.local.yaml", 1_610_612_736)
    (tmp_path / "rote.local.yaml").write_text("cache:\n  size: 0\n")
    assert cache(tmp_path) == (str(tmp_path / "kept"), "rote.yaml", 0)
    assert cache(tmp_path, ROTE_CACHE="ci")[:2] == ("/elsewhere/ci", "the environment variable ROTE_CACHE")


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("7", 7), ("2 kB", 2000), ("20GB", 20 * 10**9), ("1 TiB", 1 << 40), ("3M", 3 * 10**6)],
)
def test_sizes_of_the_read_cache(tmp_path: Path, size: str, bytes_: int) -> None:
    (tmp_path / "rote.yaml").write_text(f"cache: {{size: {size}}}\n")
    assert cache(tmp_path)[2] == bytes_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cache: big\n", "rote.yaml:1: cache: expected a mapping with folder, size, found text ('big')"),
        ("cache: {size: -1}\n", "rote.yaml:1: cache.size: expected bytes, such as 20 GB, found -1"),
        ("cache:\n  size: huge\n", "rote.yaml:2: cache.size: expected bytes, such as 20 GB, found huge"),
        (
            "cache: {limit: 3}\n",
            "rote.yaml:1: cache.limit: unknown key 'limit'; expected one of: folder, size",
        ),
        ("cache: {folder: 3}\n", "rote.yaml:1: cache.folder: expected text, found"),
    ],
)
def test_a_bad_read_cache(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rote.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path))
    assert caught.value.lines()[0].startswith(message), caught.value.lines()
