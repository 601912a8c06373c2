"""Bytes of a configuration file -> text, with what may go wrong on the way."""

from __future__ import annotations

import os
import stat

from rote.errors import ConfigError
from rote.wiring.config.refusal import refused
from rote.words.pipeline import At

LIMIT = 16 << 20
"""Bytes that a configuration or params file may have: far above what people write, far below what fills memory."""
BOM = "\ufeff"


def read_bytes(root: str, file: str) -> bytes | None:
    """The file's bytes, or None if there is no such file. Raises ConfigError if it cannot be read or is too large."""
    path = os.path.join(root, file)
    try:
        with open(path, "rb", opener=_opener) as opened:
            status = os.fstat(opened.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise refused(At(file, 0), "this is a folder; expected a file", f"rename the folder {file}")
            if not stat.S_ISREG(status.st_mode):
                raise refused(At(file, 0), "this is not a regular file", f"replace {file} by a regular file")
            data = opened.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            raise refused(
                At(file, 0), "this is a link to a file that is not there", "repair the link"
            ) from None
        return None
    except IsADirectoryError:
        raise refused(At(file, 0), "this is a folder; expected a file", f"rename the folder {file}") from None
    except OSError as e:
        raise refused(At(file, 0), f"cannot be read: {e.strerror}", f"ls -l {file}") from e
    if len(data) > LIMIT:
        raise refused(
            At(file, 0),
            f"this file is larger than {LIMIT >> 20} MiB, too large for configuration",
            "put large values into a data file, and list that under `deps`",
        )
    return data


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer must not hang


def decode(data: bytes, file: str) -> str:
    """UTF-8, with or without a byte order mark. Raises ConfigError with the line of the first byte that is not."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            what = "this file is UTF-16; expected UTF-8"
        else:
            what = f"byte 0x{data[e.start]:02x} is not valid UTF-8; expected UTF-8"
        raise refused(At(file, line), what, f"convert it: iconv -t UTF-8 {file}") from e
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise refused(At(file, line), "there is a NUL character; expected text", "remove it")
    return text.removeprefix(BOM)


def missing(file: str, at: At | None = None) -> ConfigError:
    """The error for a file that has to be there."""
    return refused(
        at or At(file, 0), f"there is no file {file}" if at else "there is no such file", f"write {file}"
    )
