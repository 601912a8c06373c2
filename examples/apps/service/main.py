"""A web service that always answers with the newest good version, and never fails a request because of a new one.

    MODEL_FROM=s3://digits-public/models?unsigned=true uvicorn main:app --workers 4

POST /predict  {"image": [64 numbers from 0 to 1]}  ->  {"digit": 7, "probability": 0.98, "version": "1.1.0"}
GET  /model    which version is in use, since when, and why no newer one if something is wrong
"""

import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel, Field

from rote.client import Model

log = logging.getLogger("uvicorn.error")
PLACE = os.environ.get("MODEL_FROM") or sys.exit("say where the model was published: MODEL_FROM=ADDRESS")


@dataclass(frozen=True)
class Serving:
    """A version that is loaded: all that a request needs, in one value."""

    version: str
    session: onnxruntime.InferenceSession
    since: float = field(default_factory=time.time)

    def predict(self, image: np.ndarray) -> np.ndarray:
        (probability,) = self.session.run(["probability"], {"image": image})
        return probability


class Question(BaseModel):
    image: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=64, max_length=64)]


class Answer(BaseModel):
    digit: int
    probability: float
    version: str


def start(folder: Path) -> onnxruntime.InferenceSession:
    """Load the model, and warm it up: the first request must not pay for that."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    session.run(["probability"], {"image": np.zeros((1, 64), dtype=np.float32)})
    return session


def check(folder: Path) -> None:
    """What a new version must do before it is put in use; done in a process of its own."""
    session = start(folder)
    (probability,) = session.run(["probability"], {"image": np.full((2, 64), 0.5, dtype=np.float32)})
    assert probability.shape == (2, 10), f"the model answers with shape {probability.shape}"
    assert np.allclose(probability.sum(axis=1), 1, atol=1e-3), "the probabilities do not add up to 1"


def swap(model: Model) -> None:
    """A new version is here: load it beside the one in use, then put it in use by one assignment. Requests that were
    begun have the former one in their hands, which goes when the last of them is done."""
    app.state.serving = Serving(model.version, start(model.path()))
    log.info("serving digits %s", model.version)


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    model = Model(
        PLACE,
        "digits",
        alias=os.environ.get("MODEL_ALIAS", "prod"),
        cache=os.environ.get("MODEL_CACHE"),
        keys=os.environ.get("MODEL_KEYS", "").split(),
        check=check,
    )
    app.state.model = model
    model.refresh()
    swap(model)
    watch = model.watch(swap, every=os.environ.get("MODEL_EVERY", "5m"))
    try:
        yield
    finally:
        watch.stop()


app = FastAPI(title="digits", lifespan=life)


@app.post("/predict")
def predict(question: Question) -> Answer:
    """Which digit the image shows."""
    now: Serving = app.state.serving  # one look: whatever comes meanwhile, this version answers this request
    probability = now.predict(np.asarray([question.image], dtype=np.float32))[0]
    digit = int(probability.argmax())
    return Answer(digit=digit, probability=float(probability[digit]), version=now.version)


@app.get("/model")
def in_use() -> dict[str, object]:
    """Which version answers."""
    model: Model = app.state.model
    now: Serving = app.state.serving
    return {
        "version": now.version,
        "since": now.since,
        "stale": model.stale,
        "problem": str(model.problem) if model.problem else None,
    }
