"""moto: an S3 server in Python with AWS's conditional writes and deletes. It keeps everything in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from servers.sharing import free_port, until_it_answers

KEY, SECRET = "AKMOTO", "SKMOTO"


def start(folder: Path) -> dict[str, Any]:
    """Start the server."""
    port = free_port()
    code = "import sys; from moto.server import main; main(sys.argv[1:])"
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until_it_answers(f"http://127.0.0.1:{port}/moto-api/", process)
    return {"endpoint": f"http://127.0.0.1:{port}", "key": KEY, "secret": SECRET, "pids": [process.pid]}
