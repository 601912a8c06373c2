"""Whatever goes wrong with any request of a release: a whole version or none, and the same again succeeds."""

from __future__ import annotations

import pytest
from modelbench import Bench, model

from rote.errors import RoteError
from rote.testing.faults import Crashed, Fault, FaultyStore, at

FAULTS = [f for f in Fault if f is not Fault.ROT]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_any_request_of_a_release_and_a_promotion(fault):
    number, over = 1, False  # the first request asks what the store is
    while not over:
        good = Bench()
        run = good.run({"m": {"a": b"a", "b": b"b" * 100_000}})
        faulty = FaultyStore(good.inner, at(number, fault))
        bad = Bench(store=faulty, seed=1)
        try:
            released = bad.releasing.release(model(["m"]), run)
            bad.registry.promote("digits", released.version.version, "prod")
        except (RoteError, Crashed):
            pass
        over = not faulty.met
        there = good.registry.models()
        assert [(m.newest, m.versions) for m in there] in ([], [("1.0.0", 1)])
        again = good.releasing.release(model(["m"]), run)
        channel = good.registry.promote("digits", again.version.version, "prod")
        assert (again.version.version, channel.seq, channel.version) == ("1.0.0", 1, "1.0.0")
        record = good.snapshots.record(again.version.snapshot)
        assert b"".join(good.snapshots.read(record, "m/b")) == b"b" * 100_000
        number += 1
    assert number > 10
