"""P1: snapshot 50,000 small files. P4: status, nothing changed. P5: one file more, snapshot again. Peer: DVC."""

from __future__ import annotations

from inputs import small_files
from limits import read_hash_write, walk
from rounds import Row, arguments, clock, dvc_project, fresh, median, report, rote_project, timed

NAMES = ("add", "status", "again")


def main() -> None:
    setting = arguments()
    ours: dict[str, list[float]] = {n: [] for n in NAMES}
    theirs: dict[str, list[float]] = {n: [] for n in NAMES}
    limit: dict[str, list[float]] = {n: [] for n in NAMES}
    setting.dvc()
    for _ in range(setting.rounds):
        with fresh(setting) as place:
            for took, project, tool in (
                (ours, rote_project(setting, place), setting.rote),
                (theirs, dvc_project(setting, place), setting.dvc()),
            ):
                small_files(project / "data", setting.files)
                took["add"].append(timed([tool, "add", "data"], project))
                timed([tool, "status"], project)
                took["status"].append(timed([tool, "status"], project))
                (project / "data" / "000" / "one-more.bin").write_bytes(b"one more\n" * 300)
                took["again"].append(timed([tool, "add", "data"], project))
            limit["add"].append(clock(lambda p=place: read_hash_write(p / "rote/data", p / "out")))
            limit["status"].append(clock(lambda p=place: walk(p / "rote/data")))
            limit["again"].append(limit["status"][-1])
    m = {n: (median(ours[n]), median(theirs[n]), median(limit[n])) for n in NAMES}
    report(
        setting,
        [
            Row("P1", f"snapshot {setting.files:,} small files", *m["add"], "≥ 10×"),
            Row("P4", "status, nothing changed", *m["status"], "≥ 10×"),
            Row("P5", "one file more, snapshot again", *m["again"], "≥ 10×"),
        ],
    )


if __name__ == "__main__":
    main()
