"""Trains the weights that `tensors.py` measures: python train_weights.py FOLDER, in an environment with torch, safetensors, scikit-learn.

A network that learns to name the next letter of a text made from a grammar of its own: nothing is downloaded. Everything comes from seeds.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import joblib
import numpy
import torch
from safetensors.torch import save_file
from sklearn.neural_network import MLPClassifier
from torch import nn

CONTEXT, LETTERS, WIDTH, HIDDEN, LAYERS, BATCH = 24, 64, 32, 512, 5, 128


def text(seed: int, length: int = 200_000) -> torch.Tensor:
    """Letters in words of a made-up language; another seed is another language."""
    rnd = random.Random(seed)
    words = [
        "".join(rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rnd.randint(2, 9)))
        for _ in range(500)
    ]
    said = " ".join(words[min(int(rnd.expovariate(0.02)), 499)] for _ in range(length // 6))
    return torch.tensor([ord(c) % LETTERS for c in said])


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.Embedding(LETTERS, WIDTH), nn.Flatten()]
    size = CONTEXT * WIDTH
    for _ in range(LAYERS):
        parts += [nn.Linear(size, HIDDEN), nn.LayerNorm(HIDDEN), nn.GELU()]
        size = HIDDEN
    return nn.Sequential(*parts, nn.Linear(size, LETTERS))


def train(model: nn.Sequential, said: torch.Tensor, steps: int, seed: int) -> float:
    torch.manual_seed(seed)
    kept = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(kept, lr=1e-3)
    loss = torch.tensor(0.0)
    for _ in range(steps):
        at = torch.randint(0, len(said) - CONTEXT - 1, (BATCH, 1))
        windows = said[at + torch.arange(CONTEXT + 1)]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(windows[:, :-1]).float(), windows[:, -1])
        loss.backward()
        optimizer.step()
    return float(loss)


def save(model: nn.Sequential, path: Path, step: str, dtype: torch.dtype = torch.float32) -> None:
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, str(path), metadata={"step": step})


def dense(folder: Path, steps: int) -> None:
    """Three checkpoints, and two of a fine-tune in which all but the last block and the head are frozen; each is saved in
    fp32, as it was trained, and in bf16."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    for kind in kinds:
        (folder / kind).mkdir()
    said, model = text(1), network(1)
    for checkpoint in range(3):
        loss = train(model, said, steps, seed=checkpoint)
        print("checkpoint", checkpoint, f"loss {loss:.3f}", flush=True)
        for kind, dtype in kinds.items():
            save(model, folder / kind / f"{checkpoint}.safetensors", str(checkpoint), dtype)
    torch.save(model.state_dict(), folder / "fp32.pt")
    for part in list(model)[:-4]:
        part.requires_grad_(False)
    for checkpoint in range(2):
        loss = train(model, text(2), steps, seed=10 + checkpoint)
        print("fine-tune", checkpoint, f"loss {loss:.3f}", flush=True)
        for kind, dtype in kinds.items():
            save(model, folder / kind / f"tuned-{checkpoint}.safetensors", f"tuned {checkpoint}", dtype)


def scikit_learn(folder: Path) -> None:
    """A scikit-learn network, in fp64 and in fp32, as joblib and as npy."""
    rng = numpy.random.default_rng(1)
    rows = rng.normal(size=(2000, 64))
    kind = (rows[:, :8].sum(axis=1) * rows[:, 8] > 0).astype(int)
    for dtype in ("float64", "float32"):
        net = MLPClassifier((512, 256), max_iter=5, random_state=1).fit(rows.astype(dtype), kind)
        joblib.dump(net, folder / f"mlp-{dtype}.joblib")
        numpy.save(folder / f"mlp-{dtype}.npy", net.coefs_[1])


def main() -> None:
    folder = Path(sys.argv[1])
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 120
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    scikit_learn(folder)
    dense(folder, steps)


if __name__ == "__main__":
    main()
