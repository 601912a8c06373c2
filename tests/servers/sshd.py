"""OpenSSH's server on a port of loopback, with keys of its own, as the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from servers.sharing import WAIT, free_port

PACKAGES = ("openssh-server", "openssh-client", "openssh-sftp-server")
SFTP = "/usr/lib/openssh/sftp-server"

SERVER = """
ListenAddress 127.0.0.1:{port}
HostKey {dir}/host
PidFile {dir}/pid
AuthorizedKeysFile {dir}/authorized
UsePAM no
UseDNS no
KexAlgorithms curve25519-sha256
StrictModes no
PasswordAuthentication no
MaxStartups 100
Subsystem sftp {sftp}
"""
CLIENT = """
Host team-box
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {dir}/key
  IdentitiesOnly yes
  UserKnownHostsFile {dir}/known
  StrictHostKeyChecking yes
"""


def program() -> str | None:
    """Where sshd is."""
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing() -> bool:
    """Whether the programs are not installed."""
    return program() is None or shutil.which("ssh") is None or not os.path.exists(SFTP)


def start(folder: Path) -> dict[str, Any]:
    """Start the server; `config` is for `ssh -F`, and knows it as `team-box`."""
    if os.getuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    port = free_port()
    for name in ("host", "key", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized")
    host = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "server").write_text(SERVER.format(dir=folder, port=port, sftp=SFTP))
    (folder / "config").write_text(CLIENT.format(dir=folder, port=port, user=getpass.getuser()))
    sshd = program()
    assert sshd is not None
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(folder / "server")], stdout=log, stderr=log, start_new_session=True
        )
    end = time.monotonic() + WAIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
    (folder / "root").mkdir()
    return {
        "ssh": f"ssh -F {folder}/config",
        "port": port,
        "folder": str(folder),
        "root": str(folder / "root"),
        "pids": [process.pid],
    }
