"""P6: snapshot 1 GiB of noise. P7: the same with 100 bytes in front: what is stored. Peers: DVC, hf-xet."""

from __future__ import annotations

import subprocess
from pathlib import Path

from inputs import large_file
from limits import copy_hashed
from rounds import Row, Setting, arguments, clock, dvc_project, fresh, median, report, rote_project, timed

UPLOAD = (
    "import sys, hf_xet; hf_xet.upload_files([sys.argv[1]], 'local://' + sys.argv[2], None, None, None, None)"
)


def stored(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def xet(setting: Setting, path: Path, place: Path) -> float:
    (place / "xet").mkdir(exist_ok=True)
    return timed([setting.hf_xet(), "-c", UPLOAD, str(path), str(place / "xet")], place)


def main() -> None:
    setting = arguments()
    size = setting.mib << 20
    ours, again, theirs, rival, limit, total = [], [], [], [], [], 0
    setting.dvc()
    setting.hf_xet()
    for _ in range(setting.rounds):
        with fresh(setting) as place:
            project, peer = rote_project(setting, place), dvc_project(setting, place)
            large_file(project / "big.bin", size)
            subprocess.run(["cp", str(project / "big.bin"), str(peer / "big.bin")], check=True)
            subprocess.run(["cp", str(project / "big.bin"), str(place / "big.bin")], check=True)
            subprocess.run(["sync"], check=True)
            ours.append(timed([setting.rote, "add", "big.bin"], project))
            subprocess.run(["sync"], check=True)
            theirs.append(timed([setting.dvc(), "add", "big.bin"], peer))
            subprocess.run(["sync"], check=True)
            rival.append(xet(setting, place / "big.bin", place))
            subprocess.run(["sync"], check=True)
            limit.append(clock(lambda p=place: copy_hashed(p / "big.bin", p / "copy")))
            large_file(project / "big.bin", size, front=b"x" * 100)
            subprocess.run(["sync"], check=True)
            again.append(timed([setting.rote, "add", "big.bin"], project))
            total = stored(project / ".rote/store")
    noise = f"{setting.mib} MiB of noise"
    report(
        setting,
        [
            Row("P6", f"snapshot {noise}", median(ours), median(theirs), median(limit), "≥ 4×"),
            Row("P7", f"{noise}, first pass against hf-xet", median(ours), median(rival), median(limit), "≥ 3×"),
            Row("P7", "the same with 100 bytes in front", median(again), None, None, "≤ 1.02 × stored",
                f"{total / size:.4f} × stored in all; DVC stores 2 ×"),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
