"""A stage on which several processes use one store, one request at a time, in an order that a seed decides.

Every process is a thread that holds the baton while it works; before each request it hands the baton to whoever the seed
names. A process may be told to crash before or after a request (it then never sends another), and the reply to a write may be lost.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import NotFound, Unknown
from rote.ports import Found, Meta, ObjectStore
from rote.words.encoding import digest_of

WRITES = frozenset(["create", "replace", "delete"])


class Crashed(BaseException):
    """The process is no more. Not an Exception: nothing may catch it and go on."""


class Odds:
    """How often, for each request, a process crashes, a write's reply is lost, and somebody falls asleep (for up to 400
    requests of the others: a machine that is suspended)."""

    def __init__(self, crash: float = 0.0, lose: float = 0.0, sleep: float = 0.0) -> None:
        self.crash = crash
        self.lose = lose
        self.sleep = sleep


class Stage:
    """Runs processes over one MemoryStore until all are over."""

    def __init__(self, seed: int, odds: Odds, watch: Callable[[str, str], None] | None = None) -> None:
        self.random = random.Random(seed)
        self.odds = odds
        self.store = MemoryStore()
        self.watch = watch
        self.etags_repeat = seed % 2 == 0
        self._batons: dict[str, threading.Lock] = {}
        self._alive: list[str] = []
        self._finished = threading.Event()
        self._failures: list[BaseException] = []
        self._turns = 0
        self._asleep: dict[str, int] = {}

    def play(self, processes: dict[str, Callable[[ObjectStore], None]]) -> None:
        """Run the processes to their ends. Raises the first error that one of them ended with, a crash excepted."""
        threads = []
        for name, work in processes.items():
            self._batons[name] = threading.Lock()
            self._batons[name].acquire()
            threads.append(threading.Thread(target=self._process, args=(name, work), daemon=True))
        self._alive = list(processes)
        for thread in threads:
            thread.start()
        self._batons[self.chosen()].release()
        if not self._finished.wait(120):
            pytest.fail("the processes hang")
        for thread in threads:
            thread.join(60)
        if self._failures:
            raise self._failures[0]

    def _process(self, name: str, work: Callable[[ObjectStore], None]) -> None:
        self._batons[name].acquire()
        try:
            work(Door(self, name))
        except Crashed:
            pass
        except BaseException as e:  # noqa: BLE001 (raised again by play(), in the test's own thread)
            self._failures.append(e)
        self._alive.remove(name)
        if self._alive:
            self._batons[self.chosen()].release()
        else:
            self._finished.set()

    def chosen(self) -> str:
        """Whose turn it is."""
        if not self.odds.sleep:
            return self.random.choice(self._alive)
        self._turns += 1
        if self.random.random() < self.odds.sleep:
            self._asleep[self.random.choice(self._alive)] = self._turns + self.random.randrange(400)
        awake = [name for name in self._alive if self._asleep.get(name, 0) <= self._turns]
        return self.random.choice(awake or self._alive)

    def turn(self, name: str) -> None:
        """Hand the baton on, and wait until it is back."""
        if len(self._alive) > 1:
            chosen = self.chosen()
            if chosen != name:
                self._batons[chosen].release()
                self._batons[name].acquire()


class Door:
    """The store as one process sees it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._stage = stage
        self._name = name
        self._dead = False

    url = "memory:"

    def _do(self, kind: str, key: str, act: Callable[[], object]) -> object:
        if self._dead:
            raise Crashed
        stage = self._stage
        stage.turn(self._name)
        draw = stage.random.random()
        if draw < stage.odds.crash:
            self._dead = True
            if draw < stage.odds.crash / 2 and kind in WRITES:
                self._apply(kind, key, act)  # and nobody is left to hear of it
            raise Crashed
        lost = kind in WRITES and stage.random.random() < stage.odds.lose
        if lost and stage.random.random() < 0.5:
            raise Unknown(key)
        answer = self._apply(kind, key, act)
        if lost:
            raise Unknown(key)
        return answer

    def _apply(self, kind: str, key: str, act: Callable[[], object]) -> object:
        answer = act()
        if self._stage.watch:
            self._stage.watch(kind, key)
        return answer

    def get(self, key: str) -> Found:
        return self._do("get", key, lambda: self._found(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._do("get", key, lambda: self._stage.store.get_range(key, start, length))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._do("get", key, lambda: self._stage.store.get_ranges(key, ranges))

    def head(self, key: str) -> Meta:
        return self._do("head", key, lambda: Meta(key, len(self._found(key).data), self._found(key).etag))

    def create(self, key: str, data: bytes) -> str:
        return self._do("create", key, lambda: self._etag(data, self._stage.store.create(key, data)))

    def replace(self, key: str, data: bytes, etag: str) -> str:
        return self._do("replace", key, lambda: self._replace(key, data, etag))

    def delete(self, key: str, etag: str | None = None) -> None:
        self._do("delete", key, lambda: self._stage.store.delete(key, etag and self._real(key, etag)))

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        return iter(self._do("list", prefix, lambda: list(self._stage.store.list(prefix, after))))

    # ---- etags: of the write, or of the bytes, as in S3, where they come back with the bytes ------------------------

    def _etag(self, data: bytes, etag: str) -> str:
        return digest_of(data) if self._stage.etags_repeat else etag

    def _found(self, key: str) -> Found:
        found = self._stage.store.get(key)
        return Found(found.data, self._etag(found.data, found.etag))

    def _real(self, key: str, etag: str) -> str:
        """The store's own etag for the one that was given out; `none` if the object has another by now."""
        try:
            found = self._stage.store.get(key)
        except NotFound:
            return "none"
        return found.etag if self._etag(found.data, found.etag) == etag else "none"

    def _replace(self, key: str, data: bytes, etag: str) -> str:
        return self._etag(data, self._stage.store.replace(key, data, self._real(key, etag)))
