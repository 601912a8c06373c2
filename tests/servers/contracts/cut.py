"""Cuts GitHub's description of its interface to what releases need: `python cut.py api.github.com.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPO = "/repos/{owner}/{repo}"
PATHS = [
    f"{REPO}/releases", f"{REPO}/releases/assets/{{asset_id}}", f"{REPO}/releases/latest", f"{REPO}/releases/tags/{{tag}}",
    f"{REPO}/releases/{{release_id}}", f"{REPO}/releases/{{release_id}}/assets", f"{REPO}/commits/{{ref}}",
]  # fmt: skip
TALK = {"examples", "example", "description", "summary", "tags", "externalDocs", "x-github", "x-octokit"}


def bare(value: Any, named: bool = False) -> Any:
    """The same without what is said to people; `named`: the keys are names, not words of the description."""
    if isinstance(value, dict):
        return {
            k: bare(v, k in {"properties", "responses", "schemas", "headers"})
            for k, v in value.items()
            if named or k not in TALK
        }
    return [bare(v) for v in value] if isinstance(value, list) else value


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """The paths, and every component that they name."""
    found: dict[str, Any] = {
        "openapi": whole["openapi"],
        "paths": {p: bare(whole["paths"][p]) for p in PATHS},
        "components": {},
    }
    todo = [found["paths"]]
    while todo:
        at = todo.pop()
        if isinstance(at, dict):
            ref = at.get("$ref")
            if isinstance(ref, str):
                _, _, kind, name = ref.split("/")
                into = found["components"].setdefault(kind, {})
                if name not in into:
                    into[name] = bare(whole["components"][kind][name])
                    todo.append(into[name])
            todo += at.values()
        elif isinstance(at, list):
            todo += at
    return found


if __name__ == "__main__":
    made = json.dumps(cut(json.loads(Path(sys.argv[1]).read_text())), indent=1, sort_keys=True)
    Path(__file__).with_name("github-releases.json").write_text(made + "\n")
