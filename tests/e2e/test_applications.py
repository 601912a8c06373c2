"""From a key to an application that follows nobody else, typed as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from place import Place, Told

APP = """\
import sys
from rote.client import Model
from rote.errors import RoteError
model = Model(sys.argv[1], "m", cache=sys.argv[2], keys=sys.argv[3:])
try:
    changed = model.refresh()
except RoteError as e:
    print(type(e).__name__, e.what)
else:
    print(changed, model.version, sorted(model.files), model.files["weights"].read_text().strip(), model.problem)
"""
PIPELINE = """\
stages:
  train:
    cmd: cp data weights && echo '{"acc":0.9}' > metrics.json
    deps: [data]
    outs: [weights]
    metrics: [metrics.json]
models:
  m:
    files: [weights]
    publish: [site]
"""


class World:
    def __init__(self, place: Place, keys: Path) -> None:
        self.place = place
        self.keys = keys
        place.write("rote.yaml", PIPELINE)
        self.site = str(place.root / "site")

    def rote(self, *args: str, **more: Any) -> Told:
        return self.place.rote(*args, **{"ROTE_KEYS": str(self.keys), **more})

    def ship(self, text: str) -> None:
        self.place.write("data", text)
        self.place.commit(text)
        self.rote("run")
        self.rote("release", "m", "--promote", "prod")

    def configure(self, **keys: str) -> None:
        lines = "".join(f"    {name}: {value}\n" for name, value in keys.items())
        self.place.write("rote.yaml", PIPELINE + lines)

    def app(self, *keys: str, cache: str = "cache", address: str | None = None) -> str:
        argv = [sys.executable, "-c", APP, address or self.site, str(self.place.root / cache), *keys]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env=self.place.environment())
        return done.stdout.strip()


@pytest.fixture
def world(place: Place, tmp_path: Path) -> World:
    return World(place, tmp_path / "keys")


def test_from_a_key_to_an_application_and_back(world: World) -> None:
    rote = world.rote
    told = rote("key", "create", "m").out
    key = next(word for word in told.split() if word.startswith("ed25519:"))
    world.ship("one\n")
    assert world.app(key) == (
        f"Untrusted this channel document is not signed, and this application trusts only the key {json.loads(rote('key', 'show', '--json').out)[0]['id']}"
    )
    world.configure(keys=f"['{key}']", expires="30d")
    assert "signed by" in rote("model", "renew", "m").out
    assert world.app(key) == "True 1.0.0 ['weights'] one None"
    world.ship("two\n")
    assert world.app(key) == "True 1.0.1 ['weights'] two None"
    rote("rollback", "m")
    assert world.app(key) == "True 1.0.0 ['weights'] one None"
    assert world.app(key) == "False 1.0.0 ['weights'] one None"


def test_a_new_key_while_applications_know_the_former(world: World) -> None:
    rote = world.rote
    rote("key", "create", "m")
    shown = json.loads(rote("key", "show", "--json").out)
    former = shown[0]["public"]
    world.configure(keys=f"['{former}']")
    world.ship("one\n")
    assert world.app(former) == "True 1.0.0 ['weights'] one None"
    new = json.loads(rote("key", "rotate", "m", "--json").out)["public"]
    world.configure(keys=f"['{new}']")
    rote("model", "renew", "m")
    assert world.app(former) == "False 1.0.0 ['weights'] one None"
    assert world.app(new, cache="fresh") == "True 1.0.0 ['weights'] one None"
    names = {k["name"]: k["retired"] for k in json.loads(rote("key", "show", "--json").out)}
    assert names == {"m": False, f"m.{shown[0]['id']}": True}


def test_a_machine_without_the_secret_moves_nothing(world: World, tmp_path: Path) -> None:
    rote = world.rote
    key = json.loads(rote("key", "create", "m", "--json").out)["public"]
    secret = rote("key", "show", "m", "--secret").out.strip()
    world.configure(keys=f"['{key}']")
    world.ship("one\n")
    elsewhere = {"ROTE_KEYS": str(tmp_path / "nothing")}
    told = rote("model", "renew", "m", code=1, **elsewhere)
    assert "its secret is not on this machine" in told.err
    assert "ROTE_SECRET_KEY" in told.err
    assert "signed by" in rote("model", "renew", "m", **elsewhere, ROTE_SECRET_KEY=secret).out
    assert world.app(key) == "True 1.0.0 ['weights'] one None"
    told = rote("model", "renew", "m", code=2, **elsewhere, ROTE_SECRET_KEY=secret[:-4])
    assert secret[20:40] not in told.err


def test_a_fetch_needs_no_project(world: World, tmp_path: Path) -> None:
    rote = world.rote
    key = json.loads(rote("key", "create", "m", "--json").out)["public"]
    other = json.loads(rote("key", "create", "n", "--json").out)["public"]
    world.configure(keys=f"['{key}']")
    world.ship("one\n")
    aside = tmp_path / "aside"
    aside.mkdir()

    def fetch(*args: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rote", "fetch", *args],
            cwd=aside, capture_output=True, text=True, check=False, env=world.place.environment(),
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert "m@1.0.0 is in 'a': 1 file" in fetch("m@prod", "--from", world.site, "--key", key, "--to", "a")
    assert "0 files written" in fetch("m@prod", "--from", world.site, "--key", key, "--to", "a")
    fetch("m@1.0.0", "--from", world.site, "--to", "b")
    fetch("m@1.0.0", "--from", str(world.place.root / ".rote/store"), "--to", "c")
    for name in "abc":
        assert (aside / name / "weights").read_text() == "one\n"
    assert "trusts only" in fetch("m@prod", "--from", world.site, "--key", other, "--to", "d", code=1)
    assert "only the channels of aliases are signed" in fetch(
        "m@1.0.0", "--from", world.site, "--key", key, "--to", "d", code=1
    )
    assert "not a public key" in fetch("m@prod", "--from", world.site, "--key", "x", "--to", "d", code=2)
    assert "m@2.0.0 is not published here" in fetch("m@2.0.0", "--from", world.site, "--to", "d", code=1)
    assert "nobody holds m@staging" in fetch("m@staging", "--from", world.site, "--to", "d", code=1)
    assert "--key needs --from" in fetch("m@prod", "--key", key, "--to", "d", code=2)
    assert not (aside / "d").exists()


def test_what_a_thousand_applications_cost(world: World) -> None:
    world.ship("one\n")
    world.ship("two\n")
    told = world.rote("model", "budget", "m", "--apps", "1000").out
    assert "8,640,000 looks" in told
    assert "(against 1.0.0)" in told
    found = json.loads(world.rote("model", "budget", "m", "--apps", "10", "--every", "1h", "--json").out)
    assert found["cost"]["looks"] == 7200
    assert found["following"]["changed"] == 4
    assert "not a time" in world.rote("model", "budget", "m", "--every", "soon", code=2).err
    assert "--apps is 1 or more" in world.rote("model", "budget", "m", "--apps", "0", code=2).err


def test_a_copied_or_collected_store_is_as_good_as_the_first(world: World, tmp_path: Path) -> None:
    key = json.loads(world.rote("key", "create", "m", "--json").out)["public"]
    world.configure(keys=f"['{key}']")
    world.ship("one\n")
    world.ship("two\n")
    copy = str(tmp_path / "copy")
    world.rote("copy", "--to", copy)
    world.rote("gc", "--delete", "--grace-hours", "0", code=None)
    for n, address in enumerate((copy, str(world.place.root / ".rote/store"))):
        assert world.app(key, address=address, cache=f"cache{n}") == "True 1.0.1 ['weights'] two None"
