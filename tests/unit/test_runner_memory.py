"""The command line runs without a collector of cycles: what a stage leaves in memory goes by itself."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path

from runbench import Bench

from rote.adapters.executors import local
from rote.services.data import ingest, locating, noding, piecing
from rote.services.store import packing, transactions

ENGINE = {
    local.__name__, ingest.__name__, locating.__name__, noding.__name__, packing.__name__, piecing.__name__,
    transactions.__name__,
}  # fmt: skip
"""What does the work of one stage. The run itself, which knows the outcome of each, may be a cycle: there is one."""


def test_a_stage_leaves_no_cycle_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "project")
    bench.stages("".join(f"  s{n}: {{cmd: echo {n} > o{n}, outs: [o{n}]}}\n" for n in range(12)))
    gc.collect()
    was, debug = gc.isenabled(), gc.get_debug()
    gc.disable()
    try:
        assert bench.run(jobs=2).ok
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(thing).__qualname__ for thing in gc.garbage if type(thing).__module__ in ENGINE)
    finally:
        gc.set_debug(debug)
        gc.garbage.clear()
        if was:
            gc.enable()
    bench.executor.close()
    assert not left
