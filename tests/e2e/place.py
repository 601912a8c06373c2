"""A fresh repository and the real command, as a user would type it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rote import cli

ROTE = [sys.executable, "-m", "rote"]


@dataclass
class Told:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Place:
    """A folder with a git repository, in which commands are typed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROTE_", "GIT_"))}
        who = {
            f"GIT_{r}_{w}": v
            for r in ("AUTHOR", "COMMITTER")
            for w, v in (("NAME", "T"), ("EMAIL", "t@example.org"))
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        home = self.root.parent / "home"
        home.mkdir(exist_ok=True)
        return {**kept, **who, "PATH": path, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **more}

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rote(
        self, *args: str, code: int | None = 0, timeout: float = 120, cwd: Path | None = None, **env: str
    ) -> Told:
        """Type `rote ARGS`; its exit code must be `code` (None: any)."""
        done = subprocess.run(
            [*ROTE, *args],
            cwd=cwd or self.root,
            env=self.environment(**env),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        told = Told(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        assert "Traceback" not in told.err, told.err
        if code is not None:
            assert told.code == code, f"rote {' '.join(args)} ended with {told.code}\n{told.out}{told.err}"
        return told

    def start(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        """Type `rote ARGS` and do not wait."""
        return subprocess.Popen(
            [*ROTE, *args],
            cwd=self.root,
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def write(self, path: str, content: str | bytes = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def commit(self, message: str = "a change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def files(self, folder: str = ".") -> dict[str, bytes]:
        top = self.root / folder
        return {p.relative_to(top).as_posix(): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}


class Typed(Place):
    """Commands go through the whole command line, but in this process: there are many of them."""

    def rote(self, *args: str, code: int | None = 0, **more: Any) -> Told:
        """As Place's, without an environment of its own."""
        assert not more, "only a process of its own can have that"
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with contextlib.chdir(self.root), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = cli.run(list(args))
        told = Told(ended, *(stream.buffer.getvalue().decode() for stream in (out, err)))
        assert code is None or told.code == code, f"rote {' '.join(args)}: {told}"
        return told
