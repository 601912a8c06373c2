"""Ceph's RGW: a real S3 server, with one monitor and one OSD in memory, without systemd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from servers.sharing import WAIT, end, free_port, until_it_answers

NEEDS = ("radosgw", "ceph-mon", "ceph-osd")
PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")
KEY, SECRET = "AK", "SK"

CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0,v1:127.0.0.1:{monv1}/0]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
keyring = {dir}/keyring
mon data = {dir}/mon
osd data = {dir}/osd0
run dir = {dir}/run
admin socket = {dir}/run/$name.$pid.asok
log file = {dir}/log/$name.log
pid file = {dir}/log/$name.pid
osd objectstore = memstore
memstore device bytes = {memory}
osd max object name len = 2048
osd max object namespace len = 256
ms bind ipv6 = false
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
"""


def start(folder: Path, memory: int = 4 << 30) -> dict[str, Any]:
    """Start the server, with room for `memory` bytes of objects."""
    port = free_port()
    mon = free_port(2)
    conf = folder / "ceph.conf"
    for name in ("mon", "osd0", "run", "log"):
        (folder / name).mkdir()
    conf.write_text(
        CONF.format(fsid=uuid.uuid4(), dir=folder, port=port, mon=mon, monv1=mon + 1, memory=memory)
    )
    keyring, monmap = str(folder / "keyring"), str(folder / "monmap")
    log = folder / "start.log"

    def do(*args: str) -> str:
        with open(log, "ab") as err:
            done = subprocess.run(args, stdout=subprocess.PIPE, stderr=err, timeout=WAIT, check=False)
        assert done.returncode == 0, f"{args}: {log.read_text(errors='replace')[-2000:]}"
        return done.stdout.decode()

    caps = ["--cap", "mon", "allow *"]
    do("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", *caps)
    for who in ("client.admin", "client.rgw", "osd.0"):
        do(
            "ceph-authtool",
            keyring,
            "--gen-key",
            "-n",
            who,
            *caps,
            "--cap",
            "osd",
            "allow *",
            "--cap",
            "mgr",
            "allow *",
        )
    fsid = next(line.split()[2] for line in conf.read_text().splitlines() if line.startswith("fsid"))
    do("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{mon},v1:127.0.0.1:{mon + 1}]", monmap)  # fmt: skip
    do("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring, "-c", str(conf))
    try:
        do("ceph-mon", "-i", "a", "-c", str(conf))
        do("ceph", "-c", str(conf), "osd", "create")
        do(
            "ceph",
            "-c",
            str(conf),
            "osd",
            "crush",
            "add",
            "osd.0",
            "1",
            f"host={socket.gethostname()}",
            "root=default",
        )
        do("ceph-osd", "-i", "0", "--mkfs", "-c", str(conf))
        do("ceph-osd", "-i", "0", "-c", str(conf))
        until = time.monotonic() + WAIT
        while "1 up" not in do("ceph", "-c", str(conf), "osd", "stat"):
            assert time.monotonic() < until, "the OSD did not come up"
        do("radosgw", "-c", str(conf), "-n", "client.rgw")
        until_it_answers(f"http://127.0.0.1:{port}/")
        do("radosgw-admin", "-c", str(conf), "user", "create", "--uid=rote", "--display-name=rote",
           f"--access-key={KEY}", f"--secret-key={SECRET}")  # fmt: skip
    except BaseException:
        end(_pids(folder))
        raise
    return {"endpoint": f"http://127.0.0.1:{port}", "key": KEY, "secret": SECRET, "pids": _pids(folder)}


def missing() -> bool:
    """Whether the programs are not installed."""
    return any(
        shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None for name in NEEDS
    )


def _pids(folder: Path) -> list[int]:
    return [int(p.read_text()) for p in (folder / "log").glob("*.pid") if p.read_text().strip()]
