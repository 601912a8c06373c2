"""Files on a machine that one reaches by SSH, in the layout of a store in a folder (docs/format.md, 3.3)."""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from rote.adapters.stores.locations import Location
from rote.adapters.stores.shares import ssh
from rote.adapters.stores.shares.files import Seen
from rote.adapters.stores.shares.ssh import Attrs, Closed, Connection, Reply, Status, attrs_in, text, text_in
from rote.adapters.stores.shares.store import at_once
from rote.errors import NotFound, RoteError, StoreFull, StoreUnavailable, Unknown

DRAFTS = "~tmp"
_OWN = "sftp-"
"""What the drafts of writers over SSH are called, which hold no lock."""
_PIECE = 32 << 10
"""Bytes that every server takes and gives at once."""
_DRAFTS = 3
"""How often a draft is written that somebody else sweeps away."""
_UNDER_WAY = 64
"""Pieces of one file that are asked for before the first has come."""
_CREATE = struct.pack(">III", 0x02 | 0x08 | 0x20, 0x04, 0o444)
"""Write, create, exclusive; nobody writes to an object, so it is read-only from the beginning."""
_READ = struct.pack(">II", 0x01, 0)
_POSIX_RENAME = "posix-rename@openssh.com"
_FSYNC = "fsync@openssh.com"
_STATVFS = "statvfs@openssh.com"


class SftpFiles:
    """A `files.Files` below a folder of the server. The ssh process is started when it is first needed, and again when
    it has ended."""

    def __init__(self, place: Location, environ: Mapping[str, str]) -> None:
        self._place = place
        self._environ = environ
        target, _, port = place.bucket.rpartition(":")
        if not target or not port.isdigit():
            target, port = place.bucket, ""
        self._target, self._port = target.replace("[", "").replace("]", ""), port
        own = place.prefix.startswith("~/")
        self._root = place.prefix[2:] if own else f"/{place.prefix}"
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        self._swept = False

    def look(self, path: str) -> Seen | None:
        """A file, or None. Raises StoreUnavailable."""
        with self._told(f"looking at {path}", path) as link:
            try:
                attrs, _ = attrs_in(link.get(link.ask(ssh.LSTAT, text(self._full(path))), _ATTRS))
            except Status as e:
                if e.code == ssh.NO_SUCH_FILE:
                    return None
                raise
        return _seen(attrs) if attrs.regular else None

    def read(self, path: str) -> tuple[bytes, Seen] | None:
        """The whole file through one handle, so that it is one file's. Raises StoreUnavailable."""
        with self._told(f"reading {path}", path) as link:
            handle = self._open(link, path)
            if handle is None:
                return None
            try:
                attrs, _ = attrs_in(link.get(link.ask(ssh.FSTAT, text(handle)), _ATTRS))
                if not attrs.regular:
                    return None
                return _pieces(link, handle, 0, attrs.size), _seen(attrs)
            finally:
                link.ask(ssh.CLOSE, text(handle))

    def spans(self, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several ranges through one handle. Raises FileNotFoundError, StoreUnavailable."""
        with self._told(f"reading {path}", path) as link:
            handle = self._open(link, path)
            if handle is None:
                raise FileNotFoundError(path)
            try:
                return at_once(lambda span: _pieces(link, handle, *span), spans)
            finally:
                link.ask(ssh.CLOSE, text(handle))

    def _open(self, link: Connection, path: str) -> bytes | None:
        try:
            found = link.get(link.ask(ssh.OPEN, text(self._full(path)), _READ), _HANDLE)
        except Status as e:
            if e.code == ssh.NO_SUCH_FILE or (e.code == ssh.FAILURE and self.look(path) is None):
                return None
            raise
        return bytes(text_in(found)[0])

    def write(self, path: str, data: bytes | bytearray | memoryview, *, new: bool) -> Seen:
        """Write a draft, make it durable, rename it to its place. A rename of SFTP's own never overwrites: of several
        who create a file one wins. Raises FileExistsError, StoreFull, StoreUnavailable, Unknown."""
        with self._told(f"writing {path}", path) as link:
            if not new and _POSIX_RENAME not in link.extensions:
                raise self._error(
                    "the server cannot replace a file in one step", "use a server with OpenSSH's sftp"
                )
            self._sweep(link)
            for left in range(_DRAFTS - 1, -1, -1):
                draft = f"{DRAFTS}/{_OWN}{os.urandom(8).hex()}"
                seen = self._draft(link, draft, data)
                try:
                    self._rename(link, draft, path, new)
                    return seen
                except Closed:
                    raise Unknown(path, where=self._place.url) from None
                except (Status, FileExistsError) as e:
                    link.ask(ssh.REMOVE, text(self._full(draft)))
                    if not left or not isinstance(e, Status) or e.code != ssh.NO_SUCH_FILE:
                        raise  # else somebody swept it
        raise AssertionError  # the loop returns or raises

    def _draft(self, link: Connection, draft: str, data: bytes | bytearray | memoryview) -> Seen:
        opening = (text(self._full(draft)), _CREATE)
        try:
            handle = bytes(text_in(link.get(link.ask(ssh.OPEN, *opening), _HANDLE))[0])
        except Status as e:
            if e.code != ssh.NO_SUCH_FILE:
                raise
            self._make_folders(link, self._full(draft))
            handle = bytes(text_in(link.get(link.ask(ssh.OPEN, *opening), _HANDLE))[0])
        try:
            self._fill(link, handle, memoryview(data).cast("B"))
            # A time by chance, as a store in a folder gives its files where only whole seconds are kept.
            second = (1 << 30) + int.from_bytes(os.urandom(4), "big") % (1 << 30)
            link.get(link.ask(ssh.FSETSTAT, text(handle), struct.pack(">III", 8, second, second)))
            if _FSYNC in link.extensions:
                link.get(link.ask(ssh.EXTENDED, text(_FSYNC), text(handle)))
            attrs, _ = attrs_in(link.get(link.ask(ssh.FSTAT, text(handle)), _ATTRS))
            link.get(link.ask(ssh.CLOSE, text(handle)))
        except Status as e:
            link.ask(ssh.CLOSE, text(handle))
            link.ask(ssh.REMOVE, text(self._full(draft)))
            raise self._full_disk(link, e) from None
        return _seen(attrs)

    def _fill(self, link: Connection, handle: bytes, data: memoryview) -> None:
        under_way: deque[Future[Reply]] = deque()
        for at in range(0, len(data), _PIECE):
            if len(under_way) >= _UNDER_WAY:
                link.get(under_way.popleft())
            piece = bytes(data[at : at + _PIECE])
            under_way.append(link.ask(ssh.WRITE, text(handle), struct.pack(">Q", at), text(piece)))
        for reply in under_way:
            link.get(reply)

    def _rename(self, link: Connection, draft: str, path: str, new: bool) -> None:
        ends = text(self._full(draft)) + text(self._full(path))
        for left in (True, False):
            try:
                if new:
                    link.get(link.ask(ssh.RENAME, ends))
                else:
                    link.get(link.ask(ssh.EXTENDED, text(_POSIX_RENAME), ends))
                return
            except Status as e:
                if e.code == ssh.NO_SUCH_FILE and left:
                    self._make_folders(link, self._full(path))
                elif e.code in (ssh.FAILURE, _EXISTS) and new and self.look(path) is not None:
                    raise FileExistsError(path) from None
                else:
                    raise

    def _make_folders(self, link: Connection, full: str) -> None:
        """The folders that a file lies in, as far as they are missing: asked for at once, one after the other."""
        names = full.split("/")[:-1]
        replies = [
            link.ask(ssh.MKDIR, text("/".join(names[:n])), struct.pack(">I", 0))
            for n in range(1, len(names) + 1)
            if "/".join(names[:n])
        ]
        for reply in replies:
            try:
                link.get(reply)
            except Status:
                continue  # it is there, or may not be made: what is to lie in it tells

    def _sweep(self, link: Connection) -> None:
        """Remove the drafts that a writer over SSH left who was killed. Another one at work, which there must not be,
        would have to write its draft anew."""
        if self._swept:
            return
        self._swept = True
        for name, _ in self._names(link, DRAFTS):
            if name.startswith(_OWN):
                link.ask(ssh.REMOVE, text(self._full(f"{DRAFTS}/{name}")))

    def remove(self, path: str) -> None:
        """Delete a file. Raises StoreUnavailable, Unknown."""
        with self._told(f"deleting {path}", path) as link:
            try:
                link.get(link.ask(ssh.REMOVE, text(self._full(path))))
            except Closed:
                raise Unknown(path, where=self._place.url) from None
            except Status as e:
                if e.code != ssh.NO_SUCH_FILE and self.look(path) is not None:
                    raise

    def folder(self, path: str) -> Iterator[tuple[str, Seen | None]]:
        """What lies in a folder. Raises StoreUnavailable."""
        with self._told(f"listing {path}", path) as link:
            return iter(self._names(link, path))

    def _names(self, link: Connection, path: str) -> list[tuple[str, Seen | None]]:
        try:
            full = self._full(path).rstrip("/")
            handle = bytes(text_in(link.get(link.ask(ssh.OPENDIR, text(full)), _HANDLE))[0])
        except Status as e:
            if e.code == ssh.NO_SUCH_FILE or (e.code == ssh.FAILURE and path):
                return []
            raise
        found: list[tuple[str, Seen | None]] = []
        try:
            while True:
                body = link.get(link.ask(ssh.READDIR, text(handle)), ssh.NAME)
                count, body = ssh.number_in(body), body[4:]
                for _ in range(count):
                    name, body = text_in(body)
                    _, body = text_in(body)
                    attrs, body = attrs_in(body)
                    if attrs.folder or attrs.regular:
                        found.append(
                            (bytes(name).decode("utf-8", "replace"), None if attrs.folder else _seen(attrs))
                        )
        except Status as e:
            if e.code != ssh.EOF:
                raise
        finally:
            link.ask(ssh.CLOSE, text(handle))
        return found

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _link(self) -> Connection:
        with self._connecting:
            link = self._connection
            if link is None or link.closed or link.pid != os.getpid():
                link = self._connection = Connection(self._target, self._port, self._environ)
            return link

    @contextmanager
    def _told(self, doing: str, path: str) -> Iterator[Connection]:
        """A connection; what it meets is told in rote's errors."""
        try:
            yield self._link()
        except Closed as e:
            raise self._lost(e, doing) from None
        except Status as e:
            raise self._refused(e, doing) from None
        except (struct.error, IndexError, ValueError):
            raise self._error(
                f"the server does not speak SFTP as it should ({doing})", "try sftp by hand"
            ) from None
        except StoreUnavailable as e:
            e.where = e.where or self._place.url
            raise

    def _lost(self, e: Closed, doing: str) -> StoreUnavailable:
        by_hand = f"try by hand: sftp {f'-P {self._port} ' if self._port else ''}{self._target}"
        said = f": ssh said: {e.said[:300]}" if e.said else ""
        error = StoreUnavailable(
            f"the connection broke ({doing}){said}" if e.began else f"the server cannot be reached{said}",
            where=self._place.url,
            safe="nothing was changed",
            next=f"{by_hand}  (rote asks for no password: keys, an agent or ~/.ssh/config must do)",
        )
        error.reached = e.began
        permanent = (
            "denied",
            "verification failed",
            "resolve hostname",
            "Bad configuration",
            "not permitted",
            "subsystem",
        )
        error.retry = e.began or not any(word in e.said for word in permanent)
        return error

    def _refused(self, e: Status, doing: str) -> RoteError:
        if e.code == ssh.DENIED:
            return self._error(
                f"the server does not allow this user that ({doing})", f"see who owns {self._root} there"
            )
        if e.code == ssh.NO_SUCH_FILE:
            return NotFound(doing.rpartition(" ")[2], where=self._place.url)
        return self._error(
            f"the server refused ({doing}: SFTP status {e.code})", "try sftp by hand; see the server's log"
        )

    def _error(self, what: str, hint: str) -> StoreUnavailable:
        error = StoreUnavailable(what, where=self._place.url, safe="nothing was changed", next=hint)
        error.retry = False
        return error

    def _full_disk(self, link: Connection, e: Status) -> Exception:
        """SFTP has no word for a full disk: the free blocks tell."""
        if e.code != ssh.FAILURE or _STATVFS not in link.extensions:
            return e
        try:
            body = link.get(link.ask(ssh.EXTENDED, text(_STATVFS), text(self._full(DRAFTS))), _EXTENDED_REPLY)
            _, fragment, _, _, available = struct.unpack(">5Q", body[:40])
        except (Status, struct.error):
            return e
        if fragment * available > 2 * (32 << 20):
            return e
        return StoreFull(
            "the server's disk takes no more",
            where=self._place.url,
            safe="everything committed before is untouched, and nothing half-written counts",
            next="make room there, then type the same command again",
        )


_HANDLE = 102
_ATTRS = 105
_EXTENDED_REPLY = 201
_EXISTS = 11
"""What later versions say of a file that is there."""


def _seen(attrs: Attrs) -> Seen:
    """As the etag of a store in a folder, with the nanoseconds that SFTP leaves out."""
    return Seen(attrs.size, f"{attrs.mtime * 1_000_000_000:x}-{attrs.size:x}")


def _pieces(link: Connection, handle: bytes, start: int, length: int) -> bytes:
    """So many bytes, or as many as there are. Servers may give less at once than they are asked for."""

    def ask(at: int, count: int) -> Future[Reply]:
        return link.ask(ssh.READ, text(handle), struct.pack(">QI", at, count))

    found: list[bytes] = []
    under_way: deque[tuple[int, int, Future[Reply]]] = deque()
    at, end = start, start + length
    while at < end or under_way:
        while at < end and len(under_way) < _UNDER_WAY:
            count = min(_PIECE, end - at)
            under_way.append((at, count, ask(at, count)))
            at += count
        begin, count, reply = under_way.popleft()
        try:
            data = bytes(text_in(link.get(reply, ssh.DATA))[0])
        except Status as e:
            if e.code != ssh.EOF:
                raise
            break
        found.append(data)
        if len(data) < count:
            under_way.appendleft(
                (begin + len(data), count - len(data), ask(begin + len(data), count - len(data)))
            )
    return b"".join(found)
