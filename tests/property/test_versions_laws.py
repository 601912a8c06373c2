"""Laws of version numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rote.laws.models import versions

number = st.integers(0, 12)
identifier = st.from_regex(r"(0|[1-9][0-9]{0,2}|[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,3})", fullmatch=True)
semver = st.builds(versions.Semver, number, number, number, st.lists(identifier, max_size=3).map(tuple))


@given(semver)
def test_text_and_back(v):
    assert versions.parse(str(v)) == v
    assert str(versions.parse(str(v))) == str(v)


@given(semver, semver, semver)
def test_a_total_order(a, b, c):
    assert (a < b) + (a == b) + (a > b) == 1
    if a <= b <= c:
        assert a <= c


@given(semver, st.sampled_from(versions.PARTS))
def test_a_raised_part_comes_after_and_is_a_release(v, part):
    assert v.bumped(part) > v
    assert v.bumped(part).pre == ()


@given(st.lists(semver, max_size=5), st.sampled_from(versions.PARTS))
def test_the_next_number_is_new_and_highest(existing, part):
    assert all(versions.following(existing, part) > v for v in existing)
