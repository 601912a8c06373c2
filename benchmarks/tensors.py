"""What model files take: weights trained here, as whole files, as plain zstd, as chunks with zstd, and as rote stores them.

    python benchmarks/tensors.py [--rote COMMAND] [--cache DIR]

Trains once (`train_weights.py`, in an environment of its own), keeps the weights in the cache, and writes the table of benchmarks/README.md.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import zstandard
from blake3 import blake3

from rote.laws.data.chunking import Cutter
from rounds import HERE, TORCH, Setting, arguments, fresh, rote_project, timed

START, END = "<!-- tensors -->", "<!-- end of tensors -->"
HEAD = "| weights | files | bytes | whole files | zstd -1 | zstd -19 | chunks, zstd -1 | **rote** |\n|---|---|---|---|---|---|---|---|"
SIZES = (65536, 262144, 1048576)


@dataclass
class Group:
    """Files that are saved one after the other at the same path."""

    name: str
    files: list[Path]


def groups(folder: Path) -> list[Group]:
    found = []
    for kind in ("fp32", "bf16"):
        saved = [folder / kind / f"{i}.safetensors" for i in range(3)]
        tuned = [folder / kind / f"tuned-{i}.safetensors" for i in range(2)]
        found += [
            Group(f"dense net, {kind}", saved[-1:]),
            Group(f"three checkpoints, {kind}", saved),
            Group(f"the last and two of a fine-tune with frozen layers, {kind}", [saved[-1], *tuned]),
        ]
    found.append(Group("the dense net as `torch.save` has it, fp32", [folder / "fp32.pt"]))
    for dtype in ("float32", "float64"):
        found.append(
            Group(f"scikit-learn MLP with its optimiser, joblib, {dtype}", [folder / f"mlp-{dtype}.joblib"])
        )
        found.append(Group(f"one layer of it, npy, {dtype}", [folder / f"mlp-{dtype}.npy"]))
    return found


def trained(setting: Setting) -> Path:
    folder = setting.cache / f"weights-torch-{TORCH}"
    if not (folder / ".done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        subprocess.run([setting.torch(), HERE / "train_weights.py", folder], check=True)
        (folder / ".done").touch()
    return folder


def compressed(files: list[Path], level: int) -> int:
    return sum(len(zstandard.ZstdCompressor(level=level).compress(path.read_bytes())) for path in files)


def chunked(files: list[Path]) -> int:
    """Content-defined chunks, each once, each as zstd makes it or as it is: rote without anything for tensors."""
    cutter, seen, total = Cutter(*SIZES), set(), 0
    for path in files:
        data = memoryview(path.read_bytes())
        at = 0
        for length in cutter.cut(data, True):
            piece = data[at : at + length]
            at += length
            digest = blake3(piece).digest()
            if digest not in seen:
                seen.add(digest)
                total += min(length, len(zstandard.ZstdCompressor(level=1).compress(piece)))
    return total


def stored(setting: Setting, group: Group) -> int:
    with fresh(setting) as place:
        project = rote_project(setting, place)
        (project / "model").mkdir()
        for path in group.files:
            shutil.copyfile(path, project / "model" / f"weights{path.suffix}")
            timed([setting.rote, "add", "model"], project)
        return sum(p.stat().st_size for p in (project / ".rote/store/packs").rglob("*") if p.is_file())


def main() -> None:
    setting = arguments()
    lines = []
    for group in groups(trained(setting)):
        whole = sum(path.stat().st_size for path in group.files)
        found = [whole, compressed(group.files, 1), compressed(group.files, 19), chunked(group.files)]
        told = [f"{size / whole:.1%}" for size in (*found, stored(setting, group))]
        lines.append(
            f"| {group.name} | {len(group.files)} | {whole:,} | {' | '.join(told[:-1])} | **{told[-1]}** |"
        )
        print(lines[-1], flush=True)
    path = HERE / "README.md"
    before, rest = path.read_text().split(START)
    path.write_text(f"{before}{START}\n{HEAD}\n" + "\n".join(lines) + f"\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
