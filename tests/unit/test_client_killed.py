"""Killed at every system call of an update, an application has the old model or the new one, never none or half."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from modelbench import Bench, noise, tree

from rote.client import Model
from rote.testing.faults import Fault, FaultyStore

ZERO = {"model": {"net": b"zero"}}
ONE = {"model": {"net": noise(300_000), "labels": b"one", "kept": b"kept"}}
TWO = {"model": {"net": noise(300_000, 1), "labels": b"two", "kept": b"kept"}}
CALLS = ("os.", "open", "shutil.", "fcntl.")


def killed_at(number, work):
    """Do `work` in a child that kills itself before its system call `number`; True if it got that far."""
    child = os.fork()
    if child == 0:
        left = [number]

        def count(event, args):
            if event.startswith(CALLS):
                left[0] -= 1
                if left[0] < 0:
                    signal.raise_signal(signal.SIGKILL)

        ended = 1
        try:
            sys.addaudithook(count)
            work()
            ended = 0
        finally:
            os._exit(ended)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def current(store, cache):
    """What an application finds that starts while the store is out of reach."""
    model = Model(FaultyStore(store, lambda n, kind, key: Fault.UNAVAILABLE), "digits", cache=cache)
    return tree(model.path() / "model")


@pytest.mark.parametrize("full", [False, True], ids=["one-version-there", "two-versions-there"])
def test_killed_at_every_call_of_an_update(tmp_path, full):
    bench = Bench()
    for outs in (ZERO, ONE, TWO):
        bench.release(outs)
    zero, one, two = ("1.0.0", "1.0.1", "1.0.2")
    number, found, last = 0, set(), False
    while not last:
        cache = tmp_path / str(number)
        for version in (zero, one) if full else (one,):
            bench.registry.promote("digits", version, "prod")
            Model(bench.store, "digits", cache=cache).path()
        bench.registry.promote("digits", two, "prod")

        last = not killed_at(number, lambda: Model(bench.store, "digits", cache=cache).refresh())
        there = current(bench.inner, cache)
        assert there in (ONE["model"], TWO["model"]), f"killed before call {number}"
        found.add(there["labels"])

        model = Model(bench.store, "digits", cache=cache)
        assert tree(model.path() / "model") == TWO["model"]
        # What was left half done goes with the next change of the cache.
        bench.registry.promote("digits", zero, "prod")
        assert model.refresh()
        assert len(list((cache / "versions").iterdir())) == 2, f"killed before call {number}"
        number += 1
    assert found == {b"one", b"two"}
    assert number > 30
