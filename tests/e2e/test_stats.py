"""What a command says it asked of the store, and the month that this adds up to."""

from __future__ import annotations

import re
from pathlib import Path

from place import Place

from servers.fixtures import Bucket
from servers.proxy import Proxy, Status

PIPELINE = """
budget: {writes: 1000, reads: 2000, stored: 5 GB}
stages:
  sort:
    cmd: sort data/a.txt > sorted.txt
    deps: [data]
    params: [n]
    outs: [sorted.txt]
"""


def figures(err: str) -> dict[str, int]:
    """`5 create, 2 get` in what a command said."""
    return {
        kind: int(n.replace(",", ""))
        for n, kind in re.findall(r"([\d,]+) (create|replace|list|get|head|delete)", err)
    }


def test_a_folder_is_counted_when_asked(place: Place, tmp_path: Path) -> None:
    place.write("data/a.txt", "b\na\n")
    told = place.rote("--stats", "add", "data")
    assert f" to {place.root / '.rote/store'}: " in told.err
    assert figures(told.err)["create"] >= 4
    assert "sent" in told.err
    assert "request" not in place.rote("status").err
    assert "no request was made to a store" in place.rote("--stats", "config").err
    told = place.rote("store", "budget")
    assert "a folder costs nothing by the request" in told.out
    assert "limit" not in told.out
    assert "bytes in the store" in place.rote("store", "budget", "--stored").out
    assert not (tmp_path / "home/.local/state").exists()
    told = place.rote("add", "--stats", "data", code=2)
    assert "--stats stands before the command" in told.err


def test_a_command_that_fails_says_it_too(place: Place) -> None:
    told = place.rote("--stats", "show", "last", code=1)
    assert "to " in told.err
    assert figures(told.err)["list"] >= 1


def test_the_month_of_a_bucket(bare: Place, moto: Bucket, tmp_path: Path) -> None:
    with Proxy(moto.endpoint) as proxy:
        url = Bucket(proxy.url, moto.key, moto.secret).url()
        env = {**moto.env, "XDG_STATE_HOME": str(tmp_path / "state")}
        bare.rote("init", "--store", url, **env)
        bare.write("rote.yaml", bare.read("rote.yaml") + PIPELINE)
        bare.write("data/a.txt", "b\na\n")
        bare.write("params.yaml", "n: 1\n")
        spent = {"create": 0, "replace": 0, "list": 0, "get": 0, "head": 0, "delete": 0}
        writes = []
        for command in (("add", "data"), ("run",), ("run", "-S", "n=2"), ("run", "-S", "n=3"), ("status",)):
            proxy.reset()
            told = bare.rote("--stats", *command, **env)
            found = figures(told.err)
            assert sum(found.values()) == len(proxy.log.asked), command
            for kind, n in found.items():
                spent[kind] += n
            if command[0] == "run":
                writes.append(sum(found.get(k, 0) for k in ("create", "replace", "list")))
        proxy.reset()
        told = bare.rote("store", "budget", "--json", **env)
        assert proxy.log.asked == [], "asking for the account costs nothing"
        shares = {share["name"]: share for share in told.json["shares"]}
        assert told.json["plan"] == "custom"
        assert shares["writes"]["used"] == spent["create"] + spent["replace"] + spent["list"]
        assert shares["reads"]["used"] == spent["get"] + spent["head"]
        assert shares["writes"]["next"] == sorted(writes)[1]
        assert told.json["last"] == 3
        assert shares["stored"]["used"] is None
        told = bare.rote("store", "budget", "--plan", "r2-free", "--stored", **env)
        assert "plan r2-free (--plan)" in told.out
        assert "1,000,000" in told.out
        assert "bytes in the store" in told.out
        assert [a.method for a in proxy.log.asked] == ["GET"], "one listing"
        assert (
            "no plan is called 'r2-fre'"
            in bare.rote("store", "budget", "--plan", "r2-fre", code=2, **env).err
        )

        left = [1]

        def once(asked: object) -> Status | None:
            return Status(503) if left and left.pop() else None

        proxy.plan = once
        assert "; 1 try again" in bare.rote("--stats", "runs", **env).err
