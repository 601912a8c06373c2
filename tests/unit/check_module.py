"""Smoke tests that an application could bring along."""

from __future__ import annotations

import os
import sys
import time


def good(folder):
    assert (folder / "m" / "net").read_bytes()


def no(folder):
    return False


def not_two(folder):
    if b"two" in (folder / "m" / "labels").read_bytes():
        print("loading")
        raise ValueError("class 7 is missing")


def dies(folder):
    os.kill(os.getpid(), 11)


def hangs(folder):
    if os.fork() == 0:
        time.sleep(600)
    time.sleep(600)


def talks(folder):
    sys.stdout.write("x" * 5_000_000)
    sys.exit(3)


class Suite:
    @staticmethod
    def inner(folder):
        raise RuntimeError("from within")
