"""The small install for devices: what is in it is enough, with two packages, and what is not is named when needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from modelbench import noise
from targetbench import Published

from rote.adapters.stores.folder import FolderStore

ROOT = Path(__file__).parents[2]
NEEDED = ("blake3", "msgspec")
APP = """\
import sys
sys.path[:0] = sys.argv[1:3]
from rote.client import Model
from rote.errors import RoteError
try:
    model = Model(sys.argv[3], "digits", cache=sys.argv[4], keys=sys.argv[5:])
    print(model.version, sorted(model.files), model.problem)
except RoteError as e:
    print(type(e).__name__, e.what, "|", e.next)
print(*sorted(m for m in sys.modules if m in ("click", "yaml", "obstore", "zstandard", "pyfastcdc", "sqlite3")))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `pip install rote-client` puts in place: the wheel's files, and the packages that it names."""
    place = tmp_path_factory.mktemp("device")
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "client_wheel.py"), str(place)], check=True, timeout=120
    )
    (wheel,) = place.glob("rote_client-*.whl")
    zipfile.ZipFile(wheel).extractall(place / "own")
    (place / "others").mkdir()
    for name in NEEDED:
        (place / "others" / name).symlink_to(Path(str(find_spec(name).origin)).parent)
    return place, wheel


@pytest.fixture
def app(installed, tmp_path):
    place, _ = installed

    def run(address, *keys):
        # -I -S: nothing else of this machine's packages.
        argv = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            APP,
            str(place / "own"),
            str(place / "others"),
            str(address),
            str(tmp_path / "c"),
            *keys,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout.strip()

    return run


def test_both_in_one_place_are_told(installed, tmp_path):
    """They own the same files: whoever takes one away takes files of the other along."""
    place, wheel = installed

    def imported(where):
        argv = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path[:0] = sys.argv[1:]; import rote.errors",
        ]
        done = subprocess.run(
            [*argv, str(where), str(place / "others")], capture_output=True, text=True, check=True
        )
        return done.stderr

    shutil.copytree(ROOT / "src", tmp_path / "rote alone", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tmp_path / "rote alone", tmp_path / "both")
    zipfile.ZipFile(wheel).extractall(tmp_path / "both")
    assert "pip uninstall -y rote-client" in imported(tmp_path / "both")
    assert imported(tmp_path / "rote alone") == ""
    assert imported(place / "own") == ""


def test_it_is_small(installed):
    place, wheel = installed
    own = sum(p.stat().st_size for p in (place / "own").rglob("*.py"))
    assert own < 800_000
    assert wheel.stat().st_size < 300_000
    names = {p.relative_to(place / "own").as_posix() for p in (place / "own").rglob("*.py")}
    assert "rote/services/runs/runner.py" not in names
    assert "rote/cli/__init__.py" not in names
    text = (next((place / "own").glob("*.dist-info")) / "METADATA").read_text()
    assert sorted(
        line.split()[1].split(">")[0]
        for line in text.splitlines()
        if line.startswith("Requires-Dist") and "extra" not in line
    ) == list(NEEDED)


def test_it_follows_a_signed_model_at_a_target(app, tmp_path):
    bench = Published(tmp_path / "keys", target=FolderStore(str(tmp_path / "target")))
    bench.ship({"m": {"net": noise(300_000), "labels": b"one"}})
    assert app(tmp_path / "target", *bench.keys) == "1.0.0 ['m/labels', 'm/net'] None"


def test_what_it_lacks_is_named(app, tmp_path):
    bench = Published(store=FolderStore(str(tmp_path / "store")))
    bench.release({"m": b"one"}, promote="prod")
    assert app(tmp_path / "store").splitlines()[0] == (
        'MissingExtra reading the packs of a store needs the package zstandard | pip install "rote-client[store]"'
    )
    assert app("s3://bucket/prefix").splitlines()[0] == (
        'MissingExtra reading this address needs the package obstore | pip install "rote-client[bucket]"'
    )
