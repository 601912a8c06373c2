"""Outs that stay in place (`persist`), and outs that the store does not keep (`cache: false`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from place import Place

PERSIST = """\
stages:
  grow:
    cmd: echo x$(cat in.txt) >> history.txt && cp history.txt copy.txt
    deps: [in.txt]
    outs: [copy.txt, {history.txt: {persist: true}}]
"""
BESIDE = """\
stages:
  make:
    cmd: cp in.txt big.bin && cp in.txt kept.txt
    deps: [in.txt]
    outs: [kept.txt, {big.bin: {cache: false}}]
  use:
    cmd: cp big.bin used.txt
    deps: [big.bin]
    outs: [used.txt]
"""


def place_of(tmp_path: Path, text: str) -> Place:
    place = Place(tmp_path / "p")
    place.git("init", "-q")
    (place.root / "rote.yaml").write_text(text)
    (place.root / "in.txt").write_text("1")
    place.rote("init")
    return place


def outcomes(place: Place, *args: str, code: int = 0) -> dict[str, str]:
    return {s["stage"]: s["outcome"] for s in place.rote("run", "--json", *args, code=code).json["stages"]}


class TestPersist:
    def test_the_stage_goes_on_from_what_is_there(self, tmp_path: Path) -> None:
        place = place_of(tmp_path, PERSIST)
        history = place.root / "history.txt"
        assert outcomes(place) == {"grow": "done"}
        assert outcomes(place) == {"grow": "hit"}
        (place.root / "in.txt").write_text("2")
        assert outcomes(place) == {"grow": "done"}
        assert history.read_text() == "x1\nx2\n"
        (place.root / "in.txt").write_text("1")
        assert "from which it goes on" in place.rote("plan").out
        assert outcomes(place) == {"grow": "done"}
        assert history.read_text() == "x1\nx2\nx1\n"
        assert outcomes(place) == {"grow": "hit"}

    def test_where_it_is_missing_it_is_brought(self, tmp_path: Path) -> None:
        place = place_of(tmp_path, PERSIST)
        outcomes(place)
        (place.root / "history.txt").unlink()
        (place.root / "copy.txt").unlink()
        assert outcomes(place) == {"grow": "hit"}
        assert (place.root / "history.txt").read_text() == "x1\n"

    def test_a_failure_leaves_it_in_place(self, tmp_path: Path) -> None:
        place = place_of(tmp_path, PERSIST)
        outcomes(place)
        (place.root / "rote.yaml").write_text(PERSIST.replace("cp history.txt copy.txt", "false"))
        assert outcomes(place, code=1) == {"grow": "failed"}
        assert (place.root / "history.txt").read_text() == "x1\nx1\n"

    @pytest.mark.parametrize("link", ["hard", "symbolic"])
    def test_a_link_into_a_cache_is_not_written_through(self, tmp_path: Path, link: str) -> None:
        place = place_of(tmp_path, PERSIST)
        elsewhere = tmp_path / "cache"
        elsewhere.write_text("old\n")
        elsewhere.chmod(0o444)
        (os.link if link == "hard" else os.symlink)(elsewhere, place.root / "history.txt")
        assert outcomes(place) == {"grow": "done"}
        assert (place.root / "history.txt").read_text() == "old\nx1\n"
        assert elsewhere.read_text() == "old\n"


class TestBeside:
    def test_it_is_a_hit_only_while_it_lies_there(self, tmp_path: Path) -> None:
        place = place_of(tmp_path, BESIDE)
        assert outcomes(place) == {"make": "done", "use": "done"}
        assert outcomes(place) == {"make": "hit", "use": "hit"}
        (place.root / "kept.txt").unlink()
        assert outcomes(place) == {"make": "hit", "use": "hit"}
        (place.root / "big.bin").unlink()
        assert "which is not kept in the store" in place.rote("plan").out
        assert outcomes(place) == {"make": "done", "use": "hit"}
        assert outcomes(place) == {"make": "hit", "use": "hit"}

    def test_the_store_does_not_have_it(self, tmp_path: Path) -> None:
        place = place_of(tmp_path, BESIDE)
        outcomes(place)
        told = place.rote("show", "last", "--json").json
        made = next(stage for stage in told["stages"] if stage["stage"] == "make")
        assert list(made["outs"]) == ["kept.txt"]
