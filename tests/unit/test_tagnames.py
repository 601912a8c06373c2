"""What the names of git tags say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rote.laws.models.tagnames import ALIAS, BESIDE, VERSION, WRONG, TagName, is_why, parse, why


def said(model="digits", kind=VERSION, **more):
    return TagName(model=model, kind=kind, **more)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("digits@v1.2.3", said(value="1.2.3")),
        ("digits@v1.2.3-rc.1", said(value="1.2.3-rc.1")),
        ("digits@v1.2.3!", said(value="1.2.3", back=True)),
        ("digits@v1.2.3!#2", said(value="1.2.3", back=True, counter=2)),
        ("digits#prod", said(kind=ALIAS, value="prod")),
        ("digits#prod#12", said(kind=ALIAS, value="prod", counter=12)),
        ("digits#prod!", said(kind=ALIAS, value="prod", back=True)),
        ("digits#prod!#3", said(kind=ALIAS, value="prod", back=True, counter=3)),
        ("a.b-c_d@v0.0.1", said("a.b-c_d", value="0.0.1")),
        ("digits@prod", said(kind=BESIDE, value="prod")),
        ("digits@deprecated", said(kind=BESIDE, value="deprecated")),
        ("digits@created#1", said(kind=BESIDE, value="created")),
    ],
)  # fmt: skip
def test_each_form(tag, name):
    assert parse(tag) == name


@pytest.mark.parametrize(
    "tag", ["v1.0.0", "1.0.0", "release", "", "@v1.0.0", "#prod", "a/b@v1.0.0", "dät@v1.0.0", "-x@v1.0.0"]
)
def test_what_speaks_of_no_model(tag):
    assert parse(tag) is None


@pytest.mark.parametrize(
    "tag",
    [
        "digits@1.2.3", "digits@v1.2", "digits@v1.2.3+build", "digits@v01.2.3", "digits@v1.2.3#x", "digits@v1.2.3#",
        "digits#", "digits#$(id)", "digits#a b", "digits#1st", "digits#prod#", "digits#prod#-1", "digits#prod#9999999999",
        "digits@v1.2.3`id`", "digits@v1.2.3;id", "digits@v1.2.3\nrm", "digits#prod\n", "digits@v" + "1" * 200,
    ],
)  # fmt: skip
def test_what_means_a_model_and_is_wrong(tag):
    found = parse(tag)
    assert found is not None
    assert (found.model, found.kind) == ("digits", WRONG)
    assert found.value.isprintable()


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_parsed_into_names_that_are_safe(text):
    for tag in (text, f"digits@{text}", f"digits@v{text}", f"digits#{text}"):
        found = parse(tag)
        if found is not None and found.kind in (VERSION, ALIAS):
            assert found.value.isascii()
            assert all(c.isalnum() or c in "._-" for c in found.value)


def test_a_move_tells_which_tag_asked_for_it():
    text = why("digits#prod#3", "c" * 40)
    assert is_why(text)
    assert text != why("digits#prod#4", "c" * 40) != why("digits#prod#4", "d" * 40)
    assert not is_why("better on sevens")
