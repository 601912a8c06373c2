"""What the suite needs to know of a store."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from rote.ports import ObjectStore

_ONE = threading.Lock()


class Contract(ABC):
    """What a suite must be told of a store."""

    etags_repeat = False
    """Say True if equal bodies have equal etags (as on S3): that is allowed, and conditions then meet other bodies."""
    conditional_delete = True
    """Say False if `delete` with the right etag is Unsupported: that is allowed, and must be said."""

    several_writers = True
    """Say False for a store that only one may write to at a time: the tests of races then let the clients take turns,
    each for one look and one write, which is what such a store promises."""

    @abstractmethod
    def make(self, place: Path) -> ObjectStore:
        """A new, empty store."""

    @abstractmethod
    def again(self, store: ObjectStore, place: Path) -> ObjectStore:
        """Another client of the same store."""

    @abstractmethod
    def raw_put(self, store: ObjectStore, place: Path, key: str, data: bytes) -> None:
        """Plant an object behind the API's back."""

    @abstractmethod
    def raw_get(self, store: ObjectStore, place: Path, key: str) -> bytes | None:
        """The bytes of an object as they lie there, or None, behind the API's back."""

    def __init_subclass__(cls) -> None:
        for name in vars(cls):
            if name.startswith("test_") and any(name in vars(base) for base in cls.__mro__[1:]):
                raise TypeError(f"{cls.__name__} overrides {name}: the contract is the same for every store")

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the store may put things."""
        return tmp_path

    def _turn(self) -> AbstractContextManager[object]:
        """For one look and one write of one client."""
        return nullcontext() if self.several_writers else _ONE

    @pytest.fixture
    def store(self, place: Path) -> ObjectStore:
        """The store under test."""
        return self.make(place)
