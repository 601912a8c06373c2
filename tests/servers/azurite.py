"""Azurite: Microsoft's own emulator of Azure Blob Storage (npm)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from servers.packages import program
from servers.sharing import free_port, until_it_answers

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
# The key of the emulator, the same everywhere and published by Microsoft.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def start(folder: Path) -> dict[str, Any]:
    """Start the server."""
    port = free_port()
    server = program("azurite", VERSION, "azurite-blob")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [server, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "data"),
             "--skipApiVersionCheck", "--silent"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    until_it_answers(f"http://127.0.0.1:{port}/", process)
    return {
        "endpoint": f"http://127.0.0.1:{port}/{ACCOUNT}",
        "account": ACCOUNT,
        "key": KEY,
        "pids": [process.pid],
    }
