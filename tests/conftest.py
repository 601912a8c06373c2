"""Fixtures for tests that type commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "e2e"))

from place import Place


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A git repository that is no rote project yet."""
    place = Place(tmp_path / "project")
    place.git("init", "-q", "-b", "main", ".")
    return place


@pytest.fixture
def place(bare: Place) -> Place:
    """A git repository that is a rote project with the default store."""
    bare.rote("init")
    return bare
