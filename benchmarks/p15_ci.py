"""P15: a run of a three-stage pipeline as a CI makes it, with its store on a real S3 server 20 ms away: when everything
changed, when nothing did (in the working tree that is there still; in a fresh clone with the user's read cache; in a fresh
clone with nothing). Requests are counted between client and server. Peer: DVC, `pull`, `repro` and `push`."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from pathlib import Path

from bucket import Bucket, bucket
from rounds import Row, Setting, arguments, dvc_project, fresh, median, quiet, report, rote_project, timed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers.proxy import Log, Proxy

MILLISECONDS = 20
PIPELINE = """\
stages:
  prepare: {cmd: sort in > prepared, deps: [in], outs: [prepared]}
  train: {cmd: rev prepared > model, deps: [prepared], outs: [model]}
  score: {cmd: "wc -c model && printf '{\\"accuracy\\": 0.9}' > metrics.json", deps: [model], METRICS}
"""
OURS = "metrics: [metrics.json]"
THEIRS = "metrics: [{metrics.json: {cache: false}}]"
WORKS = ("all", "nothing", "kept", "clone")


def counted(log: Log) -> tuple[int, int]:
    """Requests that read, and that write."""
    writes = sum(asked.method in ("PUT", "POST") for asked in log.asked)
    return sum(asked.method in ("GET", "HEAD") for asked in log.asked), writes


def committed(project: Path) -> None:
    quiet(["git", "add", "-A"], project)
    quiet(["git", "commit", "-q", "--allow-empty", "-m", "all"], project)


def cloned(project: Path, name: str) -> Path:
    clone = project.parent / name
    quiet(["git", "clone", "-q", str(project), str(clone)], project.parent)
    return clone


class Measured:
    """Seconds and requests of each work, for one tool."""

    def __init__(self, proxy: Proxy, environment: dict[str, str]) -> None:
        self.proxy = proxy
        self.environment = environment
        self.took: dict[str, float] = {}
        self.asked: dict[str, tuple[int, int]] = {}

    def do(self, work: str, project: Path, *commands: list[str]) -> None:
        self.proxy.reset()
        self.took[work] = sum(timed(command, project, **self.environment) for command in commands)
        self.asked[work] = counted(self.proxy.reset())


def written(project: Path, metrics: str, name: str) -> None:
    (project / "in").write_text("".join(f"{n * 7919 % 10007}\n" for n in range(10_000)))
    (project / name).write_text(PIPELINE.replace("METRICS", metrics))


def ours(setting: Setting, place: Path, s3: Bucket, proxy: Proxy) -> Measured:
    run = [setting.rote, "run"]
    found = Measured(proxy, s3.environment)
    project = rote_project(setting, place, s3.url("ci"), **s3.environment)
    address = (project / "rote.yaml").read_text()
    written(project, OURS, "rote.yaml")
    with (project / "rote.yaml").open("a") as file:
        file.write(address)
    with (project / ".gitignore").open("a") as file:
        file.write("/prepared\n/model\n")  # the metrics are in git, as DVC's are
    found.do("all", project, run)
    found.do("nothing", project, run)
    committed(project)
    shutil.rmtree(place / "read-cache", ignore_errors=True)
    found.do("clone", cloned(project, "rote-1"), run)
    found.do("kept", cloned(project, "rote-2"), run)
    return found


def theirs(setting: Setting, place: Path, s3: Bucket, proxy: Proxy) -> Measured:
    dvc = setting.dvc_s3()
    found = Measured(proxy, s3.environment)
    project = dvc_project(setting, place)
    s3.dvc_remote(setting, project)
    written(project, THEIRS, "dvc.yaml")
    found.do("all", project, [dvc, "repro"], [dvc, "push"])
    found.do("nothing", project, [dvc, "repro"], [dvc, "push"])
    committed(project)
    found.do("clone", cloned(project, "dvc-1"), [dvc, "pull"], [dvc, "repro"], [dvc, "push"])
    return found


def main() -> None:
    setting = arguments()
    setting.dvc_s3()
    took: dict[str, list[float]] = defaultdict(list)
    asked: dict[str, tuple[int, int]] = {}
    for _ in range(setting.rounds):
        with (
            fresh(setting) as place,
            bucket(place, 0) as s3,
            Proxy(s3.endpoint, latency=MILLISECONDS / 1000) as proxy,
        ):
            s3.endpoint = proxy.url
            for who, measure in (("rote", ours), ("dvc", theirs)):
                found = measure(setting, place, s3, proxy)
                for work in found.took:
                    took[f"{who} {work}"].append(found.took[work])
                    asked[f"{who} {work}"] = max(asked.get(f"{who} {work}", (0, 0)), found.asked[work])

    def row(work: str, text: str, bar: str) -> Row:
        note = f"{asked[f'rote {work}'][0]} GET, {asked[f'rote {work}'][1]} PUT"
        peer = took.get(f"dvc {work}")
        if peer:
            note += f"; DVC {asked[f'dvc {work}'][0]} GET, {asked[f'dvc {work}'][1]} PUT"
        text = f"three stages, S3, +{MILLISECONDS} ms: {text}"
        return Row("P15", text, median(took[f"rote {work}"]), median(peer) if peer else None, None, bar, note)

    report(
        setting,
        [
            row("all", "everything changed", "≤ 25 PUT"),
            row("nothing", "nothing changed, same working tree", "≤ 10 GET, 0 PUT"),
            row("kept", "nothing changed, fresh clone, read cache kept", "≤ 10 GET, 0 PUT"),
            row("clone", "nothing changed, fresh clone and nothing else", "≤ 10 GET, 0 PUT"),
        ],
    )


if __name__ == "__main__":
    main()
