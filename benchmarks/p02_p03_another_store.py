"""P2: what lies in one store, to another one. P3: back into an empty folder, of a fresh clone and beside a full cache.
Both stores are folders. Peer: DVC `push`, `pull` and `checkout`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from inputs import small_files
from limits import copy_hashed, create_files
from rounds import (
    ENVIRONMENT,
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

NAMES = ("push", "pull", "checkout")


def cloned(project: Path) -> Path:
    """A fresh clone of a project with everything of it in git."""
    quiet(["git", "add", "-A"], project)
    quiet(["git", "commit", "-q", "-m", "data"], project)
    clone = project.parent / f"{project.name}-clone"
    quiet(["git", "clone", "-q", str(project), str(clone)], project.parent)
    return clone


def puts(setting: Setting, project: Path, target: Path) -> int:
    """How many requests that write a copy needs."""
    said = subprocess.run(
        [setting.rote, "--stats", "copy", "--to", str(target)],
        cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    mine = next(line for line in said.splitlines() if str(target) in line)
    return sum(int(n) for n in re.findall(r"(\d+) (?:create|replace)", mine))


def main() -> None:
    setting = arguments()
    ours: dict[str, list[float]] = {n: [] for n in NAMES}
    theirs: dict[str, list[float]] = {n: [] for n in NAMES}
    limit: dict[str, list[float]] = {n: [] for n in NAMES}
    written = 0
    setting.dvc()
    for _ in range(setting.rounds):
        with fresh(setting) as place:
            project, peer = rote_project(setting, place), dvc_project(setting, place)
            for folder in (project, peer):
                small_files(folder / "data", setting.files)
            quiet([setting.rote, "add", "data"], project)
            quiet([setting.dvc(), "add", "data"], peer)
            quiet([setting.dvc(), "remote", "add", "-d", "other", str(place / "dvc-store")], peer)
            subprocess.run(["sync"], check=True)

            store = place / "rote-store"
            ours["push"].append(timed([setting.rote, "copy", "--to", str(store)], project))
            theirs["push"].append(timed([setting.dvc(), "push"], peer))
            written = puts(setting, project, place / "third")
            packs = sorted((project / ".rote/store/packs").rglob("*"))
            whole = sum(clock(lambda p=p: copy_hashed(p, place / "out")) for p in packs if p.is_file())
            limit["push"].append(whole)

            clone, peer_clone = cloned(project), cloned(peer)
            subprocess.run(["sync"], check=True)
            ours["pull"].append(timed([setting.rote, "--store", str(store), "checkout"], clone))
            theirs["pull"].append(timed([setting.dvc(), "pull"], peer_clone))
            assert sum(1 for p in (clone / "data").rglob("*.bin")) == setting.files
            for folder in (project, peer):
                shutil.rmtree(folder / "data")
            subprocess.run(["sync"], check=True)
            ours["checkout"].append(timed([setting.rote, "checkout"], project))
            theirs["checkout"].append(timed([setting.dvc(), "checkout"], peer))
            limit["checkout"].append(create_files(project / "data", place / "made"))
            limit["pull"].append(limit["checkout"][-1])
    m = {n: (median(ours[n]), median(theirs[n]), median(limit[n])) for n in NAMES}
    count = f"{setting.files:,} small files"
    report(
        setting,
        [
            Row("P2", f"{count} to another store, folder", *m["push"], "≥ 10×; ≤ 20 PUT", f"{written} PUT"),
            Row("P3", f"{count} from it into a fresh clone; peer: pull", *m["pull"], "≥ 10×; ≤ 1.5 × limit"),
            Row("P3", f"{count} again beside a full store; peer: checkout", *m["checkout"], "≥ 4×; ≤ 1.5 × limit"),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
