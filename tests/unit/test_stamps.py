"""Stamps: files that say which version they are, that real readers take, and that give back the file as it was."""

from __future__ import annotations

import json
import random

import numpy as np
import onnx
import onnxruntime
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from modelbench import Bench, model
from msgspec.structs import replace
from safetensors import safe_open
from safetensors.numpy import load, save

from rote.errors import Refused
from rote.laws.models.stamps import Edit, Stamp, Unsound, edited, grown
from rote.services.data.stamping import edits, read
from rote.words.ids import Digest
from rote.words.pipeline import At, Gate


def tensors(seed=0, size=300):
    made = np.random.default_rng(seed)
    return {"w": made.normal(size=(size, 4)).astype("float32"), "b": made.normal(size=3).astype("float16")}


def network(seed=0):
    weights = np.random.default_rng(seed).normal(size=(4, 3)).astype("float32")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "small",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 3])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def pieces(data, step=97):
    return lambda: (data[at : at + step] for at in range(0, len(data), step))


def stamp_of(data, version="1.2.0"):
    return Stamp("digits", version, Digest(blake3(data).hexdigest()))


def stamped(kind, data, version="1.2.0"):
    found = edits(kind, pieces(data), len(data), stamp_of(data, version))
    made = b"".join(edited(pieces(data)(), found))
    assert len(made) == grown(len(data), found)
    return made


def unstamped(kind, data):
    said, undo = read(kind, pieces(data), len(data))
    assert undo is not None
    return said, b"".join(edited(pieces(data, 13)(), undo))


METADATA = [None, {}, {"format": "pt"}, {"ä": 'ö\n"{}', "rote": "x", "rote.stamps": "y"}]


@pytest.mark.parametrize("metadata", METADATA, ids=["none", "empty", "one", "odd"])
def test_safetensors(metadata, tmp_path):
    data = save(tensors(), metadata=metadata)
    made = stamped("safetensors", data)
    (tmp_path / "m.safetensors").write_bytes(made)
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        said = file.metadata()
        assert (said["rote.model"], said["rote.version"]) == ("digits", "1.2.0")
        assert said["rote.digest"] == f"blake3:{blake3(data).hexdigest()}"
        assert {
            k: v
            for k, v in said.items()
            if k not in ("rote.stamp", "rote.model", "rote.version", "rote.digest")
        } == (metadata or {})
        assert np.array_equal(file.get_tensor("w"), tensors()["w"])
    assert (8 + int.from_bytes(made[:8], "little")) % 8 == 0
    said, back = unstamped("safetensors", made)
    assert back == data
    assert said == stamp_of(data)


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b'{ "a" : {"dtype":"U8","shape":[0],"data_offsets":[0,0]} }  ',
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}, "__metadata__" : { "x" : "y" } }',
        '{"ä":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__metadata__":{"ü":"é"}}'.encode(),
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__metadata__":{ }}',
    ],
)
def test_safetensors_that_others_wrote(header):
    data = len(header).to_bytes(8, "little") + header
    made = stamped("safetensors", data)
    whole = json.loads(made[8 : 8 + int.from_bytes(made[:8], "little")])
    before = json.loads(header)
    assert whole["__metadata__"].items() >= before.get("__metadata__", {}).items()
    assert whole["__metadata__"]["rote.version"] == "1.2.0"
    assert whole.keys() == before.keys() | {"__metadata__"}
    assert unstamped("safetensors", made)[1] == data


def test_safetensors_made_from_a_stamped_model():
    once = stamped("safetensors", save(tensors(), metadata={"format": "pt"}))
    with_old = save(
        load(once),
        metadata={"format": "pt", "rote.model": "old", "rote.stamp": "A000160", "rote.digest": "x"},
    )
    made = stamped("safetensors", with_old, "2.0.0")
    said, undo = read("safetensors", pieces(made), len(made))
    assert (said.model, said.version, said.undo, undo) == ("digits", "2.0.0", False, None)
    assert said.digest == blake3(with_old).hexdigest()
    assert np.array_equal(load(made)["w"], tensors()["w"])
    again, _ = read(
        "safetensors",
        pieces(stamped("safetensors", once, "2.0.0")),
        len(stamped("safetensors", once, "2.0.0")),
    )
    assert again.version == "2.0.0"


@pytest.mark.parametrize("props", [{}, {"author": "ada", "é": "\n"}])
def test_onnx(props):
    network_ = network()
    onnx.helper.set_model_props(network_, props)
    data = network_.SerializeToString()
    made = stamped("onnx", data)
    parsed = onnx.load_from_string(made)
    onnx.checker.check_model(parsed)
    session = onnxruntime.InferenceSession(made)
    said = session.get_modelmeta().custom_metadata_map
    assert (said["rote.model"], said["rote.version"]) == ("digits", "1.2.0")
    assert said.items() >= props.items()
    x = np.ones((2, 4), "float32")
    assert np.array_equal(
        session.run(None, {"x": x})[0], onnxruntime.InferenceSession(data).run(None, {"x": x})[0]
    )
    found, back = unstamped("onnx", made)
    assert back == data
    assert found == stamp_of(data)


def test_onnx_made_from_a_stamped_model():
    once = stamped("onnx", network().SerializeToString())
    saved_again = onnx.load_from_string(once)
    saved_again.producer_name = "a tool"
    data = saved_again.SerializeToString()
    made = stamped("onnx", data, "2.0.0")
    onnx.checker.check_model(onnx.load_from_string(made))
    said, undo = read("onnx", pieces(made), len(made))
    assert (said.version, said.undo, undo) == ("2.0.0", False, None)
    assert said.digest == blake3(data).hexdigest()


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02",
        b"not a model at all",
        b"\xff" * 64,
        (1 << 40).to_bytes(8, "little") + b"{}",
        (3).to_bytes(8, "little") + b"[1]",
        (2).to_bytes(8, "little") + b'{"',
        (19).to_bytes(8, "little") + b'{"__metadata__":[]}',
        (24).to_bytes(8, "little") + b'{"__metadata__":{"a":1}}',
        (60_000).to_bytes(8, "little") + b"[" * 60_000,
        (60_004).to_bytes(8, "little") + b'{"":' + b"[" * 60_000,
    ],
)
def test_what_is_not_sound_gets_no_stamp(kind, data):
    with pytest.raises(Unsound):
        stamped(kind, data)


def test_a_cut_model_gets_no_stamp():
    data = network().SerializeToString()
    whole = 0
    for end in range(0, len(data), 3):
        try:
            stamped("onnx", data[:end])
            whole += 1
        except Unsound:
            continue
    assert whole <= 2  # cut where one field ends and another begins, it is a model still


@given(st.binary(max_size=400), st.data())
def test_edits(data, draw):
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4, unique=True)))
    found = []
    for at, then in zip(places, [*places[1:], len(data)], strict=False):
        found.append(Edit(at, draw.draw(st.integers(0, then - at)), draw.draw(st.binary(max_size=5))))
    wanted = data
    for edit in reversed(found):
        wanted = wanted[: edit.at] + edit.put + wanted[edit.at + edit.drop :]
    step = draw.draw(st.integers(1, 50))
    assert b"".join(edited(pieces(data, step)(), found)) == wanted
    assert grown(len(data), found) == len(wanted)


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(data):
    for kind in ("safetensors", "onnx"):
        try:
            read(kind, pieces(data), len(data))
            stamped(kind, data)
        except Unsound:
            continue


# ---- in a release --------------------------------------------------------------------------------------------------


OUTS = {
    "build": {
        "net.onnx": network().SerializeToString(),
        "sub/big.safetensors": save(tensors(size=200_000), metadata={"format": "np"}),
        "broken.safetensors": b"nothing",
        "notes.txt": b"notes",
    },
    "tiny.safetensors": save(tensors()),
}


def release(bench, outs=OUTS, stamp=True, **how):
    run = bench.run(outs)
    return bench.releasing.release(replace(model(list(outs)), stamp=stamp), run, **how)


def content(bench, version):
    record = bench.snapshots.record(version.snapshot)
    return {e.path: b"".join(bench.snapshots.read(record, e.path)) for e in bench.snapshots.entries(record)}


def plain():
    return {f"build/{k}": v for k, v in OUTS["build"].items()} | {
        "tiny.safetensors": OUTS["tiny.safetensors"]
    }


def test_a_release_with_stamps():
    bench = Bench()
    released = release(bench)
    version, held = released.version, content(bench, released.version)
    assert [w for w in released.warnings if "stamp" in w] == [
        "build/broken.safetensors gets no stamp: it is cut off"
    ]
    assert [(f.path, f.size, f.digest) for f in version.files] == [
        (path, len(data), blake3(data).hexdigest()) for path, data in sorted(held.items())
    ]
    for path in ("build/net.onnx", "build/sub/big.safetensors", "tiny.safetensors"):
        kind = path.rpartition(".")[2]
        said, back = unstamped(kind, held[path])
        assert (said.model, said.version) == ("digits", "1.0.0")
        assert back == plain()[path]
        assert version.stamped.files[path] == said.digest == blake3(back).hexdigest()
    assert held["build/notes.txt"] == b"notes"
    assert bench.registry.get("digits", "1.0.0") == version


def test_a_gate_counts_the_bytes_of_the_stamps():
    """Otherwise a model would seem to shrink beside its own version, which has them."""
    bench = Bench()
    gate = Gate("size() >= size(of=prod)", At("rote.yaml", 1, "gates"))
    bench.registry.promote("digits", release(bench).version.version, "prod")
    (verdict,) = release(bench, OUTS | {"notes.txt": b""}, gates=[gate]).verdicts
    assert (
        verdict.value == verdict.threshold == sum(f.size for f in bench.registry.get("digits", "prod").files)
    )


def test_a_stamp_costs_little():
    bench = Bench()
    run = bench.run(OUTS)
    bench.store.reset()
    bench.releasing.release(replace(model(list(OUTS)), stamp=True), run)
    assert sum(len(data) for data in OUTS["build"].values()) > 3_000_000
    assert bench.store.bytes["create"] + bench.store.bytes["replace"] < 200_000


def test_the_same_again_changes_nothing():
    bench = Bench()
    first = release(bench)
    for how in ({}, {"version": "1.0.0"}, {"stamp": False}, {"stamp": False, "version": "1.0.0"}):
        again = release(bench, **how)
        assert not again.created
        assert again.version == first.version
    other = release(bench, version="2.0.0")
    assert other.created
    assert (
        content(bench, other.version)["tiny.safetensors"] != content(bench, first.version)["tiny.safetensors"]
    )
    with pytest.raises(Refused, match="exists with other files"):
        release(bench, {"tiny.safetensors": save(tensors(5))}, version="1.0.0")


def test_a_version_without_stamps_is_as_before():
    bench = Bench()
    released = release(bench, stamp=False)
    assert not released.version.stamped
    assert b"stamped" not in bench.store.get("models/digits/versions/1.0.0").data
    assert not release(bench, stamp=True).created  # the files are released already


def test_nothing_to_stamp():
    bench = Bench()
    released = release(bench, {"m.txt": b"text"})
    assert released.created
    assert not released.version.stamped


def test_any_kind_of_names(tmp_path):
    chance = random.Random(1)
    outs = {"build": {f"{chance.randrange(99)}/m{n}.safetensors": save(tensors(n)) for n in range(20)}}
    bench = Bench()
    version = release(bench, outs).version
    assert len(version.stamped.files) == 20
