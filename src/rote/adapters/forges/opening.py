"""From a forge's address to its adapter."""

from __future__ import annotations

from collections.abc import Mapping

from rote.adapters.forges import address, tokens
from rote.adapters.forges.github import GitHubHost
from rote.adapters.forges.gitlab import GitLabHost
from rote.adapters.forges.host import LARGEST
from rote.adapters.forges.talk import Patience
from rote.ports import Clock


def host(
    text: str,
    *,
    clock: Clock,
    environ: Mapping[str, str],
    token: str | None = None,
    patience: Patience | None = None,
    largest: int | None = None,
    any_commit: bool = False,
) -> GitHubHost | GitLabHost:
    """The releases at `github:owner/repo`, `gitlab:group/project` or `KIND:https://HOST/PATH`. `token` is for this very
    server; without one it is looked for (docs/forges.md). `largest` is the most bytes of one asset, where that is
    less than the forge takes. `any_commit`: a commit that the repository there does not have is no reason to refuse a
    release. Nothing is asked yet. Raises UsageError."""
    at = address.parse(text)
    kind = GitHubHost if at.kind == address.GITHUB else GitLabHost
    made = tokens.given(at, token) if token is not None else tokens.found(at, environ)
    most = LARGEST if largest is None else min(largest, LARGEST)
    return kind(
        at, clock=clock, environ=environ, token=made, patience=patience, largest=most, any_commit=any_commit
    )
