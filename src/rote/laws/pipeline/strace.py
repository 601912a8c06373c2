"""Command lines that are watched, and what a log of strace tells of the files that were read."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence

from rote.laws.pipeline.sightings import Seen, relative

_CALLS = (
    "open openat openat2 creat execve execveat chdir rename renameat renameat2 link linkat symlink symlinkat "
    "access faccessat faccessat2 stat lstat newfstatat statx"
)


def traced(cmd: Sequence[str], tracer: str, log: str) -> tuple[str, ...]:
    """The command lines, each under strace. Signals reach the command, not strace, and its exit code is passed on."""
    calls = ",".join(f"?{call}" for call in _CALLS.split())
    return tuple(
        f"exec {shlex.quote(tracer)} -f -qq -y -s 0 -e signal=none -e trace={calls} "
        f"-o {shlex.quote(f'{log}-{number}')} /bin/sh -c {shlex.quote(line)}"
        for number, line in enumerate(cmd)
    )


def with_path(line: str, variable: str) -> str:
    """The command line, in which `PYTHONPATH=` outside of quotes, where a command may begin or after `env` or `export`,
    keeps the entry that `$variable` holds at its front. Everything else stays as it is."""
    if "PYTHONPATH=" not in line:
        return line
    parts, last = [], 0
    for match in _ASSIGNED.finditer(line):
        if not _quoted(line[: match.start("name")]):
            parts.append(line[last : match.end("name")] + f"${variable}:")
            last = match.end("name")
    return "".join(parts) + line[last:]


_ASSIGNED = re.compile(
    r"(?:^|[;&|({\n]|\b(?:env|export|then|do|else|time|exec)\s)\s*"
    r"(?:-\S+\s+)*(?:[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|[^\s'\";&|])*\s+)*(?P<name>PYTHONPATH=)"
)


def _quoted(before: str) -> bool:
    """Whether what follows stands in quotes."""
    quote = ""
    escaped = False
    for letter in before:
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
    return bool(quote)


_CALL = re.compile(rb"^(?P<pid>\d+) +(?P<rest>.*)$", re.DOTALL)
_BEGUN = re.compile(rb"^(?P<name>\w+)\((?P<args>.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(rb"^<\.\.\. (?P<name>\w+) resumed>(?P<args>.*)$")
_WHOLE = re.compile(rb"^(?P<name>\w+)\((?P<args>.*)\) += (?P<result>.*)$")
_STRING = re.compile(rb'"(?P<text>(?:[^"\\]|\\.)*)"')
_AT = re.compile(rb"^(?:AT_FDCWD|\d+)<(?P<path>(?:[^<>\\]|\\.)*)>, ")
_OPENED = re.compile(rb"^\d+<(?P<path>/(?:[^<>\\]|\\.)*)>")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


def _plain(text: bytes) -> str:
    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 255]) if code[:1].isdigit() else _LETTERS.get(code, code)

    return _ESCAPE.sub(one, text).decode("utf-8", "surrogateescape")


class Log:
    """Reads a log of `strace -f -y` line by line. `cwd` is the folder that the command starts in."""

    def __init__(self, cwd: str) -> None:
        self.started = False
        self.trouble = ""
        self._cwd = cwd
        self._folders: dict[bytes, str] = {}
        self._begun: dict[bytes, bytes] = {}
        self._read: dict[str, None] = {}
        self._missing: set[str] = set()
        self._wrote: set[str] = set()
        self._listed: set[str] = set()

    def take(self, line: bytes) -> None:
        """One line. What is no whole call is left out."""
        match = _CALL.match(line.rstrip(b"\n"))
        if match is None:
            return
        pid, rest = match["pid"], match["rest"]
        if begun := _BEGUN.match(rest):
            self._begun[pid] = begun["name"] + b"(" + begun["args"]
            return
        if resumed := _RESUMED.match(rest):
            rest = self._begun.pop(pid, b"") + resumed["args"]
        if whole := _WHOLE.match(rest):
            self._call(pid, whole["name"].decode(), whole["args"], whole["result"])

    def add_to(self, seen: Seen, roots: Iterable[str]) -> None:
        """Add what concerns the project. Folders are told as listed only where no Python searches for modules."""
        tops = tuple(roots)

        def inside(paths: Iterable[str]) -> Iterable[str]:
            for path in paths:
                found = relative(posixpath.normpath(path), tops)
                if found is not None and _tellable(found) and not _library(found):
                    yield found

        for path in inside(self._read):
            seen.reads.setdefault(_of_source(path), None)
        seen.missing.update(p for p in inside(self._missing) if not p.endswith(".pyc"))
        seen.wrote.update(inside(self._wrote))
        seen.listed.update(path for path in inside(self._listed) if path not in seen.sought)

    def _call(self, pid: bytes, name: str, args: bytes, result: bytes) -> None:
        self.started = True
        at = _AT.match(args)
        if at is not None and args.startswith(b"AT_FDCWD"):
            self._folders[pid] = _plain(at["path"])
        strings = [_plain(m["text"]) for m in _STRING.finditer(args)]
        if not strings:
            return
        base = _plain(at["path"]) if at is not None else self._folders.get(pid, self._cwd)
        ok = not result.startswith(b"-1")
        if name.startswith(("rename", "link", "symlink")):
            if ok:
                self._wrote.add(posixpath.join(self._folders.get(pid, self._cwd), strings[-1]))
            return
        path = posixpath.join(base, strings[0])
        if name == "chdir":
            if ok:
                self._folders[pid] = path
        elif not ok:
            if b"ENOENT" in result and b"O_CREAT" not in args:
                self._missing.add(path)
        elif name.startswith("exec"):
            self._read[path] = None
        elif name.startswith(("open", "creat")):
            self._opened(path, name, args, result)

    def _opened(self, path: str, name: str, args: bytes, result: bytes) -> None:
        if b"O_PATH" in args:
            return
        if (real := _OPENED.match(result)) and not posixpath.isabs(path):
            path = _plain(real["path"])
        if b"O_DIRECTORY" in args:
            self._listed.add(path)
            return
        writes = name == "creat" or re.search(rb"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", args)
        if name != "creat" and not re.search(rb"O_WRONLY|O_TRUNC|O_EXCL", args):
            self._read[path] = None
        if writes:
            self._wrote.add(path)


def _of_source(path: str) -> str:
    """The source of a compiled module, else the path itself."""
    folder, _, name = path.rpartition("/")
    if folder.split("/")[-1] != "__pycache__":
        return path
    above = folder.rpartition("/")[0]
    source = name.partition(".")[0] + ".py"
    return f"{above}/{source}" if above else source


def _library(path: str) -> bool:
    return "/site-packages/" in path or "/dist-packages/" in path


def _tellable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
