"""Apache's httpd with its WebDAV: it writes what comes aside and renames it, and has etags of microseconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from servers.sharing import free_port, until_it_answers

PACKAGES = ("apache2-bin", "openssl")
USER, PASSWORD = "team", "canary-dav-4711"
MODULES = "/usr/lib/apache2/modules"

CONF = """
ServerRoot {dir}
ServerName localhost
PidFile {dir}/pid
Listen 127.0.0.1:{port}
{modules}
{user}
DocumentRoot {dir}/root
DavLockDB {dir}/locks/db
ErrorLog {dir}/error.log
LogFormat "%m %U" short
CustomLog {dir}/access.log short
KeepAlive On
MaxKeepAliveRequests 0
<Location />
  Dav On
  AuthType Basic
  AuthName dav
  AuthUserFile {dir}/users
  Require valid-user
</Location>
"""


def program() -> str | None:
    """Where httpd is."""
    return shutil.which("apache2", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing() -> bool:
    """Whether the programs are not installed."""
    return program() is None or shutil.which("openssl") is None


def start(folder: Path) -> dict[str, Any]:
    """Start the server; its files are in `root`."""
    user, tidy = "", ":"
    if os.getuid() == 0:
        # httpd gives up root's rights, and the folders of tests are closed to others.
        folder = Path(tempfile.mkdtemp(prefix="rote-apache-"))
        folder.chmod(0o755)
        user, tidy = "User www-data\nGroup www-data", f"rm -rf {folder}"
    for name in ("root", "locks"):
        (folder / name).mkdir()
        if user:
            shutil.chown(folder / name, "www-data", "www-data")
    port = free_port()
    made = subprocess.run(
        ["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True
    )
    (folder / "users").write_text(f"{USER}:{made.stdout.strip()}\n")
    names = (
        "mpm_event",
        "authn_core",
        "authn_file",
        "auth_basic",
        "authz_core",
        "authz_user",
        "dav",
        "dav_fs",
    )
    modules = "\n".join(f"LoadModule {n}_module {MODULES}/mod_{n}.so" for n in names)
    (folder / "conf").write_text(CONF.format(dir=folder, port=port, modules=modules, user=user))
    httpd = program()
    assert httpd is not None
    with open(folder / "log", "wb") as log:
        script = (
            f"{httpd} -f {folder}/conf -DFOREGROUND & p=$!; trap 'kill $p' TERM; wait $p; wait $p; {tidy}"
        )
        process = subprocess.Popen(["sh", "-c", script], stdout=log, stderr=log, start_new_session=True)
    until_it_answers(f"http://127.0.0.1:{port}/", process)
    return {
        "host": f"127.0.0.1:{port}",
        "root": str(folder / "root"),
        "log": str(folder / "access.log"),
        "pids": [process.pid],
    }
