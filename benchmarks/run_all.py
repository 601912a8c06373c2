"""Every figure, one script after the other, then the table of benchmarks/README.md from what they found."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rounds import DVC, HEAD, HERE, Row, arguments

SCRIPTS = ("p09_start.py", "p08_stages.py", "p01_p04_p05_small_files.py", "p06_p07_large_file.py")
START, END = "<!-- table -->", "<!-- end of table -->"


def machine() -> str:
    name = next((x.split(":", 1)[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines()
                 if x.startswith("model name")), platform.processor())  # fmt: skip
    cpus = len(list(Path("/sys/devices/system/cpu").glob("cpu[0-9]*")))
    python = platform.python_version()
    return f"{cpus} cores ({name}), {platform.system()} {platform.release()}, Python {python}, DVC {DVC}"


def main() -> None:
    setting = arguments()
    for script in SCRIPTS:
        subprocess.run(
            [sys.executable, str(HERE / script), "--rounds", str(setting.rounds), "--cache", str(setting.cache),
             "--rote", setting.rote, "--results", str(setting.results)],
            check=True,
        )  # fmt: skip
    rows = [Row(**row) for _, row in sorted(json.loads(setting.results.read_text()).items())]
    text = (HERE / "README.md").read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    told = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}; medians of {setting.rounds}."
    table = "\n".join([HEAD, *(row.line() for row in rows)])
    (HERE / "README.md").write_text(f"{before}{START}\n{told}\n\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
