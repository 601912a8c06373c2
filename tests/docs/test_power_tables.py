"""The tables in docs/releases.md are what the tests of the gates really do."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_are_those_that_are_computed() -> None:
    spec = importlib.util.spec_from_file_location("gates_power", ROOT / "benchmarks/gates_power.py")
    assert spec is not None
    assert spec.loader is not None
    power = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(power)
    text = (ROOT / "docs/releases.md").read_text()
    for line in power.tables().splitlines():
        assert line in text
