"""P1 to P7 on a real S3 server (Ceph RGW on loopback), as it is and 20 ms away. Peers: DVC, and a plain parallel copy that
makes an object of each file. At most three rounds: one takes DVC many minutes. Each round has a server of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

from bucket import Bucket, bucket
from inputs import large_file, small_files
from p02_p03_another_store import cloned
from rounds import (
    Row,
    Setting,
    arguments,
    clock,
    dvc_project,
    fresh,
    median,
    quiet,
    report,
    rote_project,
    timed,
)

MILLISECONDS = (0, 20)
ROUNDS = 3
Times = dict[str, list[float]]


def small(setting: Setting, place: Path, s3: Bucket, ours: Times, theirs: Times, plain: Times) -> None:
    """Everything about many small files."""
    rote, dvc, env = setting.rote, setting.dvc_s3(), s3.environment
    project, peer = rote_project(setting, place, s3.url("one"), **env), dvc_project(setting, place)
    s3.dvc_remote(setting, peer)
    for folder in (project, peer):
        small_files(folder / "data", setting.files)
    subprocess.run(["sync"], check=True)

    ours["P1"].append(timed([rote, "add", "data"], project, **env))
    added = timed([dvc, "add", "data"], peer, **env)
    theirs["P2"].append(timed([dvc, "push"], peer, **env))
    theirs["P1"].append(added + theirs["P2"][-1])
    plain["P1"].append(clock(lambda: s3.put_all(project / "data")))
    plain["P2"].append(plain["P1"][-1])

    (place / "local").mkdir()
    local = rote_project(setting, place / "local")
    (project / "data").rename(local / "data")
    quiet([rote, "add", "data"], local)
    # What a store guarantees is tried once, when a project meets it first: DVC has nothing of the kind.
    quiet([rote, "--store", s3.url("two"), "store", "probe"], local, **env)
    ours["P2"].append(timed([rote, "copy", "--to", s3.url("two")], local, **env))
    (local / "data").rename(project / "data")

    timed([rote, "status"], project, **env)
    ours["P4"].append(timed([rote, "status"], project, **env))
    timed([dvc, "status"], peer, **env)
    theirs["P4"].append(timed([dvc, "status"], peer, **env))

    clone, peer_clone = cloned(project), cloned(peer)
    subprocess.run(["sync"], check=True)
    ours["P3"].append(timed([rote, "checkout"], clone, **env))
    theirs["P3"].append(timed([dvc, "pull"], peer_clone, **env))
    plain["P3"].append(clock(lambda: s3.get_all(place / "plain")))
    assert sum(1 for p in (clone / "data").rglob("*.bin")) == setting.files

    for folder in (project, peer):
        (folder / "data/000/one-more.bin").write_bytes(b"one more\n" * 300)
    ours["P5"].append(timed([rote, "add", "data"], project, **env))
    again = timed([dvc, "add", "data"], peer, **env)
    theirs["P5"].append(again + timed([dvc, "push"], peer, **env))


def large(setting: Setting, place: Path, s3: Bucket, ours: Times, theirs: Times, plain: Times) -> float:
    """Everything about one large file; returns what is stored in the end, as a share of the file."""
    rote, dvc, env = setting.rote, setting.dvc_s3(), s3.environment
    project, peer = rote_project(setting, place, s3.url("one"), **env), dvc_project(setting, place)
    s3.dvc_remote(setting, peer)
    size = setting.mib << 20
    (place / "alone").mkdir()
    large_file(project / "big.bin", size)
    for copy in (peer / "big.bin", place / "alone/big.bin"):
        shutil.copy(project / "big.bin", copy)
    subprocess.run(["sync"], check=True)

    ours["P6"].append(timed([rote, "add", "big.bin"], project, **env))
    theirs["P6"].append(timed([dvc, "add", "big.bin"], peer, **env) + timed([dvc, "push"], peer, **env))
    plain["P6"].append(clock(lambda: s3.put_all(place / "alone")))

    clone, peer_clone = cloned(project), cloned(peer)
    subprocess.run(["sync"], check=True)
    ours["back"].append(timed([rote, "checkout"], clone, **env))
    theirs["back"].append(timed([dvc, "pull"], peer_clone, **env))
    plain["back"].append(clock(lambda: s3.get_all(place / "plain")))

    for folder in (project, peer):
        large_file(folder / "big.bin", size, front=b"x" * 100)
    subprocess.run(["sync"], check=True)
    ours["P7"].append(timed([rote, "add", "big.bin"], project, **env))
    theirs["P7"].append(timed([dvc, "add", "big.bin"], peer, **env) + timed([dvc, "push"], peer, **env))
    return s3.stored("one") / size


def table(
    setting: Setting, ms: int, rounds: int, took: tuple[Times, Times, Times], share: float
) -> list[Row]:
    """The rows of one distance."""
    ours, theirs, plain = took
    count, size = f"{setting.files:,} small files", f"{setting.mib} MiB of noise"

    def row(key: str, work: str, bar: str, note: str = "", figure: str = "") -> Row:
        copy = median(plain[key]) if plain[key] else None
        work = f"S3, +{ms} ms: {work}"
        return Row(figure or key, work, median(ours[key]), median(theirs[key]), None, bar, note, copy)

    return [
        row("P1", f"snapshot {count}; peer: add and push", "≥ 10×", f"medians of {rounds}"),
        row("P2", f"{count} from a folder store to S3; peer: push", "≥ 10×"),
        row("P3", f"{count} into a fresh clone; peer: pull", "≥ 10×"),
        row("P4", "status, nothing changed", "≥ 10×"),
        row("P5", "one file more, snapshot again; peer: add and push", "≥ 10×"),
        row("P6", f"snapshot {size}; peer: add and push", "≥ 4×"),
        row("back", f"{size} into a fresh clone; peer: pull", "–", figure="P6"),
        row("P7", "the same with 100 bytes in front; peer: add and push", "≤ 1.02 × stored",
            f"{share:.4f} × stored in all; DVC stores 2 ×"),
    ]  # fmt: skip


def main() -> None:
    setting = arguments()
    setting.dvc_s3()
    rounds = min(setting.rounds, ROUNDS)
    for ms in MILLISECONDS:
        took = (defaultdict[str, list[float]](list), defaultdict[str, list[float]](list),
                defaultdict[str, list[float]](list))  # fmt: skip
        share = 0.0
        for _ in range(rounds):
            with fresh(setting) as place, bucket(place, ms) as s3:
                small(setting, place, s3, *took)
            with fresh(setting) as place, bucket(place, ms) as s3:
                share = large(setting, place, s3, *took)
        report(setting, table(setting, ms, rounds, took, share))


if __name__ == "__main__":
    main()
