"""SFTP (version 3, draft-ietf-secsh-filexfer-02) over the pipes of the user's own ssh program.

ssh brings what people have set up: hosts and aliases, keys and agents, jumps, known hosts. No secret passes through
rote. Requests of many threads are under way at once; one thread reads the replies.
"""

from __future__ import annotations

import itertools
import os
import shlex
import struct
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import IO, Final

import msgspec

from rote.errors import StoreUnavailable

OPEN: Final = 3
CLOSE: Final = 4
READ: Final = 5
WRITE: Final = 6
LSTAT: Final = 7
FSTAT: Final = 8
FSETSTAT: Final = 10
OPENDIR: Final = 11
READDIR: Final = 12
REMOVE: Final = 13
MKDIR: Final = 14
RENAME: Final = 18
EXTENDED: Final = 200

STATUS: Final = 101
DATA: Final = 103
NAME: Final = 104
_INIT: Final = 1
_VERSION: Final = 2

OK: Final = 0
EOF: Final = 1
NO_SUCH_FILE: Final = 2
DENIED: Final = 3
FAILURE: Final = 4

_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "RequestTTY=no",
)
_MOST = 1 << 20
"""Bytes of a reply that no server sends more of."""
_WAIT = 120.0
"""Seconds for a reply; ssh itself gives a silent connection up before."""


class Status(Exception):
    """A reply that is a status other than OK."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Closed(Exception):
    """The connection is over. `began`: it had been there."""

    def __init__(self, began: bool, said: str) -> None:
        super().__init__(said)
        self.began = began
        self.said = said


class Reply(msgspec.Struct, frozen=True):
    """A reply: its kind and its body without the id."""

    kind: int
    body: memoryview


class Attrs(msgspec.Struct, frozen=True):
    """What a server says of a file."""

    size: int
    mtime: int
    mode: int

    @property
    def regular(self) -> bool:
        """Whether it is a file."""
        return self.mode & 0o170000 in (0o100000, 0)

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return self.mode & 0o170000 == 0o040000


class Connection:
    """One ssh process that speaks SFTP. Safe to share between threads."""

    def __init__(self, target: str, port: str, environ: Mapping[str, str]) -> None:
        """`target` is `[USER@]HOST` or an alias of ssh's. Raises Closed, StoreUnavailable (there is no ssh)."""
        program = shlex.split(environ.get("ROTE_SSH") or "ssh")
        command = [*program, *(f"-o{option}" for option in _OPTIONS)]
        command += [*(["-p", port] if port else []), "-s", "--", target, "sftp"]
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the connection
        try:
            # A session of its own: a Ctrl-C is rote's to handle. When rote ends, so do the pipes, and with them ssh.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                env=dict(environ), start_new_session=True,
            )  # fmt: skip
        except OSError as e:
            self._errors.close()
            error = StoreUnavailable(
                f"cannot start {program[0]}: {e.strerror}", next="install OpenSSH's client"
            )
            error.retry = False
            raise error from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.pid = os.getpid()
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[Reply]] = {}
        self._lock = threading.Lock()
        self.closed = False
        self._began = False
        self.extensions = self._greet()
        self._began = True
        threading.Thread(target=self._read_replies, daemon=True).start()

    def ask(self, kind: int, *parts: bytes) -> Future[Reply]:
        """Send a request. Raises Closed."""
        number = next(self._ids)
        body = b"".join((struct.pack(">BI", kind, number), *parts))
        reply: Future[Reply] = Future()
        try:
            with self._lock:
                if self.closed:
                    raise BrokenPipeError
                self._waiting[number] = reply
                self._in.write(struct.pack(">I", len(body)) + body)
                self._in.flush()
        except (OSError, ValueError):
            self._waiting.pop(number, None)
            self.close()
            raise self._over() from None
        return reply

    def get(self, reply: Future[Reply], kind: int = STATUS) -> memoryview:
        """The body of a reply of this kind (of a status, that it is OK). Raises Status, Closed."""
        try:
            found = reply.result(_WAIT)
        except TimeoutError:
            self.close()
            raise self._over() from None
        if found.kind == STATUS:
            code = number_in(found.body)
            if code != OK or kind != STATUS:
                raise Status(code)
        elif found.kind != kind:
            self.close()
            raise self._over()
        return found.body

    def close(self) -> None:
        """End the process; what is waited for fails."""
        self.closed = True
        if self._process.poll() is None:
            self._process.terminate()  # first: whoever is just writing is woken by it
        for pipe in (self._in, self._out):
            try:
                pipe.close()
            except (OSError, ValueError):
                pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for reply in waiting.values():
            reply.set_exception(self._over())

    def _greet(self) -> frozenset[str]:
        try:
            self._in.write(struct.pack(">IBI", 5, _INIT, 3))
            self._in.flush()
            body = self._packet()
        except (OSError, EOFError):
            self.close()
            raise self._over() from None
        if body[0] != _VERSION:
            self.close()
            raise self._over()
        rest, found = body[5:], set()
        while rest:
            name, rest = text_in(rest)
            _, rest = text_in(rest)
            found.add(bytes(name).decode("ascii", "replace"))
        return frozenset(found)

    def _packet(self) -> memoryview:
        size = struct.unpack(">I", self._exactly(4))[0]
        if not 1 <= size <= _MOST:
            raise EOFError  # somebody else talks here: a greeting of the login shell, say
        return memoryview(self._exactly(size))

    def _exactly(self, count: int) -> bytes:
        data = self._out.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def _read_replies(self) -> None:
        while True:
            try:
                packet = self._packet()
                kind, number = struct.unpack(">BI", packet[:5])
            except (OSError, EOFError, ValueError, struct.error):
                self.close()
                return
            with self._lock:
                reply = self._waiting.pop(number, None)
            if reply is not None:
                reply.set_result(Reply(kind, packet[5:]))

    def _over(self) -> Closed:
        try:
            self._errors.seek(0)
            lines = [
                line.strip() for line in self._errors.read(65536).decode("utf-8", "replace").splitlines()
            ]
        except (OSError, ValueError):
            lines = []
        return Closed(self._began, next((line for line in reversed(lines) if line), ""))


def text(value: str | bytes) -> bytes:
    """A string as SFTP writes it."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def number_in(body: memoryview) -> int:
    """The number that a body begins with."""
    found: int = struct.unpack(">I", body[:4])[0]
    return found


def text_in(body: memoryview) -> tuple[memoryview, memoryview]:
    """The string that a body begins with, and the rest."""
    size = number_in(body)
    return body[4 : 4 + size], body[4 + size :]


def attrs_in(body: memoryview) -> tuple[Attrs, memoryview]:
    """The attributes that a body begins with, and the rest."""
    flags, rest = number_in(body), body[4:]
    size = mtime = mode = 0
    if flags & 1:
        size, rest = struct.unpack(">Q", rest[:8])[0], rest[8:]
    if flags & 2:
        rest = rest[8:]
    if flags & 4:
        mode, rest = number_in(rest), rest[4:]
    if flags & 8:
        mtime, rest = number_in(rest[4:]), rest[8:]
    if flags & 0x80000000:
        count, rest = number_in(rest), rest[4:]
        for _ in range(2 * count):
            _, rest = text_in(rest)
    return Attrs(size, mtime, mode), rest
