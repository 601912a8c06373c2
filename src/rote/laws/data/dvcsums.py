"""How DVC computes sums: of folders from a manifest of their files, of a stage for its cache of runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rote.errors import Corrupt
from rote.words.foreign import DIR, Mark
from rote.words.paths import why_bad

_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?\Z")
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"


def is_sum(text: object) -> bool:
    """Whether this can be an md5 as DVC writes it."""
    return isinstance(text, str) and _MD5.match(text) is not None


def md5(data: bytes | bytearray | memoryview) -> str:
    """The md5 of bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def folder_sum(rows: Iterable[tuple[str, str]]) -> str:
    """The sum of a folder from (path, md5) of each of its files."""
    return md5(manifest_bytes(rows)) + DIR


def manifest_bytes(rows: Iterable[tuple[str, str]]) -> bytes:
    """A folder's manifest: JSON, its files in the order of their paths."""
    listed = [{"md5": digest, "relpath": path} for path, digest in sorted(rows)]
    return json.dumps(listed, sort_keys=True).encode()


def manifest(data: bytes, mark: Mark) -> list[tuple[str, str]]:
    """(path, md5) of each file of a folder. Raises Corrupt if the manifest is not what the mark says, or hostile."""
    name = mark.md5.removesuffix(DIR)
    try:
        rows = [(row["relpath"], row["md5"]) for row in json.loads(data)]
    except (ValueError, TypeError, KeyError) as e:
        raise _damaged(f"it cannot be read: {e}", mark) from e
    for path, digest in rows:
        why = "a path in it is not text" if not isinstance(path, str) else why_bad(path)
        if why or not is_sum(digest) or digest.endswith(DIR):
            raise _damaged(why or "a sum in it is none", mark)
    # Older manifests were written with other spaces or other keys: their name is the sum of the plain form.
    if md5(data) != name and folder_sum(rows) != mark.md5:
        raise _damaged("its sum is another", mark)
    return sorted(rows)


def _damaged(why: str, mark: Mark) -> Corrupt:
    return Corrupt(
        f"the manifest of the folder {mark.md5} is damaged in DVC's cache or remote: {why}",
        safe="nothing was written",
        next="dvc fetch --force-download, or rote run (which makes what a stage makes)",
    )


class Summing:
    """The md5 of a file that comes piece by piece; `legacy` takes the line ends of text as Unix has them."""

    def __init__(self, legacy: bool) -> None:
        self._hash = hashlib.md5(usedforsecurity=False)
        self._legacy = legacy
        self._text: bool | None = None
        self._held = b""

    def add(self, data: bytes | memoryview) -> None:
        """The next piece; the first one, if the file has so many, is of at least 512 bytes."""
        if not self._legacy:
            self._hash.update(data)
            return
        if self._text is None:
            self._text = _is_text(bytes(data[:512]))
        if not self._text:
            self._hash.update(data)
            return
        whole = self._held + bytes(data)
        self._held = b"\r" if whole.endswith(b"\r") else b""
        self._hash.update(whole[: len(whole) - len(self._held)].replace(b"\r\n", b"\n"))

    def sum(self) -> str:
        """The md5 of all that came."""
        if self._held:
            self._hash.update(self._held)
            self._held = b""
        return self._hash.hexdigest()


def _is_text(block: bytes) -> bool:
    if b"\0" in block:
        return False
    return not block or len(block.translate(None, _TEXT)) / len(block) <= 0.30


def object_names(mark: Mark) -> list[str]:
    """Where an object with this sum lies below a cache or remote, the likelier place first."""
    old = f"{mark.md5[:2]}/{mark.md5[2:]}"
    new = f"files/md5/{old}"
    return [old, new] if mark.legacy else [new, old]


def run_key(
    cmd: Sequence[str], deps: Mapping[str, Mark], params: Mapping[str, Mapping[str, Any]], outs: Iterable[str]
) -> str:
    """The key of a stage in DVC's cache of runs; paths are as the stage's own folder sees them."""
    whole: dict[str, Any] = {"cmd": cmd[0] if len(cmd) == 1 else list(cmd)}
    whole["deps"] = [_dep(path, deps[path]) for path in sorted(deps)]
    if params:
        whole["params"] = params
    whole["outs"] = sorted(outs)
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _dep(path: str, mark: Mark) -> dict[str, Any]:
    found: dict[str, Any] = {"path": path, "md5": mark.md5}
    if not mark.legacy:
        found["hash"] = "md5"
    if mark.executable:
        found["isexec"] = True
    return found
