"""Keys: which there are, in which order, and which are refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rote.errors import BadName
from rote.ports import ObjectStore
from rote.testing.store_contract.base import Contract

HOSTILE = [
    "", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", ".hidden", "a/.b", "a\\b", "a\0b",
    "a\nb", "a\n", "C:a", "a b", "ä", "a~b", "~tmp/x", "a/~lock", "a:b", "a*", "a?b", "a|b", "a'b", "$(a)", "%2e%2e/a",
    "\ud800", "a" * 256, "/".join(["a" * 100] * 9), "a/" * 451 + "a",
]  # fmt: skip
"""Keys that every store refuses."""

FRIENDLY = [
    "a", "0", "rote.json", "txns/20261121T110000-0123456789abcdef", "a@b+c=d,e-f_g.h", "A/b/C", "-", "_", "a..b",
    "a.", "b/" + "x" * 255, "/".join(["y" * 99] * 9), "con", "nul/aux", "lost-found",
]  # fmt: skip
"""Keys that every store accepts. None lies below another."""


class Listing(Contract):
    """Keys: which there are, in which order, and which are refused."""

    def test_a_listing_is_sorted_by_bytes(self, store: ObjectStore) -> None:
        """Among them the names that sort otherwise as folders than as keys: `,` `-` `.` come before `/`."""
        made = [
            "a,b",
            "a-b/c",
            "a.b",
            "a/b",
            "a/b-c",
            "a0",
            "A/z",
            "a/c/d",
            "a/c-d",
            "b",
            "a=b",
            "aa/b",
            "a+/x",
            "Z",
        ]
        for key in made:
            store.create(key, key.encode())
        assert [m.key for m in store.list("")] == sorted(made)
        assert [m.size for m in store.list("")] == [len(k) for k in sorted(made)]

    def test_a_listing_goes_by_prefix_and_after(self, store: ObjectStore) -> None:
        chance = random.Random(7)
        made: set[str] = set()
        while len(made) < 60:
            key = "/".join("".join(chance.choices("ab.-0", k=chance.randrange(1, 4))) for _ in range(3))
            if "/." not in key and key[0] != ".":
                made.add(key)
        for key in made:
            store.create(key, b"")
        cuts = {k[:n] for k in made for n in range(len(k) + 1)}
        prefixes = ["", *chance.sample(sorted(c for c in cuts if c and "/." not in c + "x"), 40), "z", "a/z/"]
        afters = ["", *chance.sample(sorted(cuts), 40), "~", "0", "a/", "a/b/zzz"]
        for prefix in prefixes:
            for after in chance.sample(afters, 12):
                expected = sorted(k for k in made if k.startswith(prefix) and k > after)
                assert [m.key for m in store.list(prefix, after)] == expected, (prefix, after)

    def test_a_listing_bears_changes_under_it(self, store: ObjectStore) -> None:
        for n in range(20):
            store.create(f"{n:02}/x", b"")
        seen = []
        for meta in store.list(""):
            seen.append(meta.key)
            if meta.key == "03/x":
                for n in (1, 5, 7):
                    store.delete(f"{n:02}/x")
        assert seen == sorted(seen)
        assert {f"{n:02}/x" for n in range(20)} - {"05/x", "07/x"} <= set(seen)

    @pytest.mark.parametrize("key", HOSTILE, ids=ascii)
    def test_hostile_keys_are_refused(self, store: ObjectStore, place: Path, key: str) -> None:
        before = sorted(place.rglob("*"))
        for ask in (
            lambda: store.get(key),
            lambda: store.get_range(key, 0, 0),
            lambda: store.get_ranges(key, []),
            lambda: store.head(key),
            lambda: store.create(key, b"x"),
            lambda: store.replace(key, b"x", "etag"),
            lambda: store.delete(key),
            lambda: store.delete(key, "etag"),
        ):
            with pytest.raises(BadName):
                ask()
        assert list(store.list("")) == []
        assert sorted(place.rglob("*")) == before

    @pytest.mark.parametrize(
        "prefix", ["/", "../", "..", "a//", "a/../", "/a", "a\0", "\ud800", "a/./", ".h"], ids=ascii
    )
    def test_hostile_prefixes_are_refused(self, store: ObjectStore, prefix: str) -> None:
        with pytest.raises(BadName):
            list(store.list(prefix))

    def test_every_friendly_key_is_taken(self, store: ObjectStore, place: Path) -> None:
        for key in FRIENDLY:
            store.create(key, key.encode())
        assert [m.key for m in store.list("")] == sorted(FRIENDLY)
        for key in FRIENDLY:
            assert store.get(key).data == key.encode()
            assert self.raw_get(store, place, key) == key.encode()
