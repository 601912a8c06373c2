"""Samples: which files and records a smoke run takes; and what a record says of it."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rote.laws.pipeline.smoking import chosen, records
from rote.laws.pipeline.stagekey import Inputs, inputs
from rote.words.encoding import canonical
from rote.words.pipeline import Stage
from rote.words.run import Request, Run, StageOutcome

NAMES = st.lists(st.from_regex(r"[a-c]/[a-z]{1,3}", fullmatch=True), unique=True, max_size=40)


@given(NAMES, st.integers(1, 50))
def test_so_many_files_from_every_folder(names: list[str], count: int) -> None:
    found = chosen(names, count)
    assert len(found) == min(count, len(names))
    assert set(found) <= set(names)
    assert found == sorted(found) == chosen(reversed(names), count)
    folders = {name[0] for name in names}
    assert len({name[0] for name in found}) == min(count, len(folders))
    most = max((sum(n[0] == f for n in found) for f in folders), default=0)
    for folder in folders:
        there, taken = sum(n[0] == folder for n in names), sum(n[0] == folder for n in found)
        assert taken == there or taken >= most - 1


@given(NAMES, st.integers(1, 20))
def test_another_file_changes_little(names: list[str], count: int) -> None:
    before, after = set(chosen(names, count)), set(chosen([*names, "a/zzzz"], count))
    assert len(before - after) <= 1
    assert after - before <= set(names) | {"a/zzzz"}
    assert len(after - before) <= 2


def test_it_is_not_the_first_by_name() -> None:
    names = [f"images/{number:04}.png" for number in range(1000)]
    assert max(chosen(names, 20)) > "images/0500"


@pytest.mark.parametrize(
    ("name", "text", "count", "left"),
    [
        ("a.csv", b"h\n1\n2\n3\n", 2, b"h\n1\n2\n"),
        ("a.CSV", b'h\n"1\n1"\n2\n3\n', 2, b'h\n"1\n1"\n2\n'),
        ("a.csv", b'"h\nh"\n"a ""quoted"" word"\n2\n', 1, b'"h\nh"\n"a ""quoted"" word"\n'),
        ("a.tsv", b"h\n1", 5, b"h\n1"),
        ("a.jsonl", b'{"a": "\\""}\n{"b": 1}\n{"c": 1}\n', 2, b'{"a": "\\""}\n{"b": 1}\n'),
        ("a.txt", b'a "\nb\nc', 2, b'a "\nb\n'),
        ("a.txt", b"", 2, b""),
        ("a.csv", b'h\n"never closed\n1\n2\n', 1, b'h\n"never closed\n1\n2\n'),
    ],
)
def test_so_many_records(name: str, text: bytes, count: int, left: bytes) -> None:
    assert b"".join(records(io.BytesIO(text), count, name)) == left


def test_what_is_not_smoke_is_as_it_was() -> None:
    """Records and keys of runs in earnest have the bytes they had before there was anything else."""
    run = Run(
        id="20261121-110001-abcdef", state="finished", began="2026-11-21T11:00:00Z", by="a@b", command="x"
    )  # type: ignore[arg-type]
    told = msgspec.to_builtins(
        msgspec.structs.replace(run, asked=Request(), stages=[StageOutcome(stage="a", outcome="done")])
    )
    assert "smoke" not in told
    assert "rev" not in told["asked"]
    assert "compared" not in told["stages"][0]
    assert "smoke" not in msgspec.to_builtins(Inputs(cmd=("x",)))
    assert b"smoke" in canonical(msgspec.structs.replace(run, smoke=True))


def test_a_trial_has_keys_of_its_own() -> None:
    earnest = inputs(Stage(name="a", cmd=("x",)), {}, {}, {})
    assert msgspec.structs.replace(earnest, smoke=True).key() != earnest.key()
