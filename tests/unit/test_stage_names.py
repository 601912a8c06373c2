"""Names of stages, also of generated ones and of those in subfolders, and the files that are named after them."""

from __future__ import annotations

import pytest

from rote.errors import BadName
from rote.words.ids import stage_file, stage_name, stage_of_file

GOOD = [
    "train",
    "train@a",
    "a/b:train@x y",
    "sub:train",
    "train@data/raw",
    "train@a:b",
    "s@" + "/" * 90,
    "_x",
    "a.b-c",
]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_is_a_file_and_back(name: str) -> None:
    assert stage_name(name) == name
    file = stage_file(name)
    assert not set(file) & set("/:\\ ")
    assert not file.startswith(".")
    assert len(file) <= 200
    if len(name) < 60:
        assert stage_of_file(file) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "a/b", "train@\n", "tr:ain:x@", "ü", "a" * 201, ":train", "train@ü"]
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        stage_name(name)


def test_no_two_names_share_a_file() -> None:
    names = ["x@a/b", "x@a%2fb", "x@a:b", "x@a%b", "s@" + "/" * 90, "s@" + "/" * 91]
    assert len({stage_file(name) for name in names}) == len(names)
