"""s3rver: an S3 server that ignores every condition, silently (npm)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from servers.packages import program
from servers.sharing import free_port, until_it_answers

VERSION = "3.7.1"
KEY = SECRET = "S3RVER"


def start(folder: Path) -> dict[str, Any]:
    """Start the server with the bucket `rote`."""
    port = free_port()
    server = program("s3rver", VERSION, "s3rver")
    (folder / "data").mkdir()
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [server, "-d", str(folder / "data"), "-a", "127.0.0.1", "-p", str(port), "-s", "--configure-bucket", "rote"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    until_it_answers(f"http://127.0.0.1:{port}/", process)
    return {"endpoint": f"http://127.0.0.1:{port}", "key": KEY, "secret": SECRET, "pids": [process.pid]}
