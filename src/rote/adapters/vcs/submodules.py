"""Submodules of a commit, laid out from what the user's own checkouts of them hold: nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable

from rote.adapters.vcs import CALM, environment
from rote.errors import Missing, RoteError
from rote.laws.pipeline.redaction import redact

_LINK = b"160000"


def lay(top: str, commit: str, folder: str, delete: Callable[[str], None]) -> list[str]:
    """Lay the submodules of a commit of the repository whose working tree is `top` out in `folder`, as plain files, and
    theirs in them; what lies in their place is deleted by `delete`.

    Those that were never initialized in `top` are left out, as git leaves them out of a checkout; their paths. Raises
    Missing if a commit that is needed was not fetched, RoteError.
    """
    left = []
    for path, id in _links(top, commit):
        source, target = os.path.join(top, path), os.path.join(folder, path)
        if not os.path.lexists(os.path.join(source, ".git")):
            left.append(path)
            continue
        _must_have(source, id, path)
        if os.path.lexists(target):
            delete(target)
        os.makedirs(target, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="rote-index-") as aside:
            index = os.path.join(aside, "index")
            _run(source, "read-tree", id, index=index)
            _run(source, "checkout-index", "--all", "--force", "--quiet", f"--prefix={target}/", index=index)
        left += [f"{path}/{inner}" for inner in lay(source, id, target, delete)]
    return left


def _links(top: str, commit: str) -> list[tuple[str, str]]:
    """Path and commit of each submodule that a commit names."""
    found = []
    for line in _run(top, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        about, _, name = line.partition(b"\t")
        if about.startswith(_LINK):
            found.append((os.fsdecode(name), about.split()[2].decode("ascii")))
    return found


def _must_have(source: str, id: str, path: str) -> None:
    try:
        _run(source, "cat-file", "-e", f"{id}^{{commit}}")
    except RoteError as e:
        raise Missing(
            f"the submodule {path} does not hold its commit {id[:12]}",
            where=source,
            safe="nothing was run",
            next=f"git -C {path} fetch, or git submodule update --init --recursive",
        ) from e


def _run(folder: str, *words: str, index: str | None = None) -> bytes:
    env = environment()
    if index is not None:
        env["GIT_INDEX_FILE"] = index
    try:
        done = subprocess.run(
            ["git", *CALM, *words],
            cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
    except OSError as e:
        raise RoteError("git cannot be started", next="install git") from e
    if done.returncode:
        said = " ".join(redact(done.stderr.decode("utf-8", "replace")).split())
        raise RoteError(f"git {words[0]} failed: {said[:500]}", where=folder)
    return done.stdout
