"""What `rote init` writes."""

from __future__ import annotations

import json
from typing import Final

IGNORED: Final = ("/.rote/", "/rote.local.yaml")
"""Lines of the project's .gitignore: what is of this machine only."""

_HEAD: Final = """\
# What this project trains, and what it keeps. Every key: docs/rote-yaml.md, or `rote schema`.
"""
_STORE: Final = """
# Where everything is kept. ROTE_STORE and rote.local.yaml (not in git) go before this.
store: {store}
"""
_BODY: Final = """
# A stage is one command with what it reads and what it makes. It runs again only when something it reads has changed.
# stages:
#   train:
#     cmd: python train.py
#     deps: [train.py, data]
#     params: [train.lr]
#     outs: [model.onnx]
#     metrics: [metrics.json]

# What a model must meet before it may be released.
# gates:
#   - accuracy >= 0.95

# What a version of a model holds.
# models:
#   my-model:
#     files: [model.onnx]
"""


def pipeline_text(store: str | None = None) -> str:
    """A rote.yaml to begin with; with `store` it names that one."""
    return _HEAD + (_STORE.format(store=json.dumps(store, ensure_ascii=False)) if store else "") + _BODY


def with_store(text: str, store: str) -> str:
    """A rote.yaml that names no store, with a line for it before the first line that is no comment."""
    lines = text.splitlines(keepends=True)
    at = next(
        (i for i, x in enumerate(lines) if x.strip() and not x.startswith("#") and x.strip() != "---"),
        len(lines),
    )
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    return "".join([*lines[:at], f"store: {json.dumps(store, ensure_ascii=False)}\n", *lines[at:]])


def ignore_text(existing: str = "") -> str:
    """The .gitignore with the lines it needs, those that are there already kept as they are."""
    present = {line.strip() for line in existing.splitlines()}
    wanted = [line for line in IGNORED if line not in present and line.strip("/") not in present]
    if existing and not existing.endswith("\n") and wanted:
        existing += "\n"
    return existing + "".join(f"{line}\n" for line in wanted)
