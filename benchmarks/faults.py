"""Every fault of docs/reliability.md with its full figure: runs the heavy tests row by row, and what no test should take the time
for, and prints a table.

    .venv/bin/python benchmarks/faults.py              # all of it: some hours on two cores
    .venv/bin/python benchmarks/faults.py rot cuts     # some rows
    .venv/bin/python benchmarks/faults.py --list
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path[:0] = [
    str(HERE / "tests"),
    str(HERE / "tests/fault"),
    str(HERE / "tests/unit/snapshots"),
    str(HERE / "src"),
]

ROWS: dict[str, tuple[str, list[str]]] = {
    "requests": ("cut at every request of every command", ["tests/fault/test_commands_cut.py", "-k", "anywhere and not collection"]),
    "crashes": ("two or three crashes, then a collection", ["tests/fault/test_commands_cut.py", "-k", "times or collection"]),
    "collections": ("a save and a collection that both crash", ["tests/unit/test_gc.py"]),
    "kills": ("SIGKILL at a step that writes", ["tests/fault/test_commands_killed.py"]),
    "writers": ("64 writers, 1,000 commits each", ["tests/protocol/test_many_writers.py"]),
    "clocks": ("clocks ten years off, sleepers", ["tests/protocol/test_clocks.py"]),
    "rot": ("every byte of a megabyte flipped; torn at 1,000 offsets", ["tests/fault/test_bit_rot.py"]),
    "full": ("a full disk at every step", ["tests/fault/test_disk_full.py"]),
    "network": ("cuts, 503, lost replies, before two servers", ["tests/fault/test_network.py", "tests/fault/test_network_rgw.py"]),
    "seeds": ("gc and writers, 100,000 orders of the real code", ["tests/protocol/test_seeds.py"]),
    "model": ("gc and writers, the model with more companies", ["tests/protocol/test_model.py"]),
}  # fmt: skip


def heavy(args: list[str]) -> str:
    """Run heavy tests; what pytest says in the end."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "14400",
        "-m",
        "heavy",
        "-q",
        "-rN",
        *args,
    ]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    dots = sum(
        line.count(".") for line in done.stdout.splitlines() if re.fullmatch(r"[.FE]+( +\[ *\d+%\])?", line)
    )
    bad = sum(
        len(re.findall("[FE]", line))
        for line in done.stdout.splitlines()
        if re.fullmatch(r"[.FE]+( +\[ *\d+%\])?", line)
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:])
    return f"{dots} of {dots + bad} tests passed" if dots + bad else "nothing was run"


def cuts(size: int = 1 << 30, a_pack: int = 5) -> str:
    """1 GiB to a real S3 server, every pack cut off `a_pack` times at multiples of 64 KiB that go through all of a pack."""
    import rote
    from rote.ports import Silence
    from rote.services.store import packing
    from rote.testing.clock import StillClock
    from rote.wiring.parts import Wiring
    from rote.wiring.project import Project
    from servers import rgw
    from servers.fixtures import Bucket, made
    from servers.proxy import CutUpload, Proxy
    from servers.sharing import end

    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        (Path(folder) / "rgw").mkdir()
        told = rgw.start(Path(folder) / "rgw")
        try:
            bucket = made(told)
            os.environ.update(bucket.env)
            with Proxy(bucket.endpoint) as proxy:
                root = Path(folder) / "p"
                root.mkdir()
                os.chdir(root)
                rote.init(str(root), store=Bucket(proxy.url, bucket.key, bucket.secret).url())
                chance = random.Random(0)
                with (root / "big").open("wb") as out:
                    for _ in range(size >> 24):
                        out.write(chance.randbytes(1 << 24))
                tries: dict[str, int] = {}
                offsets = iter([(n * 37) % (packing.PACK >> 16) << 16 for n in range(100_000)])
                proxy.reset()

                def plan(asked: object) -> CutUpload | None:
                    if asked.method != "PUT" or asked.length < 1 << 19:  # type: ignore[attr-defined]
                        return None
                    met = tries[asked.path] = tries.get(asked.path, 0) + 1  # type: ignore[attr-defined]
                    return CutUpload(min(next(offsets), asked.length - 1)) if met <= a_pack else None  # type: ignore[attr-defined]

                proxy.plan = plan  # type: ignore[assignment]
                wiring = Wiring(str(root), store=None, progress=Silence(), cwd=str(root))
                wiring.clock = StillClock(seed=1)  # what waits, waits in no time
                Project(str(root), wiring=wiring).add("big")
                proxy.plan = None
                log = proxy.log
                again = log.uploaded - size
                cut = len(log.faults)
                assert again <= cut * packing.PACK
                assert Project(str(root)).store.check(read_data=True).ok
                return f"{cut} cuts in {len(tries)} packs: {again / cut / (1 << 20):.1f} MiB sent again a cut (a pack has 32)"
        finally:
            end(told["pids"])


def bombs() -> str:
    """What refusing costs a real command, in seconds and memory, of which starting Python is a part."""
    import msgspec
    from blake3 import blake3
    from test_bombs import BOMB, lying

    from rote.services.runs.livelog import MAGIC
    from rote.words.encoding import with_check, without_check
    from rote.words.snapshot import SnapshotRecord

    worst_time = worst_size = 0.0
    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        root = Path(folder) / "p"
        root.mkdir()
        rote = [sys.executable, "-m", "rote"]
        env = {**os.environ, "PYTHONPATH": str(HERE / "src")}

        def typed(*args: str, code: int = 0) -> None:
            nonlocal worst_time, worst_size
            began = time.perf_counter()
            process = subprocess.Popen(
                [*rote, *args], cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            assert process.stderr is not None
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == code, (args, said)
            assert b"Traceback" not in said, said
            if code:
                worst_time = max(worst_time, time.perf_counter() - began)
                worst_size = max(worst_size, usage.ru_maxrss * (1024 if sys.platform == "linux" else 1) / 1e6)

        typed("init")
        (root / "rote.yaml").write_text("stages:\n  a:\n    cmd: echo hello; echo x > out\n    outs: [out]\n")
        (root / "data").mkdir()
        (root / "data/a").write_bytes(os.urandom(100_000))
        typed("add", "data")
        typed("run")
        store = root / ".rote/store"
        live = next(store.glob("runs/*/live/*"))
        record = next(p for p in store.glob("snapshots/*/*/*") if b'"files":1' in p.read_bytes())
        sound = {path: path.read_bytes() for path in (live, record)}
        for local in (root / ".rote/runs").rglob("*.log"):
            local.unlink()

        def plant(path: Path, body: bytes) -> None:
            path.unlink()
            path.write_bytes(body)

        for frame in (BOMB, lying(None), lying(100)):
            plant(live, MAGIC + blake3(frame).digest() + frame)
            typed("logs", "last", code=1)
            typed("store", "check", "--read-data", code=1)
        plant(live, sound[live])
        for field in ("length", "stored", "offset", "size"):
            for path in store.glob("snapshots/*/*/*"):
                before = path.read_bytes()
                found = without_check(before, SnapshotRecord, "")
                node = msgspec.structs.replace(found.nodes[0], **{field: 10 << 30})
                plant(path, with_check(msgspec.structs.replace(found, nodes=[node])))
                typed("store", "check", "--read-data", code=1) if field != "offset" else None
                plant(path, before)
    return f"worst: {worst_time:.2f} s and {worst_size:.0f} MB for a whole command"


MEASURED: dict[str, tuple[str, Callable[[], str]]] = {
    "cuts": ("1 GiB, cut again and again", cuts),
    "bombs": ("bombs through real commands", bombs),
}


def _fast() -> str | None:
    """A folder in memory, where there is one: what is tried here writes a lot."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    names = [*ROWS, *MEASURED]
    if given.list:
        print("\n".join(f"{name:12} {(ROWS | MEASURED)[name][0]}" for name in names))  # type: ignore[operator]
        return
    print("| row | what | found | seconds |\n|---|---|---|---|")
    for name in given.rows or names:
        began = time.perf_counter()
        if name in ROWS:
            what, args = ROWS[name]
            found = heavy(args)
        else:
            what, work = MEASURED[name]
            found = work()
        print(f"| {name} | {what} | {found} | {time.perf_counter() - began:.0f} |", flush=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nthe largest process took {peak:.0f} MB")


if __name__ == "__main__":
    main()
