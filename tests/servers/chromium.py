"""Chromium without a window: a real browser for pages."""

from __future__ import annotations

import shutil

PACKAGES = ("chromium",)


def program() -> str | None:
    """Where it is."""
    return shutil.which("chromium")


def missing() -> bool:
    """Whether it is not installed."""
    return program() is None
