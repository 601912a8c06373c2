"""How an error is shown."""

from __future__ import annotations

import sys

from rote.errors import RoteError


def show_error(error: RoteError) -> None:
    """Write the error to the terminal's error stream: what and where, what is safe, what to type next."""
    first, *rest = error.lines()
    text = "".join([f"rote: {first}\n", *(f"  {line}\n" for line in rest)])
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
    sys.stderr.flush()
