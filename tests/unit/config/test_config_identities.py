"""`models.NAME.identity`."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.wiring.config import pipelines
from rote.words.signatory import Signatory


def identity(text):
    return pipelines.read(f"models:\n  digits:\n    files: [labels.txt]\n{text}").models["digits"].identity


def test_all_of_it():
    found = identity("    identity: {name: a@b.example, issuer: https://x.example, trust: ./ci/trust.json}\n")
    assert found == Signatory("a@b.example", "https://x.example", "ci/trust.json")


def test_none_of_it():
    assert identity("") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{name: a@b.example}", "this has no `issuer`"),
        ("{issuer: https://x.example}", "this has no `name`"),
        ("{name: a@b.example, issuer: accounts.google.com}", "an issuer is a URL"),
        ("{name: a, issuer: https://x.example, trust: ../up.json}", "lies outside the project"),
        ("{name: a, issuer: https://x.example, who: b}", "who"),
        ("a@b.example", "a mapping with name and issuer"),
    ],
    ids=["no issuer", "no name", "no url", "outside", "unknown", "text"],
)
def test_what_it_cannot_mean(text, why):
    with pytest.raises(ConfigError, match=why) as caught:
        identity(f"    identity: {text}\n")
    assert caught.value.where.startswith("rote.yaml:4")
