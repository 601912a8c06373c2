"""Clauses of the contract: reading and moving channels."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rote.errors import Conflict, Corrupt, NotFound, Refused
from rote.ports.hosting import CHANNEL_BYTES, ReleaseHost, Told
from rote.testing.host_contract.parts import (
    MODEL,
    TAG,
)
from rote.testing.host_contract.place import HostPlace


class ChannelClauses(HostPlace):
    """One test a clause."""

    def test_a_channel_is_moved_and_read(self, host: ReleaseHost, place: Path) -> None:
        first = host.move(MODEL, "prod", b'{"seq":1}', None)
        assert first.data == b'{"seq":1}'
        client = self.public(host, place)
        told = client.channel(MODEL, "prod")
        assert told is not None
        assert told.data == b'{"seq":1}'
        assert client.channel(MODEL, "prod", told.etag) is None
        host.move(MODEL, "prod", b'{"seq":2}', host.channel(MODEL, "prod"))
        moved = client.channel(MODEL, "prod", told.etag)
        assert moved is not None
        assert moved.data == b'{"seq":2}'
        assert client.channel(MODEL, "prod", moved.etag) is None

    def test_a_move_begins_where_the_last_one_ended(self, host: ReleaseHost, place: Path) -> None:
        told: Told | None = None
        for seq in range(1, 8):
            told = (host, self.again(host, place))[seq % 2].move(MODEL, "prod", b'{"seq":%d}' % seq, told)
        read = host.channel(MODEL, "prod")
        assert read is not None
        assert read.data == b'{"seq":7}'

    def test_channels_are_kept_apart(self, host: ReleaseHost) -> None:
        names = [(model, alias) for model in ("a", "b") for alias in ("prod", "staging", "prod-eu")]
        for model, alias in names:
            host.move(model, alias, f"{model} {alias}".encode(), None)
        for model, alias in names:
            told = host.channel(model, alias)
            assert told is not None
            assert told.data == f"{model} {alias}".encode()
        with pytest.raises(NotFound):
            host.channel("a", "pro")

    def test_a_move_from_elsewhere_is_refused(self, host: ReleaseHost, place: Path) -> None:
        first = host.move(MODEL, "prod", b'{"seq":1}', None)
        with pytest.raises(Conflict):
            host.move(MODEL, "prod", b'{"seq":1,"by":"another"}', None)
        host.move(MODEL, "prod", b'{"seq":2}', first)
        with pytest.raises(Conflict):
            self.again(host, place).move(MODEL, "prod", b'{"seq":2,"by":"another"}', first)
        told = host.channel(MODEL, "prod")
        assert told is not None
        assert told.data == b'{"seq":2}'

    def test_of_many_moves_at_once_one_wins(self, host: ReleaseHost, place: Path) -> None:
        first = host.move(MODEL, "prod", b'{"seq":1}', None)
        clients = [host, *(self.again(host, place) for _ in range(3))]
        start = threading.Barrier(len(clients))

        def move(n: int) -> bool:
            start.wait(60)
            try:
                clients[n].move(MODEL, "prod", b'{"seq":2,"by":%d}' % n, first)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(len(clients)) as pool:
            won = [n for n, yes in enumerate(pool.map(move, range(len(clients)))) if yes]
        told = host.channel(MODEL, "prod")
        assert told is not None
        assert told.data in [b'{"seq":2,"by":%d}' % n for n in won]
        if self.exact_moves:
            assert len(won) == 1

    def test_a_document_that_is_too_large_is_neither_written_nor_read(
        self, host: ReleaseHost, place: Path
    ) -> None:
        with pytest.raises(Refused):
            host.move(MODEL, "prod", b"x" * (CHANNEL_BYTES + 1), None)
        told = host.move(MODEL, "prod", b"x" * CHANNEL_BYTES, None)
        assert host.channel(MODEL, "prod", told.etag) is None
        self.raw_channel(host, place, MODEL, "prod", b"y" * (CHANNEL_BYTES + 1))
        with pytest.raises(Corrupt):
            self.public(host, place).channel(MODEL, "prod")

    def test_a_channel_is_no_release(self, host: ReleaseHost) -> None:
        host.move(MODEL, "prod", b"{}", None)
        assert host.latest() is None
        assert host.find(TAG) is None
