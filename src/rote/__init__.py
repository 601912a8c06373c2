"""rote: continuous training for machine learning from one bucket, without a server.

`rote.open(".")` gives a Project; `rote.client.Model` is what an application needs. Importing this costs nothing: the
rest is loaded when it is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rote._version import __version__
from rote.errors import RoteError
from rote.words.functions import Dep, Metrics, Model, Out, Param, Plots, Previous, stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from rote.founded import Founded
    from rote.laws.models.links import Verified
    from rote.ports import Progress
    from rote.services.data.samples import Samples
    from rote.wiring.getting import Got
    from rote.wiring.project import Project

__all__ = [
    "Dep", "Metrics", "Model", "Out", "Param", "Plots", "Previous", "Project", "RoteError", "__version__", "checkpoint",
    "dataset", "get", "init", "open", "schema", "stage", "verify",
]  # fmt: skip


if all(os.path.exists(os.path.join(__path__[0], name)) for name in ("rote-client", "founded.py")):
    # `rote-client` holds a part of the same files and marks them. A look for the mark is all that this costs.
    import warnings

    warnings.warn(
        "both rote and rote-client are installed, and they own the same files, perhaps of different versions: "
        "pip uninstall -y rote-client && pip install --force-reinstall --no-deps rote",
        RuntimeWarning,
        stacklevel=2,
    )


def open(
    path: str = ".", *, store: str | None = None, progress: Progress | None = None, count: bool = False
) -> Project:
    """The project at or above `path`. `store` goes before every other setting. With `count`, `Project.usage` knows the
    requests to a folder store as well. Raises NotAProject, ConfigError."""
    # loaded on demand, so that `import rote` stays light
    from rote.wiring.config.root import find
    from rote.wiring.project import Project

    return Project(find(path), store=store, progress=progress, count=count)


def init(path: str = ".", *, store: str | None = None) -> Founded:
    """Make `path` a project and found its store; harmless when it is one. Raises ConfigError, StoreError."""
    # loaded on demand, so that `import rote` stays light
    from rote.founded import init as found

    return found(path, store=store)


def dataset(
    path: str,
    rev: str | None = None,
    *,
    project: str | None = None,
    store: str | None = None,
    match: str | None = None,
    memory: int = 256 << 20,
    threads: int = 8,
) -> Samples:
    """The files of a data path (or a `rote://` address) as samples for training, read from the store without a
    checkout: by index, in order, shuffled, sharded. docs/reading.md says how. The path begins at the current folder, or
    where `project` (a folder) is named, at that project's root. Raises NotAProject, Missing, BadPath."""
    found = open(project or ".", store=store)
    if project is not None and "://" not in path:
        path = str(found.root / path)
    return found.dataset(path, rev, match=match, memory=memory, threads=threads)


def checkpoint(path: str | PathLike[str] | Iterable[str | PathLike[str]], step: int | str = "") -> bool:
    """For training scripts: the checkpoint at `path` (a file, a folder, or several, below the folder that the variable
    `ROTE_CHECKPOINTS` names) is complete. `step` is what it is called. True if rote will take it; without rote around
    the script nothing happens, and False is returned. Raises BadPath, RoteError."""
    # loaded on demand, so that `import rote` stays light
    from rote.checkmark import checkpoint as mark

    return mark(path, step)


def get(
    repo: str,
    *paths: str,
    rev: str | None = None,
    to: str = ".",
    store: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> list[Got]:
    """Bring files or folders of another project (a git URL, or a folder) into the folder `to`: data, files in git, outs
    of a finished run of that commit; as of `rev`: a branch, a tag, a commit, or `MODEL@VERSION`. No project is needed
    here. `store` goes before the store that the project names; with `force` what is in the way is replaced.

    Raises Missing, SourceUnavailable, StoreError, Unsaved, UsageError.
    """
    # loaded on demand, so that `import rote` stays light
    from rote.wiring.getting import get as got

    return got(repo, paths, rev=rev, to=to, store=store, force=force, progress=progress)


def verify(
    path: str,
    *,
    store: str | None = None,
    read_data: bool = False,
    identity: str = "",
    issuer: str = "",
    trust: str = "",
) -> Verified:
    """Whether a folder in which a version of a model lies (fetched, published, an application's cache) is as it was
    released; inside of a project whose store knows the version, the whole chain back to its data. See
    `Project.models.verify`. With `identity` and its `issuer` a published folder must be signed by that, as Sigstore
    says, whose trust root is in the file `trust` (default: the public one). Raises UsageError, Corrupt, MissingExtra.
    """
    # loaded on demand, so that `import rote` stays light
    from rote.wiring.verification import verify as verified
    from rote.words.signatory import named

    return verified(path, store=store, read_data=read_data, signatory=named(identity, issuer, trust))


def schema() -> dict[str, Any]:
    """The JSON schema of rote.yaml."""
    # loaded on demand, so that `import rote` stays light
    from rote.wiring.config import schema as whole

    return whole()


def __getattr__(name: str) -> Any:
    if name == "Project":
        # loaded on demand, so that `import rote` stays light
        from rote.wiring.project import Project

        return Project
    raise AttributeError(f"module 'rote' has no attribute {name!r}")
