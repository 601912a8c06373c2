"""A repository elsewhere, as far as it was looked at: a clone without a checkout, in a folder of rote's own."""

from __future__ import annotations

import os
import re
import subprocess

from rote.adapters.vcs import CALM, Git, environment
from rote.errors import Missing, RoteError, SourceUnavailable
from rote.laws.pipeline.redaction import redact
from rote.words.encoding import digest_of
from rote.words.ids import shown

_ASKED = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY",
    "GIT_PROXY_COMMAND",
)
_COMMIT = re.compile("[0-9a-f]{4,64}")
_ALL = "refs/rote-all"
_TURNS = 50
_TAKEN = ("cannot lock ref", "shallow file has changed", "shallow.lock", "Another git process")
"""What git says when another process is at work in the same clone: then it is tried again."""
_PROTOCOLS = "file:git:http:https:ssh"
"""What an address may make git do: none of these starts a program that the address names."""


class Clone:
    """The clone in `folder` of the repository at `url`. Several processes may use one."""

    def __init__(self, folder: str, url: str) -> None:
        self.folder = folder
        self._url = url

    def bring(self, rev: str | None) -> str:
        """Fetch what a revision (a branch, a tag, a commit; None: what the repository shows first) is now, and return
        the commit's id. Only that commit is fetched, not its history.

        Raises Missing, SourceUnavailable.
        """
        if rev is not None and (not rev or rev.startswith("-") or not rev.isprintable() or ":" in rev):
            raise Missing(f"there is no revision {shown(rev)} in {self._url}")
        if not os.path.isdir(os.path.join(self.folder, ".git")):
            os.makedirs(self.folder, exist_ok=True)
            self._run("init", "--quiet", self.folder, cwd=os.path.dirname(self.folder))
        # The ref stays, so that the next fetch brings only what is new.
        mine = f"refs/rote/{digest_of((rev or '').encode())[:24]}"
        said = self._fetched("--depth=1", f"+{rev or 'HEAD'}:{mine}")
        if said is None:
            return Git(self.folder).resolve(mine)
        if rev is None or not self._answers():
            raise self._unreachable(said)
        if _COMMIT.fullmatch(rev):
            # An abbreviated commit, or a server that gives no single commits: all branches and tags, then.
            said = self._fetched("--prune", f"+refs/heads/*:{_ALL}/heads/*", f"+refs/tags/*:{_ALL}/tags/*")
            if said is not None:
                raise self._unreachable(said)
            try:
                return Git(self.folder).resolve(rev)
            except Missing:
                pass  # said below, with the address
        raise Missing(f"there is no revision {shown(rev)} in {self._url}", next=f"git ls-remote {self._url}")

    def _fetched(self, *words: str) -> str | None:
        """None if it was; else what git said."""
        said = ""
        for _ in range(_TURNS):
            try:
                self._run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *self._end(words))
                return None
            except RoteError as e:
                said = e.what
                if not any(word in said for word in _TAKEN):
                    break
        return said

    def _end(self, words: tuple[str, ...]) -> list[str]:
        options = [word for word in words if word.startswith("--")]
        return [*options, "--end-of-options", self._url, *(word for word in words if word not in options)]

    def _answers(self) -> bool:
        try:
            self._run("ls-remote", "--quiet", "--end-of-options", self._url, "HEAD")
        except RoteError:
            return False
        return True

    def _unreachable(self, said: str) -> SourceUnavailable:
        error = SourceUnavailable(
            f"the repository cannot be read: {said}", where=self._url, next=f"git ls-remote {self._url}"
        )
        error.retry = False  # git does not tell what may go away from what stays
        return error

    def _run(self, *words: str, cwd: str | None = None) -> bytes:
        env = environment()
        env.update({key: os.environ[key] for key in _ASKED if key in os.environ})
        env.update(GIT_ALLOW_PROTOCOL=_PROTOCOLS)
        try:
            done = subprocess.run(
                ["git", *CALM, "-c", "gc.auto=0", "-c", "submodule.recurse=false", *words],
                cwd=cwd or self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as e:
            raise RoteError("git cannot be started", next="install git") from e
        if done.returncode:
            said = " ".join(redact(done.stderr.decode("utf-8", "replace")).split())
            raise RoteError(said[:500] or f"git {words[0]} ended with {done.returncode}")
        return done.stdout
