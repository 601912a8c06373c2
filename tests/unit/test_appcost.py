"""What applications cost: the arithmetic."""

from __future__ import annotations

from rote.laws.publishing.appcost import Following, News, manifest, month, news
from rote.words.pipeline import Limits

PLANS = {"small": Limits(reads=1000, out=10_000_000), "wide": Limits(reads=10_000_000), "free": Limits()}


def test_looks_and_updates() -> None:
    cost = month(Following(apps=10, every=3600, updates=2, size=50_000_000, changed=1_000_000), PLANS)
    assert cost.looks == 10 * 720
    assert cost.fetches == 10 * 2 * 3
    assert cost.reads == 7260
    assert cost.out == 20 * (1_000_000 + 4096)
    assert [fit.fits for fit in cost.fits] == [False, True, True]
    small, wide, free = cost.fits
    assert small.reads == 7.26
    assert small.every is None, "looking less often does not make the bytes fewer"
    assert (wide.reads, wide.out) == (0.000726, None)
    assert free.every == 0.0


def test_how_often_would_do() -> None:
    following = Following(apps=100, every=300, updates=0, size=1, changed=0)
    (fit,) = month(following, {"p": Limits(reads=20_000)}).fits
    assert not fit.fits
    assert fit.every == 12_960
    (fit,) = month(
        Following(apps=100, every=fit.every, updates=0, size=1, changed=0), {"p": Limits(reads=20_000)}
    ).fits
    assert fit.fits
    (never,) = month(
        Following(apps=1000, every=300, updates=10, size=1, changed=0), {"p": Limits(reads=20_000)}
    ).fits
    assert never.every is None


def test_an_update_reads_the_manifest_and_what_is_new() -> None:
    following = Following(apps=1, every=1e9, updates=1, size=9, changed=80 << 20, parts=10, manifest=700)
    cost = month(following, {})
    assert cost.fetches == 12
    assert cost.out == (80 << 20) + 700 + 4096
    assert cost.first == 9 + 700 + 4096


MIB = 1 << 20


def test_what_is_new_is_counted_once_and_read_in_stretches() -> None:
    assert news([[(b"a", 10), (b"b", 5)]], [[(b"a", 10), (b"c", 7), (b"c", 7)]]) == News(7, 1, 1)
    assert news([], [[(b"a", 10)], [(b"b", 1)]]) == News(11, 2, 2)
    former = [(bytes([n]), MIB) for n in range(100)]
    ends = [(b"new", MIB), *former[1:50], (b"other", MIB), *former[51:]]
    assert news([former], [ends, former]) == News(2 * MIB, 1, 2)
    small = [(b"new", MIB), (b"a", 1000), (b"other", MIB)]
    assert news([[(b"a", 1000)]], [small]).parts == 1, "a small gap is read over"
    assert news([], [former]).parts == 13


def test_the_list_of_files() -> None:
    assert manifest([[(b"a", 10)], [(b"b", MIB)] * 100]) == 800 + 7600
