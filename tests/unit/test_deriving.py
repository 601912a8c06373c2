"""Which part of a version number changes, and what is said about it."""

from __future__ import annotations

import msgspec
import pytest

from rote.laws.models.deriving import Ingredients, changes, part, reasons

A, B = "a" * 64, "b" * 64
ONE = Ingredients(
    names=frozenset({"model.onnx"}),
    signature={"model.onnx": {"tensors": {"w": ["F32", 1]}}},
    data={"data/images": A},
    params={"params.yaml": {"train.lr": 0.1, "": {"seed": 1}}},
    code={"train.py": A, "src": A},
    commands={"train": (".", "python train.py")},
    around={"the lock file uv.lock": A},
)


def other(**changed):
    return msgspec.structs.replace(ONE, **changed)


@pytest.mark.parametrize(
    ("new", "raised", "why"),
    [
        (ONE, "patch", "the files are others, although data, params and code are the same"),
        (other(data={"data/images": B}), "patch", "the data in data/images changed"),
        (other(data={"data/images": A, "more": B}), "patch", "the data in more is new"),
        (other(code={"train.py": B, "src": A}), "minor", "train.py changed"),
        (other(code={"src": A}), "minor", "train.py is gone"),
        (other(params={"params.yaml": {"train.lr": 0.2, "": {"seed": 1}}}), "minor", "params.yaml: train.lr was 0.1, is 0.2"),
        (other(params={"params.yaml": {"train.lr": 0.1}}), "minor", "params.yaml: seed was 1, is not there"),
        (other(commands={"train": (".", "python train.py -v")}), "minor", "the command of stage train changed"),
        (other(around={}), "minor", "the lock file uv.lock is gone"),
        (other(unknown=["who knows"]), "minor", "who knows"),
        (other(signature={"model.onnx": {"tensors": {"w": ["F32", 2]}}}), "major",
         "model.onnx: the tensor w was F32[1], is F32[2]"),
        (other(names=frozenset()), "patch", "the files are others, although data, params and code are the same"),
        (other(names=frozenset(), signature={}), "major", "model.onnx is not there any more"),
    ],
)  # fmt: skip
def test_the_weightiest_change_decides_and_is_said_first(new, raised, why):
    found = changes(ONE, new)
    assert part(found) == raised
    assert reasons(found)[0] == why


def test_a_file_without_signature_that_goes_is_major_and_one_that_comes_is_not():
    more = other(names=frozenset({"model.onnx", "labels.txt"}))
    assert reasons(changes(more, ONE)) == ["labels.txt is not among its files any more"]
    assert part(changes(more, ONE)) == "major"
    assert part(changes(ONE, more)) == "patch"


def test_everything_at_once_is_said_in_order_and_briefly():
    new = other(
        data={"data/images": B},
        code={f"m{n}.py": B for n in range(20)},
        signature={},
        params={"params.yaml": {"train.lr": "x" * 100}},
    )
    told = reasons(changes(ONE, new))
    assert told[0] == "model.onnx is not there any more"
    assert len(told) == 10
    assert told[-1].startswith("and ")


def test_a_hostile_value_is_shown_on_one_line():
    new = other(params={"params.yaml": {"train.lr": "\x1b[31m\nred", "": {"seed": 1}}})
    (told,) = reasons(changes(ONE, new))
    assert told.isprintable()


def test_equal_stage_keys_settle_what_is_not_known_any_more():
    gone = other(
        keys={"train": A}, code={}, params={}, commands={}, around={}, unknown=["its result is gone"]
    )
    assert changes(gone, other(keys={"train": A})) == []
    assert part(changes(gone, other(keys={"train": B}))) == "minor"
    assert (
        part(changes(other(keys={"train": A}), other(keys={"train": A}, names=frozenset(), signature={})))
        == "major"
    )
