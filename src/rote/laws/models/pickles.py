"""Files that run code when they are loaded: told by their names and their first bytes, never by loading them."""

from __future__ import annotations

import re

HEAD = 512
"""How many of a file's first bytes are worth looking at."""

_SUFFIXES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill", ".cloudpickle")
_ZIP = b"PK\x03\x04"
_NUMPY = b"\x93NUMPY"
_PROTOCOLS = range(2, 6)
# Protocols 0 and 1 have no mark of their own: a global by name, or an empty list, dict or tuple, and then a memo.
_OLD = re.compile(
    rb"(?:[(]*c[A-Za-z_][A-Za-z0-9_.]*\n[A-Za-z_][A-Za-z0-9_.]*\n(?=p\d|q[\x00-\x1f]|[(){}\]])|\((?:dp|lp|i)\d+\n|[\]}]q\x00)"
)


def why_pickle(path: str, head: bytes) -> str | None:
    """Why the file at `path`, which begins with `head`, is taken for a pickle; None if it is not.

    `head` holds the first `HEAD` bytes, or fewer if the file is shorter. Never raises.
    """
    if len(head) >= 2 and head[0] == 0x80 and head[1] in _PROTOCOLS:
        return f"it begins as a pickle of protocol {head[1]}"
    if _OLD.match(head):
        return "it begins as a pickle of protocol 0 or 1"
    if head.startswith(_ZIP) and b"data.pkl" in head:
        return "it is a PyTorch archive with a pickle in it"
    if head.startswith(_NUMPY) and b"'descr': '|O'" in head:
        return "it is a NumPy array of objects, which is a pickle"
    lower = path.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(suffix):
            return f"its name ends with {suffix}"
    return None
