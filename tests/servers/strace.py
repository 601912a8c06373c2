"""strace, the program that traces stages in any language."""

from __future__ import annotations

import shutil

PACKAGES = ("strace",)


def missing() -> bool:
    """Whether it is not installed."""
    return shutil.which("strace") is None
