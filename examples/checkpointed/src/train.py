"""Train a small network in PyTorch on real handwritten digits, so that a cut at any moment changes nothing.

What changes from step to step is in the checkpoint: the weights, the state of the optimizer, the random generators (of
PyTorch, for dropout; our own, for the order of the data), and the place in the epoch. On TERM one more is written.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

import torch
import yaml
from sklearn.datasets import load_digits
from torch import nn

import rote

params = yaml.safe_load(Path("params.yaml").read_text())["train"]
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.manual_seed(params["seed"])
chance = random.Random(params["seed"])

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)
training, testing = slice(0, 1400), slice(1400, None)

model = nn.Sequential(
    nn.Linear(64, params["hidden"]), nn.ReLU(), nn.Dropout(0.2), nn.Linear(params["hidden"], 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=params["rate"] / 10)

# Without rote around it, the script keeps its checkpoints in a folder of its own.
folder = Path(os.environ.get("ROTE_CHECKPOINTS", "checkpoints"))
folder.mkdir(exist_ok=True)
newest = folder / "state.pt"
step, epoch, place, order = 0, 0, 0, []
if newest.exists():
    state = torch.load(newest, weights_only=False)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch"])
    chance.setstate(state["chance"])
    step, epoch, place, order = (state[name] for name in ("step", "epoch", "place", "order"))
print(f"begins at step {step}", flush=True)

told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))


def save() -> None:
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "torch": torch.get_rng_state(),
        "chance": chance.getstate(), "step": step, "epoch": epoch, "place": place, "order": order,
    }  # fmt: skip
    torch.save(state, newest)
    rote.checkpoint(newest, step)


while epoch < params["epochs"]:
    if not order:
        order = list(range(1400))
        chance.shuffle(order)
    while place < len(order):
        batch = order[place : place + params["batch"]]
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        place += params["batch"]
        step += 1
        if step % params["checkpoint"] == 0 or told:
            save()
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
        if told:
            sys.exit(143)
    epoch, place, order = epoch + 1, 0, []

model.eval()
with torch.no_grad():
    right = (model(images[testing]).argmax(1) == labels[testing]).float().mean().item()
# The weights alone, one after the other: a file that is the same bit by bit whenever they are.
Path("model.bin").write_bytes(b"".join(p.detach().numpy().tobytes() for p in model.state_dict().values()))
Path("metrics.json").write_text(json.dumps({"accuracy": right, "steps": step}) + "\n")
print(f"accuracy {right:.4f} after {step} steps")
