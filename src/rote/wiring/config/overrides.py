"""Overridden params files: written for the time of a run, and put back afterwards, also after a kill.

Before a params file is changed, its bytes go into `.rote/overrides.json`. Whoever begins the next run calls `restore`
first, so that an override never outlives its run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from rote.errors import ConfigError, Corrupt, RoteError
from rote.laws.pipeline import overriding
from rote.laws.pipeline.overriding import Override
from rote.wiring.config import params, reading
from rote.words.encoding import digest_of
from rote.words.ids import Digest, shown
from rote.words.pipeline import Pipeline, Values

JOURNAL: Final = ".rote/overrides.json"
ASIDE: Final = ".rote/aside/overrides"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was: its bytes (in the journal as base64), its times in nanoseconds, and the digest of what was
    written over it."""

    original: bytes
    atime: int
    mtime: int
    written: Digest


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The file `.rote/overrides.json`: what has to be put back."""

    format: int = 1
    files: dict[str, Kept]


def parse(texts: Iterable[str]) -> list[Override]:
    """`-S` options. Raises UsageError and ConfigError."""
    return [overriding.parse(text, decode) for text in texts]


def decode(text: str) -> Any:
    """The value of a `-S`: a YAML flow list, mapping or quoted text; everything else is one plain scalar, with the
    numbers of YAML 1.2. Raises ConfigError."""
    from rote.wiring.config import yamltext  # PyYAML is loaded only where something is overridden
    from rote.wiring.config.scalars import NotPlain, resolve  # the same

    if text[:1] in ("[", "{", '"', "'"):
        try:
            return yamltext.read(text, "-S").bare()
        except ConfigError as e:
            raise ConfigError(
                f"cannot read the value {shown(text)}: {e.what}",
                where="-S",
                next=e.next or "lists: -S 'key=[1, 2]'; text: -S 'key=\"[as it stands\"'",
            ) from e
    try:
        return resolve(text)
    except NotPlain as e:
        raise ConfigError(str(e), where="-S", next=e.next) from e


def rendered(root: str, values: Values, overrides: Sequence[Override]) -> dict[str, bytes]:
    """Each params file that the overrides change: its new bytes. Nothing is written. Raises ConfigError."""
    from rote.wiring.config import rendering  # as above

    by_file: dict[str, list[tuple[overriding.Place, Any]]] = {}
    for change in overriding.changes(values, overrides):
        by_file.setdefault(change.file, []).append((change.place, change.value))
    new = {}
    for file, changes in by_file.items():
        data = reading.read_bytes(root, file)
        if data is None:
            raise reading.missing(file)
        text = data.decode("utf-8-sig") if data.startswith(b"\xef\xbb\xbf") else reading.decode(data, file)
        text = rendering.render(text, file, changes)
        new[file] = (b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b"") + text.encode()
    return new


@contextmanager
def overridden(root: str, pipeline: Pipeline, overrides: Sequence[Override]) -> Iterator[Values]:
    """The pipeline's params with the overrides in place; inside, the params files say the same.

    What an earlier, killed run left is put back first, whether anything is overridden now or not. Only one process at
    a time may be inside: hold the lock of the working tree. Raises as `restore`, `params.of` and `write`.
    """
    restore(root)
    values = params.of(root, pipeline, overrides)
    if not overrides:
        yield values
        return
    plain = params.of(root, pipeline)
    try:
        write(root, rendered(root, plain, overrides))
        yield values
    finally:
        restore(root)


def write(root: str, files: dict[str, bytes]) -> None:
    """Keep the originals in the journal, then write `files`. Raises ConfigError if a journal is there already."""
    if os.path.lexists(os.path.join(root, JOURNAL)):
        raise ConfigError(
            "the params files are still those of another run",
            where=JOURNAL,
            next="rote run (it restores them first)",
        )
    if not files:
        return
    kept = {file: _keep(root, file, data) for file, data in files.items()}
    _write(os.path.join(root, JOURNAL), msgspec.json.encode(Journal(files=kept)))
    for file, data in files.items():
        _write(os.path.join(root, file), data)


def _keep(root: str, file: str, data: bytes) -> Kept:
    original = reading.read_bytes(root, file)
    if original is None:
        raise reading.missing(file)
    status = os.stat(os.path.join(root, file))
    return Kept(
        original=original,
        atime=status.st_atime_ns,
        mtime=status.st_mtime_ns,
        written=digest_of(data),
    )


def originals(root: str) -> dict[str, bytes]:
    """The params files that a run under way has overridden, as they were and will be again. Raises Corrupt."""
    journal = _journal(root)
    return {file: kept.original for file, kept in journal.files.items()} if journal else {}


def _journal(root: str) -> Journal | None:
    """The journal; None if there is none. Raises Corrupt."""
    try:
        with open(os.path.join(root, JOURNAL), "rb") as opened:
            data = opened.read()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=Journal)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise Corrupt(
            f"the journal of overridden params files is damaged: {e}",
            where=JOURNAL,
            safe="the params files were not touched",
            next=f"git diff (put back what `-S` changed), then rm {JOURNAL}",
        ) from e


def restore(root: str) -> list[str]:
    """Put back every file that the journal keeps, and remove the journal. Without a journal nothing happens.

    A file that somebody changed since it was overridden is left as it is; the original then goes to
    `.rote/aside/overrides/`. Returns a line for each file, fit to be shown. Raises Corrupt if the journal is damaged.
    """
    journal = _journal(root)
    if journal is None:
        return []
    path = os.path.join(root, JOURNAL)
    told = [_restore(root, file, kept) for file, kept in journal.files.items()]
    os.unlink(path)
    _sync(os.path.dirname(path))
    return told


def _restore(root: str, file: str, kept: Kept) -> str:
    path = os.path.join(root, file)
    now = reading.read_bytes(root, file)
    if now == kept.original:
        return f"{file} is as it was"
    if now is None or digest_of(now) == kept.written:
        _write(path, kept.original)
        os.utime(path, ns=(kept.atime, kept.mtime))
        return f"{file} is put back"
    aside = os.path.join(root, ASIDE, file)
    _write(aside, kept.original)
    return (
        f"{file} was changed during the run and is left as it is; the original is {shown(f'{ASIDE}/{file}')}"
    )


def _write(path: str, data: bytes) -> None:
    """Whole or not at all, also in a power cut; the file keeps its mode, a link stays a link."""
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
        from tempfile import mkstemp  # brings random numbers and archives with it; only for runs with `-S`

        handle, aside = mkstemp(prefix=".rote-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            os.chmod(aside, os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o644)
            os.replace(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
        _sync(folder)
    except OSError as e:
        raise RoteError(
            f"cannot write this file: {e.strerror}",
            where=path,
            safe="the file is as it was before",
            next="make room or give access, then do the same again",
        ) from e


def _sync(folder: str) -> None:
    if os.name == "nt":
        return  # folders cannot be opened there, and need not be
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
