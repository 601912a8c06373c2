"""nginx over TLS: what a public bucket looks like to everybody. It can read a folder, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from servers.sharing import free_port, until_it_answers

PACKAGES = ("nginx-light", "openssl")

CONF = """
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {dir}/cert.pem;
    ssl_certificate_key {dir}/key.pem;
    location /private/ {{ return 403; }}
    location / {{ root {dir}/www; }}
  }}
}}
"""


def program() -> str | None:
    """Where nginx is."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing() -> bool:
    """Whether the programs are not installed."""
    return program() is None or shutil.which("openssl") is None


def start(folder: Path) -> dict[str, Any]:
    """Start the server; its pages are in `www`."""
    (folder / "www").mkdir()
    port = free_port(2)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(CONF.format(dir=folder, port=port, tls=port + 1, user=user))
    nginx = program()
    assert nginx is not None
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log"),
             "-g", "daemon off;"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    until_it_answers(f"http://127.0.0.1:{port}/", process)
    return {
        "url": f"http://127.0.0.1:{port}",
        "tls": f"https://localhost:{port + 1}",
        "certificate": str(folder / "cert.pem"),
        "www": str(folder / "www"),
        "pids": [process.pid],
    }
