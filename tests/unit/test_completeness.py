"""Which files of a checkpoint folder count as complete, told from looks alone."""

from __future__ import annotations

import pytest

from rote.errors import RoteError
from rote.laws.pipeline import completeness
from rote.laws.pipeline.completeness import Looks, Mark, Stat, is_temporary, marked


def written(at: int = 1_000, size: int = 5, inode: int = 7) -> Stat:
    """A file that was written in place."""
    return Stat(size, at, at, inode)


def renamed(at: int = 1_000, size: int = 5, inode: int = 7) -> Stat:
    """A file that got its name after its last byte."""
    return Stat(size, at, at + 1, inode)


@pytest.mark.parametrize(
    "path",
    [
        "model.pt.tmp", "tmp.model.pt", "model.tmp.pt", "model.pt.part", ".model.pt", "model.pt~", "~model", "#m#",
        "a.tmp/model.pt", "step-3.incomplete", "model.pt.tmp-4711", "tmpab12cd_9", "m_temp", ".rote-checkpoint",
        "deep/.hidden/model.pt",
    ],
)  # fmt: skip
def test_names_that_are_not_final(path: str) -> None:
    assert is_temporary(path)


@pytest.mark.parametrize(
    "path", ["model.pt", "step-10/optim.bin", "temperature.npy", "parts.bin", "attempt.pt", "tmpfs.txt"]
)
def test_names_that_are_final(path: str) -> None:
    assert not is_temporary(path)


def test_what_was_renamed_counts_at_once() -> None:
    files = {"model.pt": renamed()}
    assert Looks().judge(files, ()).files == files


def test_what_was_written_in_place_has_to_rest() -> None:
    looks, files = Looks(5.0), {"model.pt": written()}
    assert looks.judge(files, ()).files is None
    looks.add(files, 100.0)
    looks.add(files, 104.9)
    assert looks.judge(files, ()).files is None
    looks.add(files, 105.0)
    assert looks.judge(files, ()).files == files


@pytest.mark.parametrize("change", [{"size": 6}, {"at": 1_001}, {"inode": 8}])
def test_a_change_begins_the_rest_anew(change: dict[str, int]) -> None:
    looks, files, changed = Looks(5.0), {"model.pt": written()}, {"model.pt": written(**change)}
    looks.add(files, 100.0)
    looks.add(changed, 104.0)
    looks.add(changed, 108.9)
    assert looks.judge(changed, ()).files is None
    assert looks.judge(files, ()).files is None
    looks.add(changed, 109.0)
    assert looks.judge(changed, ()).files == changed


def test_rest_after_the_last_look_does_not_count() -> None:
    """A stage that was killed may have been killed in the middle of a write that began since."""
    looks, files = Looks(5.0), {"model.pt": written()}
    looks.add(files, 100.0)
    looks.add(files, 106.0)
    assert looks.judge({"model.pt": written(at=2_000)}, ()).files is None


def test_all_of_it_counts_or_nothing_does() -> None:
    files = {"model.pt": renamed(), "optimizer.pt": written()}
    verdict = Looks().judge(files, ())
    assert (verdict.files, verdict.why) == (None, "'optimizer.pt' has just been written in place")
    assert Looks().judge({"model.pt": renamed()}, {"model.pt"}).why == "'model.pt' is being written"


def test_temporary_files_are_left_out_and_are_in_nobodys_way() -> None:
    files = {"model.pt": renamed(), "model.pt.tmp": written()}
    assert Looks().judge(files, {"model.pt.tmp"}).files == {"model.pt": renamed()}
    assert Looks().judge({"model.pt.tmp": renamed()}, ()).why == "there is nothing in it yet"


def test_a_mark_vouches_for_its_files_as_they_were() -> None:
    mark = Mark(step="3", files={"model.pt": written()})
    here = {"model.pt": written(), "other": written()}
    assert marked(mark, here).files == {"model.pt": written()}
    later = {"model.pt": written()._replace(ctime=9_999)}  # a link, a chmod
    assert marked(mark, later).files == {"model.pt": written()}
    for changed in (written(at=1_001), written(size=4), written(inode=8)):
        assert marked(mark, {"model.pt": changed}).files is None
    assert marked(mark, {}).files is None
    assert marked(Mark(files={}), here).files is None


def test_a_mark_that_nobody_can_read() -> None:
    for data in (b"", b"{}", b'{"format":1,"files":{"a":[1]}}', b"\xff"):
        with pytest.raises(RoteError, match=r"not what rote\.checkpoint writes"):
            completeness.read(data)
    with pytest.raises(RoteError, match="format 2"):
        completeness.read(b'{"format":2,"files":{}}')
    assert completeness.read(b'{"format":1,"step":"4","files":{"a":[1,2,3,4]}}').files == {
        "a": Stat(1, 2, 3, 4)
    }
