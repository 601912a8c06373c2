"""Many stages: 1,000 and 10,000, in chains of 100. Cold, with nothing to do, planned, and with one change deep in the
graph; memory; what a stage costs beyond its command. Peers at 1,000: DVC, Snakemake, redun."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from rounds import (
    ENVIRONMENT,
    Row,
    Setting,
    arguments,
    clock,
    dvc_project,
    fresh,
    report,
    repository,
    rote_project,
)

SNAKEMAKE = "9.13.4"
REDUN = "0.32.0"
CHAIN = 100


def before(n: int) -> str:
    return "in.txt" if n % CHAIN == 0 else f"o/{n - 1}.txt"


def word(n: int, changed: int | None) -> str:
    return f"{n}{'x' if n == changed else ''}"


def rote_file(count: int, changed: int | None = None, trace: str = "    trace: off\n") -> str:
    return "stages:\n" + "".join(
        f"  s{n:05}:\n    cmd: cat {before(n)} > o/{n}.txt; echo {word(n, changed)} >> o/{n}.txt\n"
        f"    deps: [{before(n)}]\n    outs: [o/{n}.txt]\n{trace}"
        for n in range(count)
    )


def snake_file(count: int, changed: int | None = None) -> str:
    return f"rule all:\n    input: [f'o/{{n}}.txt' for n in range({count})]\n" + "".join(
        f"rule s{n:05}:\n    input: '{before(n)}'\n    output: 'o/{n}.txt'\n"
        f"    shell: 'cat {before(n)} > o/{n}.txt; echo {word(n, changed)} >> o/{n}.txt'\n"
        for n in range(count)
    )


def redun_file(count: int, changed: int | None = None) -> str:
    return (
        "import subprocess\n"
        "from redun import File, task\n"
        "redun_namespace = 'scale'\n"
        "@task()\n"
        "def one(n: int, word: str, before: File) -> File:\n"
        "    line = f'cat {before.path} > o/{n}.txt; echo {word} >> o/{n}.txt'\n"
        "    subprocess.run(['/bin/sh', '-c', line], check=True)\n"
        "    return File(f'o/{n}.txt')\n"
        "@task()\n"
        "def main():\n"
        "    made = []\n"
        f"    for n in range({count}):\n"
        f"        before = File('in.txt') if n % {CHAIN} == 0 else made[-1]\n"
        f"        made.append(one(n, '{{0}}x'.format(n) if n == {changed} else str(n), before))\n"
        "    return made\n"
    )


def project(folder: Path, name: str, text: str) -> Path:
    (folder / "in.txt").write_text("in\n")
    (folder / "o").mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def measured(command: list[str], cwd: Path) -> tuple[float, float]:
    """Seconds, and the most MB of memory that its largest process had."""
    began = time.perf_counter()
    with open(os.devnull, "wb") as null:
        process = subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=null, stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed in {cwd}:\n{said.decode(errors='replace')[-3000:]}")
    return time.perf_counter() - began, used.ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)


def spawn(count: int) -> None:
    for _ in range(count):
        subprocess.run(["/bin/sh", "-c", "true"], check=True)


def rounds_of(
    folder: Path, name: str, texts: tuple[str, str], run: list[str]
) -> dict[str, tuple[float, float]]:
    """Cold; nothing to do; one change deep in the graph, after which 50 stages follow. Each is told when it is there."""
    found = {}
    project(folder, name, texts[0])

    def take(work: str) -> None:
        found[work] = measured(run, folder)
        print(
            f"{run[0]}: {work}: {found[work][0]:.3g} s, {found[work][1]:.0f} MB", file=sys.stderr, flush=True
        )

    take("cold")
    measured(run, folder)
    take("nothing to do")
    (folder / name).write_text(texts[1])
    take("one change")
    return found


def peers(
    setting: Setting, place: Path, count: int, changed: int
) -> dict[str, dict[str, tuple[float, float]]]:
    snake = setting.tool(f"snakemake-{SNAKEMAKE}", f"snakemake=={SNAKEMAKE}") + "/snakemake"
    redun = setting.tool(f"redun-{REDUN}", f"redun=={REDUN}") + "/redun"
    dvc = (rote_file(count, trace=""), rote_file(count, changed, trace=""))
    return {
        "Snakemake": rounds_of(
            repository(place, "snake"), "Snakefile", (snake_file(count), snake_file(count, changed)),
            [snake, "-j", "2", "-q", "all", "--nolock"],
        ),
        "redun": rounds_of(
            repository(place, "redun"), "flow.py", (redun_file(count), redun_file(count, changed)),
            [redun, "run", "flow.py", "main"],
        ),
        "DVC": rounds_of(dvc_project(setting, place), "dvc.yaml", dvc, [setting.dvc(), "repro", "-q"]),
    }  # fmt: skip


def main() -> None:
    setting = arguments()
    for count in (10_000, 1000):
        rows = []
        with fresh(setting) as place:
            changed = count - CHAIN // 2
            ours = rote_project(setting, place)
            texts = (rote_file(count), rote_file(count, changed))
            found = rounds_of(ours, "rote.yaml", texts, [setting.rote, "-q", "run", "-j", "2"])
            found["plan"] = measured([setting.rote, "plan"], ours)
            limit = clock(lambda: spawn(count))  # noqa: B023  # called at once
            theirs = peers(setting, place, count, changed) if count == 1000 else {}
            for work, (seconds, memory) in found.items():
                note = f"{memory:.0f} MB"
                for name, figures in theirs.items():
                    if work in figures:
                        note += f"; {name} {figures[work][0]:.3g} s, {figures[work][1]:.0f} MB"
                if work == "cold":
                    note += f"; {(seconds - limit) / count * 1000:.1f} ms a stage beyond its process"
                peer = theirs["DVC"].get(work, (None,))[0] if theirs else None
                rows.append(
                    Row(
                        "P8",
                        f"{count:,} stages, {work}",
                        seconds,
                        peer,
                        limit if work == "cold" else None,
                        "",
                        note,
                    )
                )
        report(setting, rows)


if __name__ == "__main__":
    main()
