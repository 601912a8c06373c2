"""The seeds find what they are there to find: without a safeguard, the real code soon loses something."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from test_seeds import act

from rote.errors import StoreError
from rote.laws.store.readback import Verdict, in_force, judge
from rote.ports import Meta
from rote.services.store import conditional, roots, transactions
from rote.services.store.fence import Sight
from rote.services.store.transactions import Write
from rote.services.upkeep.marking import Look, Marker, Needed, RootSeen
from rote.words.record import COMMITTED, LIVE

needed, look, read = Marker.needed, Marker.look, Marker._read
open_txn, see, hang = Write._open, Write._see, Write._hang


SMALL_CASTS = [35 * n + m for n in range(600) for m in range(7)]


def roots_first(self: Marker) -> Look:
    """All roots, then all transactions."""
    first, then = look(self), self._txns()
    return msgspec.structs.replace(first, open=then.open, over=then.over)


def from_memory(self: Marker, meta: Meta) -> object:
    """A root that was read once is not read again, whatever its etag."""
    return self._roots.get(meta.key) or read(self, meta)


def applied_is_failure(sent: bytes, expected: str | None, found: bytes | None, etag: str | None) -> Verdict:
    verdict = judge(sent, expected, found, etag)
    return Verdict.THEIRS if verdict is Verdict.MINE else verdict


def not_applied_is_success(
    sent: bytes, expected: str | None, found: bytes | None, etag: str | None
) -> Verdict:
    verdict = judge(sent, expected, found, etag)
    return Verdict.MINE if verdict is Verdict.UNTOUCHED else verdict


@pytest.mark.parametrize(
    ("owner", "name", "without"),
    [
        pytest.param(Marker, "needed", lambda self, look: Needed(set(), frozenset()), id="no second look"),
        pytest.param(Marker, "look", roots_first, id="roots before txns"),
        pytest.param(
            Marker,
            "needed",
            lambda self, look: needed(self, msgspec.structs.replace(look, open={})),
            id="open txns hold nothing",
        ),
        pytest.param(RootSeen, "kept", lambda self: iter(self.root.needs), id="the trash holds nothing"),
        pytest.param(Marker, "_read", from_memory, id="what was read once stays true"),
        pytest.param(Write, "_check", lambda self, pins: None, id="no second look at the fence"),
        pytest.param(Write, "_exists", lambda self, key: True, id="a cache is believed"),
        pytest.param(
            Write,
            "_see",
            lambda self, p, sight: see(self, p, Sight(sight.data, frozenset())),
            id="candidates reused",
        ),
        pytest.param(Write, "_open", lambda self, packs=(), snapshots=(): open_txn(self), id="no pins"),
        pytest.param(
            Write, "_hang", lambda self, key, wanted, state: hang(self, key, wanted, LIVE), id="live at once"
        ),
        pytest.param(transactions, "over", lambda former: None, id="the former root is forgotten"),
        pytest.param(
            roots, "in_force", lambda root, state=None: in_force(root, COMMITTED), id="pending is believed"
        ),
        pytest.param(conditional, "judge", applied_is_failure, id="a lost reply is a failure"),
        pytest.param(conditional, "judge", not_applied_is_success, id="a lost reply is a success"),
    ],
)
def test_without(
    owner: object, name: str, without: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, without)
    with pytest.raises((AssertionError, StoreError)):
        for seed in SMALL_CASTS if owner is not RootSeen else range(3000):
            act(seed)
