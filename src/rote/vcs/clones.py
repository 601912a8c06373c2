"""A repository elsewhere, as far as it was looked at: a clone without a checkout, in a folder of rote's own."""

from __future__ import annotations

import os
import subprocess

from rote.errors import Missing, RoteError, SourceUnavailable
from rote.ids import shown
from rote.redaction import redact
from rote.vcs import CALM, Git, environment

_ASKED = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY",
    "GIT_PROXY_COMMAND",
)
_PROTOCOLS = "file:git:http:https:ssh"
"""What an address may make git do: none of these starts a program that the address names."""


class Clone:
    """The clone in `folder` of the repository at `url`. Several processes may use one."""

    def __init__(self, folder: str, url: str) -> None:
        self.folder = folder
        self._url = url

    def bring(self, rev: str | None, *, name: str) -> str:
        """Fetch what a revision (a branch, a tag, a commit; None: what the repository shows first) is now, and return
        the commit's id. Only that commit is fetched, not its history. `name` is one of the caller's own.

        Raises Missing, SourceUnavailable.
        """
        if rev is not None and (not rev or rev.startswith("-") or not rev.isprintable() or ":" in rev):
            raise Missing(f"there is no revision {shown(rev)} in {self._url}")
        if not os.path.isdir(os.path.join(self.folder, ".git")):
            os.makedirs(self.folder, exist_ok=True)
            self._run("init", "--quiet", self.folder, cwd=os.path.dirname(self.folder))
        mine = f"refs/rote/{name}"
        said = self._fetched("--depth=1", f"+{rev or 'HEAD'}:{mine}")
        if said is None:
            return Git(self.folder).resolve(mine)
        if rev is None or not self._answers():
            raise self._unreachable(said)
        # An abbreviated commit, or a server that gives no single commits: all branches and tags, then.
        said = self._fetched(f"+refs/heads/*:{mine}/heads/*", f"+refs/tags/*:{mine}/tags/*")
        if said is not None:
            raise self._unreachable(said)
        for full in (f"{mine}/tags/{rev}", f"{mine}/heads/{rev}", rev):
            try:
                return Git(self.folder).resolve(full)
            except Missing:
                continue
        raise Missing(f"there is no revision {shown(rev)} in {self._url}", next=f"git ls-remote {self._url}")

    def _fetched(self, *words: str) -> str | None:
        """None if it was; else what git said."""
        try:
            self._run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *self._end(words))
        except RoteError as e:
            return e.what
        return None

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
