"""A process that was forked from one with a connection to a bucket is told so; it never hangs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from servers.fixtures import Bucket

PROGRAM = """
import os, sys
from rote.errors import NotFound, StoreUnavailable
from rote.adapters.stores import address

def ask():
    try:
        store.head("rote.json")
    except NotFound:
        return "asked"
    except StoreUnavailable as e:
        assert not e.retry and e.next
        return e.what

store = address.at(sys.argv[1])
if sys.argv[2] == "used":
    assert ask() == "asked"
child = os.fork()
if not child:
    if sys.argv[2] == "another":
        store = address.at(sys.argv[1])
    print(ask(), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert ask() == "asked"
"""


@pytest.mark.parametrize(("when", "said"), [("used", "does not survive a fork"), ("unused", "asked")])
def test_a_forked_process(moto: Bucket, when: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, moto.url(), when],
        env={**os.environ, **moto.env, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
