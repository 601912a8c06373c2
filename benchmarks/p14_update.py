"""P14: what an application's look costs when there is nothing new, and an update where 5 % of a 100 MB model changed: in
one stretch, and in ten that are spread over the file. From a folder and from a real S3 server 20 ms away, counted on the
way. Plain copy: the whole new file, read by one request. Beside it what `rote model budget` says of the same update."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore

from bucket import Bucket, bucket
from inputs import MEGABYTE, changed, noise
from rounds import Row, Setting, arguments, clock, fresh, median, quiet, report, rote_project

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers.proxy import Log, Proxy

SIZE = 100 * MEGABYTE
SHARE = 0.05
STRETCHES = (1, 10)
MILLISECONDS = 20
PIPELINE = """\
stages:
  train: {cmd: cp in net.bin, deps: [in], outs: [net.bin]}
models:
  net: {files: [net.bin], publish: [TARGET]}
"""
APPLICATION = """\
import json, sys, time
from rote.client import Model
from rote.adapters.stores.folder import FolderStore
from rote.testing.faults import CountingStore
address, cache = sys.argv[1:]
counted = None if "://" in address else CountingStore(FolderStore(address))
model = Model(counted or address, "net", cache=cache)
model.path()
for _ in sys.stdin:
    if counted:
        counted.reset()
    began = time.perf_counter()
    changed = model.refresh()
    seconds = time.perf_counter() - began
    requests, size = (counted.total, counted.bytes.total()) if counted else (0, 0)
    assert model.problem is None, model.problem
    print(json.dumps({"seconds": seconds, "changed": changed, "requests": requests, "bytes": size}), flush=True)
"""


@dataclass
class Look:
    """What one look took."""

    seconds: float
    changed: bool
    requests: int
    bytes: int


class Application:
    """A process that follows the model, and looks when it is told to."""

    def __init__(
        self, setting: Setting, place: Path, address: str, proxy: Proxy | None, **environment: str
    ) -> None:
        self.proxy = proxy
        python = str(Path(setting.rote).parent / "python")
        self.process = subprocess.Popen(
            [python, "-c", APPLICATION, address, str(place / "cache")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, **environment},
        )  # fmt: skip

    def look(self) -> Look:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.proxy:
            self.proxy.reset()
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        found = Look(**json.loads(self.process.stdout.readline()))
        if self.proxy:
            log: Log = self.proxy.reset()
            found.requests, found.bytes = len(log.asked), log.downloaded
        return found

    def close(self) -> None:
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()


def ship(setting: Setting, project: Path, data: bytes, **environment: str) -> None:
    """A new version with this file, and prod on it."""
    (project / "in").write_bytes(data)
    quiet([setting.rote, "run"], project, **environment)
    quiet([setting.rote, "release", "net"], project, **environment)
    newest = json.loads(output([setting.rote, "model", "list", "--json"], project, **environment))[0][
        "newest"
    ]
    quiet([setting.rote, "promote", f"net@{newest}", "prod"], project, **environment)


def output(command: list[str], cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


def measured(
    setting: Setting, place: Path, target: str, read: str, proxy: Proxy | None, **environment: str
) -> dict[str, Any]:
    """Every look of one application at `read`, where what is published at `target` can be seen."""
    project = rote_project(setting, place)
    with (project / "rote.yaml").open("a") as file:
        file.write(PIPELINE.replace("TARGET", target))
    data = noise(SIZE)
    ship(setting, project, data, **environment)
    app = Application(setting, place, read, proxy, **environment)
    found: dict[str, Any] = {}
    try:
        app.look()
        found["nothing"] = app.look()
        for count in STRETCHES:
            data = changed(data, SHARE, count)
            ship(setting, project, data, **environment)
            found[f"update {count}"] = app.look()
            assert found[f"update {count}"].changed
            told = json.loads(
                output(
                    [setting.rote, "model", "budget", "net", "--apps", "1", "--updates", "1", "--json"],
                    project,
                )
            )
            found[f"budget {count}"] = (told["cost"]["fetches"] + 1, told["cost"]["out"])
    finally:
        app.close()
    return found


def on_s3(setting: Setting, place: Path) -> tuple[dict[str, Any], float]:
    """The same from S3, and the seconds of reading the whole file."""
    with bucket(place, 0) as s3, Proxy(s3.endpoint, latency=MILLISECONDS / 1000) as proxy:
        direct = s3.url("published")
        read = direct.replace(s3.endpoint, proxy.url)
        found = measured(setting, place, direct, read, proxy, **s3.environment)
        client = Bucket(proxy.url, s3.environment).client("published/models/net/published")
        paths = sorted(meta["path"] for batch in obstore.list(client) for meta in batch)
        path = next(path for path in paths if path.endswith("net.bin"))
        return found, clock(lambda: obstore.get(client, path).bytes())


def main() -> None:
    setting = arguments()
    looks: dict[str, dict[str, list[Any]]] = {"folder": defaultdict(list), "S3": defaultdict(list)}
    plain: list[float] = []
    for _ in range(min(setting.rounds, 3)):
        with fresh(setting) as place:
            target = str(place / "published")
            for work, look in measured(setting, place, target, target, None).items():
                looks["folder"][work].append(look)
        with fresh(setting) as place:
            found, whole = on_s3(setting, place)
            plain.append(whole)
            for work, look in found.items():
                looks["S3"][work].append(look)
    rows = []
    for kind, name in (("folder", "folder"), ("S3", f"S3, +{MILLISECONDS} ms")):
        rows += [
            row(kind, name, work, looks[kind], median(plain)) for work in looks[kind] if "budget" not in work
        ]
    report(setting, rows)


def row(kind: str, name: str, work: str, found: dict[str, list[Any]], plain: float) -> Row:
    looked: list[Look] = found[work]
    seconds = median([look.seconds for look in looked])
    requests, size = max(look.requests for look in looked), max(look.bytes for look in looked)
    if work == "nothing":
        text, bar, note = "a look with nothing new", "1 request, 0 bytes", f"{requests} request, {size} bytes"
        return Row("P14", f"{name}: {text}", seconds, None, None, bar, note)
    count = int(work.split()[1])
    where = "one stretch" if count == 1 else f"{count} stretches"
    told = found[f"budget {count}"][0]
    note = f"{requests} requests, {size / SIZE:.1%} of the bytes; `rote model budget`: {told[0]} requests, {told[1] / SIZE:.1%}"
    text = f"{name}: 5 % of a 100 MB model changed, in {where}"
    whole = plain if kind == "S3" else None
    return Row("P14", text, seconds, None, None, "≤ 8 % of the bytes" if count == 1 else "–", note, whole)


if __name__ == "__main__":
    main()
