"""P12: 100,000 runs with 20 metrics and 20 params each: filter, sort, the top 50. No peer is run: MLflow 3.17.2 took 8.9 s.

The limit column is the same answer computed in Python from lists that are in memory already.
"""

from __future__ import annotations

import random
import time

import msgspec

from rote.adapters.stores.memory import MemoryStore
from rote.services.runs.catalogue import Catalogue
from rote.testing.clock import StillClock
from rote.words.encoding import with_check
from rote.words.ids import RunId, TxnId
from rote.words.record import LIVE, Root
from rote.words.run import Run
from rounds import Row, arguments, fresh, median, report

RUNS = 100_000
QUESTIONS = (
    ("metrics.m3 > 0.5", "metrics.m5 desc"),
    ("metrics.m3 > 0.1 and (params.p3 < 0.5 or params.p4 > 0.9)", "metrics.m5 desc"),
)


def fill(store: MemoryStore) -> tuple[list[float], list[float]]:
    """Runs of random figures; returns the values of m3 and m5."""
    chance = random.Random(12)
    m3, m5 = [], []
    for number in range(RUNS):
        began = time.gmtime(1_700_000_000 + number * 60)
        metrics = {f"m{k}": chance.random() for k in range(20)}
        run = Run(
            id=RunId(f"{time.strftime('%Y%m%d-%H%M%S', began)}-{number:06x}"),
            state="finished",
            began=time.strftime("%Y-%m-%dT%H:%M:%SZ", began),
            by="ada@mill",
            command="rote run",
            metrics={"metrics.json": metrics},
            params={"params.yaml": {f"p{k}": chance.random() for k in range(20)}},
        )
        m3.append(metrics["m3"])
        m5.append(metrics["m5"])
        root = Root(state=LIVE, txn=TxnId(f"20261121T000000-{number:016x}"), body=msgspec.to_builtins(run))
        store.create(f"runs/{run.id}/record", with_check(root))
    return m3, m5


def main() -> None:
    setting = arguments()
    store = MemoryStore()
    m3, m5 = fill(store)
    rows = []
    with fresh(setting) as place:
        catalogue = Catalogue(store, StillClock(), str(place / "catalogue.db"))
        catalogue.sync()
        for where, sort in QUESTIONS:
            took, limit = [], []
            for _ in range(max(9, setting.rounds)):
                begin = time.perf_counter()
                found = catalogue.runs(where, sort, ["id", "metrics.m5"], 50).rows
                took.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                best = sorted((b for a, b in zip(m3, m5, strict=True) if a > 0.5), reverse=True)[:50]
                limit.append(time.perf_counter() - begin)
            if where == QUESTIONS[0][0] and [row[1] for row in found] != best:
                raise SystemExit("the answer is wrong")
            rows.append(Row("P12", f"100,000 runs: {where}", median(took), None, median(limit), "≤ 0.05 s"))
        catalogue.close()
    report(setting, rows)


if __name__ == "__main__":
    main()
