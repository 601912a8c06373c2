"""P13: 1,000,000 files: snapshot, status, one file changed, one file restored. Beside each: a tenth of the files, and the
resident memory and the requests. One round: what counts here does not depend on how busy the machine is."""

from __future__ import annotations

import os
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

from limits import read_hash_write, walk
from rounds import ENVIRONMENT, Row, Setting, arguments, clock, fresh, report, rote_project

MIB = 1 << 20


def tiny_files(folder: Path, count: int) -> None:
    """`count` files of 0.1 to 2 KiB of noise, a thousand a folder, a hundred folders a folder."""
    rnd = random.Random(1)
    noise = rnd.randbytes(MIB)
    sub = folder
    for number in range(count):
        if number % 1000 == 0:
            sub = folder / f"{number // 100_000:02}" / f"{number // 1000 % 100:02}"
            sub.mkdir(parents=True)
        size = rnd.randint(100, 2000)
        start = rnd.randrange(MIB - size)
        target = os.open(sub / f"{number:07}.bin", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(target, b"%d\n" % number + noise[start : start + size])
        os.close(target)


def weighed(command: list[str], cwd: Path) -> tuple[float, int, str]:
    """Seconds of a command, the most memory it had, and what it said about its requests."""
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
        assert not process.returncode, f"{command}: {text}"
    counts = re.findall(r"(\d+) (get|head|create|replace|list)", text)
    asked = ", ".join(f"{count} {kind}" for count, kind in counts) or "no request"
    return took, used.ru_maxrss // 1024, asked


def one_round(setting: Setting, count: int) -> dict[str, tuple[float, str, float | None]]:
    """Work -> seconds, note, limit."""
    found: dict[str, tuple[float, str, float | None]] = {}
    with fresh(setting) as place:
        project = rote_project(setting, place)
        tiny_files(project / "data", count)
        changed = project / "data/00/00/0000003.bin"

        def run(work: str, *command: str, limit: float | None = None) -> None:
            took, memory, asked = weighed([setting.rote, "--stats", *command], project)
            found[work] = (took, f"{memory} MB; {asked}", limit)

        limit = clock(lambda: walk(project / "data"))
        run("snapshot", "add", "data", limit=clock(lambda: read_hash_write(project / "data", place / "out")))
        (place / "out").unlink()
        run("status", "status", limit=limit)
        changed.write_bytes(b"changed\n" * 100)
        run("one file changed: status", "status", limit=limit)
        run("one file changed: snapshot again", "add", "data", limit=limit)
        run("one file restored", "cat", "data/00/00/0000003.bin")
    return found


def main() -> None:
    setting = arguments()
    tenth = one_round(setting, setting.million // 10)
    whole = one_round(setting, setting.million)
    rows = []
    for work, (took, note, limit) in whole.items():
        bar = "≤ 500 MB" + ("; ≤ 6 GETs" if "restored" in work else "")
        less = f"a tenth of the files: {tenth[work][0]:.3g} s, {tenth[work][1].split(';')[0]}"
        rows.append(
            Row("P13", f"{setting.million:,} files: {work}", took, None, limit, bar, f"{note}; {less}")
        )
    report(setting, rows)


if __name__ == "__main__":
    main()
