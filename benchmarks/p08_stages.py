"""P8: 100 trivial stages, cold and with nothing to do; 1,000 with nothing to do. Peer: DVC."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rounds import Row, arguments, clock, dvc_project, fresh, median, report, rote_project, timed


def pipeline(count: int) -> str:
    stages = "".join(
        f"  s{n:04}:\n    cmd: echo {n} > out{n}.txt\n    deps: [in.txt]\n    outs: [out{n}.txt]\n"
        for n in range(count)
    )
    return "stages:\n" + stages


def spawn(count: int) -> None:
    for _ in range(count):
        subprocess.run(["/bin/sh", "-c", "true"], check=True)


def project(folder: Path, name: str, count: int) -> Path:
    (folder / "in.txt").write_text("in\n")
    (folder / name).write_text(pipeline(count))
    return folder


def main() -> None:
    setting = arguments()
    cold, nothing, thousand, peer_cold, peer_nothing, limit, start = [], [], [], [], [], [], []
    setting.dvc()
    for number in range(setting.rounds):
        with fresh(setting) as place:
            ours = project(rote_project(setting, place), "rote.yaml", 100)
            theirs = project(dvc_project(setting, place), "dvc.yaml", 100)
            cold.append(timed([setting.rote, "run"], ours))
            timed([setting.rote, "run"], ours)
            nothing.append(timed([setting.rote, "run"], ours))
            peer_cold.append(timed([setting.dvc(), "repro"], theirs))
            timed([setting.dvc(), "repro"], theirs)
            peer_nothing.append(timed([setting.dvc(), "repro"], theirs))
            limit.append(clock(lambda: spawn(100)))
            start.append(timed([str(Path(setting.rote).parent / "python"), "-c", "pass"], place))
        if number < 3:
            with fresh(setting) as place:
                ours = project(rote_project(setting, place), "rote.yaml", 1000)
                timed([setting.rote, "run", "-j", "2"], ours)
                timed([setting.rote, "run"], ours)
                thousand.append(timed([setting.rote, "run"], ours))
    report(
        setting,
        [
            Row("P8", "100 stages, cold", median(cold), median(peer_cold), median(limit), "≥ 8×"),
            Row(
                "P8",
                "100 stages, nothing to do",
                median(nothing),
                median(peer_nothing),
                median(start),
                "≥ 10×",
            ),
            Row("P8", "1,000 stages, nothing to do", median(thousand), None, median(start), "< 1 s"),
        ],
    )


if __name__ == "__main__":
    main()
