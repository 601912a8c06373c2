"""Every figure, one script after the other, then the table of benchmarks/README.md from what they found."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from p01_p07_s3 import ROUNDS
from rounds import DVC, HEAD, HERE, Row, arguments

SCRIPTS = (
    "p09_start.py",
    "p08_stages.py",
    "p08_scale.py",
    "p01_p04_p05_small_files.py",
    "p02_p03_another_store.py",
    "p06_p07_large_file.py",
    "p12_query.py",
    "p13_million.py",
    "p14_update.py",
    "p15_ci.py",
    "p01_p07_s3.py",
)
START, END = "<!-- table -->", "<!-- end of table -->"


def machine() -> str:
    name = next((x.split(":", 1)[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines()
                 if x.startswith("model name")), platform.processor())  # fmt: skip
    cpus = len(list(Path("/sys/devices/system/cpu").glob("cpu[0-9]*")))
    python = platform.python_version()
    return f"{cpus} cores ({name}), {platform.system()} {platform.release()}, Python {python}, DVC {DVC}"


def main() -> None:
    setting = arguments()
    setting.results.unlink(missing_ok=True)
    for script in SCRIPTS:
        subprocess.run(
            [sys.executable, str(HERE / script), "--rounds", str(setting.rounds), "--cache", str(setting.cache),
             "--rote", setting.rote, "--results", str(setting.results), "--files", str(setting.files),
             "--mib", str(setting.mib), "--million", str(setting.million)],
            check=True,
        )  # fmt: skip
    rows = [Row(**row) for row in json.loads(setting.results.read_text()).values()]
    rows.sort(key=lambda row: (int(re.sub(r"\D", "", row.figure) or 99), row.work.startswith("S3"), row.work))
    text = (HERE / "README.md").read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    told = (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}; medians of {setting.rounds}, on S3 of at most {ROUNDS}, "
        "of one round for P13."
    )
    table = "\n".join([HEAD, *(row.line() for row in rows)])
    (HERE / "README.md").write_text(f"{before}{START}\n{told}\n\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
