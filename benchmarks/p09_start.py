"""P9: `rote --version`, and `rote status` in a small project. Peer: DVC."""

from __future__ import annotations

from pathlib import Path

from rounds import Row, arguments, dvc_project, fresh, median, report, rote_project, timed


def main() -> None:
    setting = arguments()
    version, status, peer_version, peer_status, start = [], [], [], [], []
    setting.dvc()
    with fresh(setting) as place:
        both = [(rote_project(setting, place), setting.rote), (dvc_project(setting, place), setting.dvc())]
        for project, tool in both:
            (project / "data").mkdir()
            for number in range(10):
                (project / "data" / f"{number}.txt").write_text(f"{number}\n")
            timed([tool, "add", "data"], project)
            timed([tool, "status"], project)
        for _ in range(max(9, setting.rounds)):
            version.append(timed([setting.rote, "--version"], place))
            peer_version.append(timed([setting.dvc(), "--version"], place))
            status.append(timed([setting.rote, "status"], both[0][0]))
            peer_status.append(timed([setting.dvc(), "status"], both[1][0]))
            start.append(timed([str(Path(setting.rote).parent / "python"), "-c", "pass"], place))
    report(
        setting,
        [
            Row("P9", "rote --version", median(version), median(peer_version), median(start), "≤ 0.1 s"),
            Row(
                "P9",
                "rote status, small project",
                median(status),
                median(peer_status),
                median(start),
                "≤ 0.2 s",
            ),
        ],
    )


if __name__ == "__main__":
    main()
