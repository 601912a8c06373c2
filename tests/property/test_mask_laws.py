"""Secrets are taken out of a stream wherever it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rote.laws.pipeline.redaction import Mask

PIECES = st.lists(st.text("abx", max_size=6).map(str.encode), max_size=8)


@given(PIECES, st.text("ab", min_size=1, max_size=4))
def test_as_if_it_had_come_in_one_piece(pieces: list[bytes], secret: str) -> None:
    mask = Mask([secret])
    said = b"".join([*(mask.feed(piece) for piece in pieces), mask.rest()])
    assert said == b"".join(pieces).replace(secret.encode(), b"***")


@given(PIECES, st.lists(st.text("ab", min_size=2, max_size=4), max_size=3))
def test_no_secret_is_said(pieces: list[bytes], secrets: list[str]) -> None:
    mask = Mask(secrets)
    said = b"".join([*(mask.feed(piece) for piece in pieces), mask.rest()])
    assert not [s for s in secrets if s.encode() in said]


def test_nothing_waits_that_cannot_be_a_secret() -> None:
    mask = Mask(["token"])
    assert mask.feed(b"epoch 1\n") == b"epoch 1\n"
    assert mask.feed(b"the to") == b"the "
    assert mask.feed(b"ast\n") == b"toast\n"


def test_without_secrets_nothing_is_copied() -> None:
    piece = b"anything"
    assert Mask([]).feed(piece) is piece
