"""The protocol's model: nothing is lost in any order of requests, and each safeguard is one without which something is."""

from __future__ import annotations

import pytest
from protocol_model import Model, explore

SAFEGUARDS = {
    "recheck": "WXG",
    "seeing": "WXG",
    "seeing again": "WXG",
    "candidates avoided": "WXG",
    "pins": "WXG",
    "pending roots": "WXG",
    "second look": "WG",
    "txns before roots": "WXG",
    "expiry by CAS": "WG",
    "before is kept": "VG",
    "reading again": "WG",
    "expected": "PXG",
    "trash is kept": "VTG",
    "look after a move": "LXG",
    "txn gone first": "WXG~^",
    "outlasting late requests": "WXG~",
}


EVERYDAY = [
    *["WXG", "VXG", "HXG", "WWX", "VVX", "WHX", "VHX", "HXGG"],
    *["PXG", "PTG", "PNG", "NTG", "VTG", "LTG", "LXG", "LXGG", "MXG", "MTG", "XG*", "WXG~", "WXG~^"],
]


@pytest.mark.parametrize("kinds", EVERYDAY)
def test_nothing_is_lost(kinds: str) -> None:
    why, states, all_of_them = explore(Model(kinds), 400_000)
    assert why is None
    assert all_of_them, f"more than {states} states: the model has grown"


@pytest.mark.parametrize("safeguard", SAFEGUARDS)
def test_without_a_safeguard_something_is_lost(safeguard: str) -> None:
    why, _, _ = explore(Model(SAFEGUARDS[safeguard], safeguard), 400_000)
    assert why is not None


MORE = [
    "PXGG",
    "PTGG",
    "LXGG",
    "PVG",
    "PHXG",
    "MVXG",
    "VPTG",
    "PLTG",
    "HTGG",
    "VXG~",
    "MXG~^",
    "VNTG",
    "HXG*",
]


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "kinds", ["WXG", "VXG", "VVG", "WXGG", "VXGG", "HXGG", "WVXG", "WHXG", "VHXG", *MORE]
)
def test_nothing_is_lost_in_larger_companies(kinds: str) -> None:
    """All states, or the first five million; the look at the keys in every order."""
    why, _, _ = explore(Model(kinds, any_order=True), 5_000_000)
    assert why is None
