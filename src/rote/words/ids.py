"""Names and ids: parsed once at the border, typed after that. Hostile names end here."""

from __future__ import annotations

import re
from typing import NewType

from rote.errors import BadName

Digest = NewType("Digest", str)
"""BLAKE3, 256 bits, as 64 lower-case hexadecimal digits."""

SnapshotId = NewType("SnapshotId", Digest)
"""The digest of a snapshot's logical content."""

StageKey = NewType("StageKey", Digest)
"""The digest of all that determines a stage's result."""

TxnId = NewType("TxnId", str)
"""Names one write: UTC time to the second, then 16 random hexadecimal digits. Never reused."""

RunId = NewType("RunId", str)
"""Names one run: UTC time to the second, then 6 hexadecimal digits: the fraction of the second in 4096ths, and 3 random
ones. Sorts by time."""

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_TXN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{16}\Z")
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_STAGE = re.compile(r"(?:[ -9;-~]+:)?[A-Za-z0-9_][A-Za-z0-9._-]*(?:@[ -~]*)?\Z")
_PLAIN_STAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,99}\Z")
_LONGEST_STAGE = 200


def digest(text: str) -> Digest:
    """Parse 64 lower-case hexadecimal digits. Raises BadName."""
    if not _DIGEST.match(text):
        raise BadName(f"not a digest (64 lower-case hexadecimal digits): {shown(text)}")
    return Digest(text)


def snapshot_id(text: str) -> SnapshotId:
    """Parse a snapshot id. Raises BadName."""
    return SnapshotId(digest(text))


def stage_key(text: str) -> StageKey:
    """Parse a stage key. Raises BadName."""
    return StageKey(digest(text))


def txn_id(text: str) -> TxnId:
    """Parse a transaction id. Raises BadName."""
    if not _TXN.match(text):
        raise BadName(f"not a transaction id: {shown(text)}")
    return TxnId(text)


def run_id(text: str) -> RunId:
    """Parse a whole run id. Raises BadName."""
    if not _RUN.match(text):
        raise BadName(f"not a run id: {shown(text)}")
    return RunId(text)


def name(text: str, what: str = "name") -> str:
    """Parse the name of a model, an alias, a tag or a store: letters, digits, `.`, `_`, `-`, at most 100, beginning
    with a letter or digit. Raises BadName, which says `what` was being named."""
    if not _NAME.match(text) or text.endswith("."):
        raise BadName(
            f"not a valid {what}: {shown(text)}",
            next=f"a {what} is letters, digits, '.', '_' and '-', at most 100, beginning with a letter or digit",
        )
    return text


def stage_name(text: str) -> str:
    """Parse a stage's name: letters, digits, `.`, `_`, `-`; after an `@` any ASCII text (the item of `foreach`); before
    a `:` the folder of its pipeline file. At most 200 characters. Raises BadName."""
    if len(text) > _LONGEST_STAGE or not _STAGE.match(text):
        raise BadName(f"not a valid stage name: {shown(text)}")
    return text


def stage_file(stage: str) -> str:
    """The stage's name as the name of a file or folder; no two stages have the same."""
    if _PLAIN_STAGE.match(stage):
        return stage
    encoded = "".join(c if c.isalnum() or c in "._@-" else f"%{ord(c):02x}" for c in stage)
    if len(encoded) <= _LONGEST_STAGE:
        return encoded
    import hashlib  # names this long are rare

    return f"{encoded[:100]}%{hashlib.sha256(stage.encode()).hexdigest()[:32]}"


def stage_of_file(name: str) -> str:
    """The stage whose `stage_file` this is; of a name that had to be cut, the file's own."""
    return re.sub(r"%([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), name)


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `1,797 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shown(text: str, limit: int = 80) -> str:
    """Hostile text made fit to be shown: control characters and lone surrogates escaped, cut at `limit`."""
    clean = text if len(text) <= limit else text[: limit - 1] + "…"
    return (
        "'"
        + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clean)
        + "'"
    )


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that `word` was probably meant to be, or None."""
    import difflib  # only an error needs it, and it costs start-up time

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None
