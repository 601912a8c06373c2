"""`stamp`, `licence`, `limits` and `card` of a model."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.wiring.config import pipelines


def model(text):
    return pipelines.read(f"models:\n  digits:\n    files: [labels.txt]\n{text}").models["digits"]


def test_all_of_it():
    found = model(
        "    stamp: true\n    licence: mit\n    limits: none\n    card:\n      tags: [a, b]\n      language: en\n"
        "      base_model: org/base\n      text: docs/card.md\n"
    )
    assert (found.stamp, found.licence, found.limits) == (True, "mit", "none")
    assert found.card == {
        "tags": ("a", "b"),
        "language": ("en",),
        "base_model": "org/base",
        "text": "docs/card.md",
    }


def test_none_of_it():
    found = model("")
    assert (found.stamp, found.licence, found.limits, found.card) == (False, "", "", {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("    stamp: yes\n", "rote.yaml:4: models.digits.stamp: expected true or false"),
        ("    licence: 3\n", "expected text, found a number"),
        ("    card: [a]\n", "models.digits.card: expected a mapping with language, tags"),
        ("    card:\n      tag: a\n", "unknown key 'tag'"),
        (
            "    card:\n      library_name: [a, b]\n",
            "models.digits.card.library_name: expected one text, found 2",
        ),
        ("    card:\n      text: ../x\n", "models.digits.card.text"),
    ],
)
def test_what_is_refused(text, told):
    with pytest.raises(ConfigError) as caught:
        model(text)
    assert told in str(caught.value)
