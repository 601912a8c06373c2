"""Version numbers and aliases."""

from __future__ import annotations

import pytest

from rote.errors import BadName, UsageError
from rote.laws.models import versions

IN_ORDER = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
            "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0-a-b", "2.0.0"]  # fmt: skip


def test_the_order_of_semver_org():
    parsed = [versions.parse(text) for text in IN_ORDER]
    turned = parsed[::-1]
    turned.sort()
    assert [str(v) for v in turned] == IN_ORDER
    for i, a in enumerate(parsed):
        for j, b in enumerate(parsed):
            assert (a < b, a == b, a > b) == (i < j, i == j, i > j)


def test_build_metadata_does_not_count():
    assert versions.parse("1.0.0+a") == versions.parse("1.0.0+b")
    assert hash(versions.parse("1.0.0+a")) == hash(versions.parse("1.0.0"))
    assert str(versions.parse("1.0.0-rc.1+exp.sha-5114f85")) == "1.0.0-rc.1+exp.sha-5114f85"
    with pytest.raises(BadName, match="build metadata"):
        versions.release("1.0.0+a")


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "v1.2.3", " 1.2.3", "1.2.3\n",
     "١.٢.٣", "1.2.3-é", "1.2.-3", "1.2.3-" + "a" * 100, "../1.2.3"],
)  # fmt: skip
def test_what_is_no_version(text):
    with pytest.raises(BadName, match="not a version"):
        versions.parse(text)


@pytest.mark.parametrize(
    ("start", "part", "end"),
    [
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("1.2.3-rc.1", "patch", "1.2.3"),
        ("1.2.3-rc.1", "minor", "1.3.0"),
        ("1.3.0-rc.1", "minor", "1.3.0"),
        ("2.0.0-rc.1", "major", "2.0.0"),
        ("2.1.0-rc.1", "major", "3.0.0"),
        ("0.9.9", "minor", "0.10.0"),
    ],
)
def test_raising_a_part(start, part, end):
    assert str(versions.parse(start).bumped(part)) == end


def test_the_next_number():
    there = [versions.parse(text) for text in ("1.9.0", "1.10.0", "1.2.0")]
    assert str(versions.following(there, "minor")) == "1.11.0"
    assert [str(versions.following([], part)) for part in versions.PARTS] == ["1.0.0"] * 3
    for existing in (there, []):
        with pytest.raises(UsageError, match="no part 'huge'"):
            versions.following(existing, "huge")


@pytest.mark.parametrize("text", ["prod", "Prod_2", "blue-green", "a" * 63])
def test_an_alias(text):
    assert versions.alias(text) == text
    assert not versions.is_version(text)


@pytest.mark.parametrize(
    "text", ["", "1.0.0", "2", "prod.history", "a/b", "..", "-a", "é", "a" * 64, "prod\n", "@prod"]
)
def test_what_is_no_alias(text):
    with pytest.raises(BadName, match="not a valid alias"):
        versions.alias(text)
