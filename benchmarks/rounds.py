"""What the benchmarks share: fresh places, timed commands, medians, and the row of a figure."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
DVC = "3.67.1"
DVC_S3 = "3.3.0"
HF_XET = "1.8.0"
TORCH = "2.13.0"


@dataclass
class Row:
    """A line of the table: seconds are medians; `peer` and `limit` were taken in the same rounds."""

    figure: str
    work: str
    rote: float
    peer: float | None
    limit: float | None
    bar: str
    note: str = ""
    plain: float | None = None
    """A plain parallel copy of the same files, one object each."""

    @property
    def ratio(self) -> float | None:
        return self.peer / self.rote if self.peer else None

    def line(self) -> str:
        def s(x: float | None) -> str:
            return "–" if x is None else f"{x:.3g} s"

        ratio = "–" if self.ratio is None else f"{self.ratio:.1f}×"
        cells = [
            self.figure,
            self.work,
            s(self.rote),
            s(self.peer),
            ratio,
            s(self.plain),
            s(self.limit),
            self.bar,
        ]
        return f"| {' | '.join(cells)} | {self.note} |"


HEAD = "| # | work | rote | peer | ratio | plain copy | limit | bar | note |\n|---|---|---|---|---|---|---|---|---|"


@dataclass
class Setting:
    rounds: int
    cache: Path
    rote: str
    results: Path
    files: int = 50_000
    mib: int = 1024
    million: int = 1_000_000

    def dvc(self) -> str:
        """The peer's command, installed once in a virtual environment of its own."""
        return self.tool(f"dvc-{DVC}", f"dvc=={DVC}") + "/dvc"

    def dvc_s3(self) -> str:
        """The same peer with what it needs to speak S3."""
        return self.tool(f"dvc-s3-{DVC}", f"dvc=={DVC}", f"dvc-s3=={DVC_S3}") + "/dvc"

    def hf_xet(self) -> str:
        return self.tool(f"hf-xet-{HF_XET}", f"hf-xet=={HF_XET}") + "/python"

    def torch(self) -> str:
        return (
            self.tool(f"torch-{TORCH}", f"torch=={TORCH}", "safetensors==0.8.0", "scikit-learn==1.9.1")
            + "/python"
        )

    def tool(self, name: str, *requirements: str) -> str:
        """The folder of programs of a virtual environment with these, made once."""
        venv = self.cache / name
        if not (venv / ".done").exists():
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
            subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", *requirements], check=True)
            (venv / ".done").touch()
        return str(venv / "bin")


def arguments() -> Setting:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "rote-benchmarks")
    parser.add_argument(
        "--rote", default=str(Path(sys.executable).parent / "rote"), help="the command to measure"
    )
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--files", type=int, default=50_000, help="small files, for P1 to P5")
    parser.add_argument("--mib", type=int, default=1024, help="the large file, for P6 and P7")
    parser.add_argument("--million", type=int, default=1_000_000, help="files for P13")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    return Setting(
        given.rounds, given.cache.absolute(), given.rote, given.results.absolute(),
        given.files, given.mib, given.million,
    )  # fmt: skip


@contextmanager
def fresh(setting: Setting) -> Iterator[Path]:
    """A fresh directory on the disk, with everything older written out first."""
    place = setting.cache / f"round-{os.getpid()}-{time.monotonic_ns()}"
    place.mkdir()
    os.sync()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k not in ("ROTE_STORE", "PYTHONDONTWRITEBYTECODE")},
    "DVC_NO_ANALYTICS": "1",
    **{
        f"GIT_{r}_{w}": v
        for r in ("AUTHOR", "COMMITTER")
        for w, v in (("NAME", "b"), ("EMAIL", "b@example.org"))
    },
}


def timed(command: list[str], cwd: Path, **environment: str) -> float:
    """Seconds of a command from start to end. Anything but exit code 0 ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT | environment, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed in {cwd}:\n{done.stdout}{done.stderr}")
    return took


def quiet(command: list[str], cwd: Path, **environment: str) -> None:
    timed(command, cwd, **environment)


def repository(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir()
    quiet(["git", "init", "-q"], folder)
    return folder


def rote_project(setting: Setting, place: Path, store: str | None = None, **environment: str) -> Path:
    folder = repository(place, "rote")
    quiet([setting.rote, "init", *(["--store", store] if store else [])], folder, **environment)
    return folder


def dvc_project(setting: Setting, place: Path, name: str = "dvc") -> Path:
    folder = repository(place, name)
    quiet([setting.dvc(), "init", "-q"], folder)
    return folder


def clock(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(values: list[float]) -> float:
    return statistics.median(values)


def report(setting: Setting, rows: list[Row]) -> None:
    """Print the rows and keep them in the results file, by figure and work."""
    kept = json.loads(setting.results.read_text()) if setting.results.exists() else {}
    print(HEAD)
    for row in rows:
        print(row.line(), flush=True)
        kept[f"{row.figure} {row.work}"] = asdict(row)
    setting.results.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
