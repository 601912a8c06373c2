"""What it costs that rote sees what a Python stage reads: processor seconds of the demo's stages, with the notes and without.

Processor seconds and not seconds on the clock: both kinds of process run in turn, and a machine that has other work to do
slows both. `p_found.py --rounds N`.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rote.wiring.operating import HOOK

HERE = Path(__file__).parent
STAGES = {
    "python -c pass": "python -c pass",
    "prepare (NumPy, images)": "python src/prepare.py",
    "train (NumPy)": "python src/train.py",
    "export (ONNX)": "python src/export.py",
    "evaluate (ONNX Runtime)": "python src/evaluate.py",
}


def spent(command: str, folder: Path, environment: dict[str, str]) -> float:
    """Processor seconds of the command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(shlex.split(command), cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "digits"
        shutil.copytree(HERE.parent / "examples" / "digits", folder)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        plain = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        plain.pop("PYTHONPATH", None)
        subprocess.run(["python", "src/images.py", "1797"], cwd=folder, env=plain, check=True)
        (folder / "build").mkdir(exist_ok=True)
        noted = {
            **plain,
            "PYTHONPATH": HOOK,
            "ROTE_TRACE_ROOTS": str(folder),
            "ROTE_TRACE": str(folder / ".rote/trace"),
        }
        print("| stage | without | with | more |\n|---|---|---|---|")
        total = [0.0, 0.0]
        for name, command in STAGES.items():
            skip = "\x1f".join(str(folder / p) for p in ("data/digits", "build", "params.yaml"))
            env = {**noted, "ROTE_TRACE_SKIP": skip}
            spent(command, folder, plain), spent(command, folder, env)
            pairs = [(spent(command, folder, plain), spent(command, folder, env)) for _ in range(rounds)]
            one, two = (statistics.median(column) for column in zip(*pairs, strict=True))
            more = statistics.median(b - a for a, b in pairs)
            if not name.startswith("python"):
                total = [total[0] + one, total[1] + one + more]
            print(
                f"| {name} | {one * 1000:.1f} ms | {two * 1000:.1f} ms | {more * 1000:+.1f} ms |", flush=True
            )
        print(
            f"| all four | {total[0] * 1000:.0f} ms | {total[1] * 1000:.0f} ms | {100 * (total[1] / total[0] - 1):+.1f} % |"
        )


if __name__ == "__main__":
    main()
