"""Fixtures for tests that type commands."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import settings
from place import Place

from servers.fixtures import (
    apache,
    azurite,
    chromium,
    forge,
    github,
    gitlab,
    leave_out,
    moto,
    nginx,
    rgw,
    s3rver,
    say_left_out,
    sshd,
    strace,
)

__all__ = [
    "apache",
    "azurite",
    "chromium",
    "forge",
    "github",
    "gitlab",
    "moto",
    "nginx",
    "rgw",
    "s3rver",
    "sshd",
    "strace",
]

# A shell starts what it puts in the background with SIGINT ignored, and so would every process of the tests be.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Everyday runs try the same examples every time, so that a red run means a change; `make test-heavy` looks further.
# No deadline: seconds are never asserted.
settings.register_profile("everyday", derandomize=True, deadline=None)
settings.register_profile("further", deadline=None, print_blob=True)
settings.load_profile("further" if "TEST_FURTHER" in os.environ else "everyday")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    say_left_out(config, terminalreporter.write_line)


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
