from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import sys
from pathlib import Path

import pytest

from rote.adapters.clock import SystemClock
from rote.adapters.machine import by, host, packages


def test_this_machine() -> None:
    found = host({})
    assert found.name == socket.gethostname()
    assert found.python == platform.python_version()
    assert 1 <= found.cpus <= (os.cpu_count() or 1)
    assert found.machine == platform.machine()


def test_packages_are_those_that_importlib_finds() -> None:
    expected = {}
    for dist in importlib.metadata.distributions():
        name = dist.metadata["Name"]
        if name:
            expected.setdefault(re.sub(r"[-_.]+", "-", name).lower(), dist.version)
    found = host({}).packages
    assert found["msgspec"] == importlib.metadata.version("msgspec")
    assert {k: v for k, v in expected.items() if k in found} == found
    assert list(found) == sorted(found)


def test_the_first_folder_wins_as_in_an_import(tmp_path: Path) -> None:
    for name in (
        "a/Foo_Bar-1.0.dist-info",
        "a/old-2.1-py3.11.egg-info",
        "b/foo.bar-2.0.dist-info",
        "b/x.dist-info",
        "b/plain",
    ):
        (tmp_path / name).mkdir(parents=True)
    folders = [str(tmp_path / n) for n in ("a", "nowhere", "b")]
    assert packages(folders) == {"foo-bar": "1.0", "old": "2.1"}


def test_the_active_environment_is_the_one_recorded(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.12" / "site-packages" / "torch-9.9.dist-info"
    site.mkdir(parents=True)
    env = {"VIRTUAL_ENV": str(tmp_path)}
    assert (host(env).python, host(env).packages) == ("3.12", {"torch": "9.9"})
    (tmp_path / "pyvenv.cfg").write_text("home = /x\nversion = 3.12.4\n")
    assert host(env).python == "3.12.4"
    assert host({"VIRTUAL_ENV": str(tmp_path / "gone")}).python == platform.python_version()
    assert host({"VIRTUAL_ENV": sys.prefix}).python == platform.python_version()


@pytest.mark.parametrize(
    ("env", "user"),
    [({"USER": "ada"}, "ada"), ({"LOGNAME": "bob", "USER": "ada"}, "bob"), ({"USER": "a\nb"}, "a?b")],
)
def test_who(env: dict[str, str], user: str) -> None:
    assert by(env) == f"{user}@{socket.gethostname()}"


def test_who_has_no_name() -> None:
    assert by({}).endswith(f"@{socket.gethostname()}")


def test_the_real_clock() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()
    assert clock.now() > 1_700_000_000
    assert re.fullmatch("[0-9a-f]{16}", clock.token(8))
    assert clock.token(8) != clock.token(8)
