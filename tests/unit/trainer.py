"""A small deterministic trainer in plain Python: it resumes from its checkpoints, and stops to be cut where it is told.

It fits a line by stochastic gradient descent: weights, momentum, the random generator and the place in the data change
from step to step, and all of it is in a checkpoint. `how` is `mark` (written in place, then marked) or `rename`.
At each step in `pauses` it writes the step to the fifo `up` and waits for a signal.
"""

import json
import os
import random
import signal
import sys

import rote

how, last, pauses = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
folder = os.environ["ROTE_CHECKPOINTS"]
place = os.path.join(folder, "state.json")
state = {"step": 0, "w": [0.0, 0.0], "v": [0.0, 0.0], "random": None}
if os.path.exists(place):
    with open(place) as f:
        state = json.load(f)
chance = random.Random(7)
if state["random"]:
    chance.setstate((state["random"][0], tuple(state["random"][1]), state["random"][2]))
print("begins at", state["step"], "told", os.environ.get("ROTE_RESUMED"), flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def save() -> None:
    state["random"] = chance.getstate()
    written = place if how == "mark" else place + ".tmp"
    with open(written, "w") as f:
        json.dump(state, f)
    if how == "mark":
        rote.checkpoint(place, state["step"])
    else:
        os.replace(written, place)  # within one tick of the file system's clock: it leaves no trace


while state["step"] < last:
    x = chance.random()
    error = state["w"][0] + state["w"][1] * x - (1 + 2 * x + chance.gauss(0, 0.1))
    for i, gradient in enumerate((error, error * x)):
        state["v"][i] = 0.9 * state["v"][i] - 0.01 * gradient
        state["w"][i] += state["v"][i]
    state["step"] += 1
    if state["step"] % 10 == 0:
        save()
    if state["step"] in pauses and not os.path.exists(f"passed-{state['step']}"):
        open(f"passed-{state['step']}", "w").close()
        with open("up", "w") as f:
            f.write(f"{state['step']} {os.getpid()}\n")
        signal.sigwait([signal.SIGTERM])
        save()
        sys.exit(143)

with open("model.json", "w") as f:
    json.dump(state["w"], f)
with open("metrics.json", "w") as f:
    json.dump({"slope": state["w"][1], "steps": state["step"]}, f)
