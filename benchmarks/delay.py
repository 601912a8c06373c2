"""A road of some length between a client and a server: every turn of a conversation takes so many milliseconds more.

Connecting is a turn, and each request one; bytes that follow a request's first ones, and the reply, come as fast as
loopback has them. It knows nothing of HTTP, so that it costs little beside what is measured.

`python delay.py --to HOST:PORT --ms 20` prints the address it listens at, and runs until it is ended.
"""

from __future__ import annotations

import argparse
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

PIECE = 1 << 20


def serve(client: socket.socket, to: tuple[str, int], seconds: float) -> None:
    """One connection, until either side ends it."""
    time.sleep(seconds)
    memory = bytearray(PIECE)
    view = memoryview(memory)
    with client, socket.create_connection(to) as server:
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replying = True
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for source in ready:
                count = source.recv_into(view)
                if not count:
                    return
                if source is client and replying:
                    time.sleep(seconds)
                replying = source is server
                (client if source is server else server).sendall(view[:count])


def quietly(client: socket.socket, to: tuple[str, int], seconds: float) -> None:
    try:
        serve(client, to, seconds)
    except OSError:
        return  # one of them hung up


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--ms", type=float, required=True)
    given = parser.parse_args()
    host, _, port = given.to.rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        client, _ = listener.accept()
        args = (client, (host, int(port)), given.ms / 1000)
        threading.Thread(target=quietly, args=args, daemon=True).start()


@contextmanager
def road(url: str, ms: float) -> Iterator[str]:
    """The address at which the server `url` is that much farther away."""
    if not ms:
        yield url
        return
    to = urlsplit(url).netloc
    command = [sys.executable, __file__, "--to", to, "--ms", str(ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    main()
