"""Addresses of stores."""

from __future__ import annotations

import pytest

from rote.adapters.stores.address import folder
from rote.errors import UsageError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("store", "/p/store"),
        ("./a/../b", "/p/b"),
        ("/abs/x", "/abs/x"),
        ("file:///abs/x", "/abs/x"),
        ("FILE://localhost/x", "/x"),
        ("a:b", "/p/a:b"),
    ],
)
def test_folder(url: str, path: str) -> None:
    assert folder(url, "/p") == path


@pytest.mark.parametrize("url", ["s3://bucket", "ftp://x", "file://host/x", "", " ", "file://"])
def test_refused(url: str) -> None:
    with pytest.raises(UsageError):
        folder(url, "/p")


def test_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert folder("~/store", "/p") == "/home/me/store"
