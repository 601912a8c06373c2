"""What goes in and comes out of a file: ONNX and safetensors, sound, cut, hostile; and what changed between two."""

from __future__ import annotations

import json
import random
import struct

import pytest

from rote.laws.models.signatures import MAX_BYTES, changes, signature, told_of

FLOAT, INT64 = 1, 7


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A field of a protocol buffer: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def info(name, kind, shape):
    sizes = b"".join(
        field(
            1, b"" if size is None else field(1, size) if isinstance(size, int) else field(2, size.encode())
        )
        for size in shape
    )
    return field(1, name.encode()) + field(2, field(1, field(1, kind) + field(2, sizes)))


def weight(name, data):
    return field(1, 2) + field(2, FLOAT) + field(8, name.encode()) + field(9, data)


def onnx(inputs, outputs, weights=(), nodes=3):
    graph = b"".join(field(1, field(4, b"MatMul")) for _ in range(nodes)) + field(2, b"main")
    graph += b"".join(field(5, weight(name, data)) for name, data in weights)
    graph += b"".join(field(11, info(*value)) for value in inputs)
    graph += b"".join(field(12, info(*value)) for value in outputs)
    return field(1, 8) + field(2, b"made by a test") + field(7, graph) + field(14, field(1, b"key"))


def safetensors(tensors, metadata=None):
    header, at = {}, 0
    for name, (kind, shape, size) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if metadata:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


class Read:
    """Reads of a file in memory, counted."""

    def __init__(self, data):
        self.data = data
        self.bytes = 0

    def __call__(self, begin, end):
        self.bytes += end - begin
        return self.data[begin:end]


def of(path, data):
    return signature(path, len(data), Read(data))


MODEL = onnx([("x", FLOAT, ["batch", 64])], [("y", FLOAT, ["batch", 10]), ("label", INT64, [None])])


class TestOnnx:
    def test_inputs_and_outputs(self):
        assert of("m.onnx", MODEL) == {
            "inputs": [{"name": "x", "type": "float32", "shape": ["batch", 64]}],
            "outputs": [
                {"name": "y", "type": "float32", "shape": ["batch", 10]},
                {"name": "label", "type": "int64", "shape": [None]},
            ],
        }

    def test_weights_among_the_inputs_are_none(self):
        data = onnx([("x", FLOAT, [1]), ("w", FLOAT, [2])], [("y", FLOAT, [1])], [("w", b"1234")])
        assert [v["name"] for v in of("m.onnx", data)["inputs"]] == ["x"]

    def test_what_is_no_tensor_says_what_it_is(self):
        graph = field(12, field(1, b"probabilities") + field(2, field(4, b"")))
        assert of("m.onnx", field(7, graph))["outputs"] == [
            {"name": "probabilities", "type": "sequence", "shape": None}
        ]

    def test_of_a_large_file_little_is_read(self):
        data = onnx([("x", FLOAT, [1])], [("y", FLOAT, [1])], [(f"w{n}", bytes(2_000_000)) for n in range(4)])
        read = Read(data)
        assert signature("m.onnx", len(data), read) is not None
        assert read.bytes < 1_000_000

    def test_a_file_that_is_cut_anywhere_has_none_or_the_same(self):
        whole = of("m.onnx", MODEL)
        told = [of("m.onnx", MODEL[:size]) for size in range(len(MODEL))]
        assert [found for found in told if found not in (None, whole)] == []
        assert told[0] is None

    @pytest.mark.parametrize("seed", range(20))
    def test_hostile_bytes_harm_nobody(self, seed):
        chance = random.Random(seed)
        for _ in range(100):
            data = bytearray(MODEL)
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            found = of("m.onnx", bytes(data))
            assert found is None or "blake3" in found or {"inputs", "outputs"} == found.keys()

    def test_sizes_beyond_the_file_and_groups_without_end(self):
        huge = varint(7 << 3 | 2) + varint(1 << 62)
        for data in (
            huge,
            b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x3b" * 1000,
            b"",
            b"\x00" * 64,
        ):
            assert of("m.onnx", data) is None

    def test_too_many_fields_are_given_up_on(self):
        data = field(7, field(1, b"") * 270_000 + field(12, info("y", FLOAT, [1])))
        assert of("m.onnx", data) is None

    def test_a_long_signature_stands_as_its_digest(self):
        outputs = [(f"a_rather_long_name_of_an_output_{n}", FLOAT, [n]) for n in range(2000)]
        found = of("m.onnx", onnx([], outputs))
        assert found.keys() == {"blake3"}
        assert len(found["blake3"]) == 64
        assert MAX_BYTES == 65_536


class TestSafetensors:
    def test_tensors_and_nothing_else(self):
        data = safetensors({"b": ("F32", [2, 3], 24), "a": ("I64", [], 8)}, {"version": "1.0.0"})
        assert of("m.safetensors", data) == {"tensors": {"a": ["I64"], "b": ["F32", 2, 3]}}

    def test_what_is_none(self):
        good = safetensors({"a": ("F32", [1], 4)})
        for data in (
            b"",
            b"1234567",
            good[:12],
            struct.pack("<Q", 1 << 60) + good[8:],
            b"\x80\x04K\x01.",
            good[:8] + b"[",
        ):
            assert of("m.safetensors", data) is None

    def test_a_name_is_needed(self):
        assert of("weights.bin", safetensors({"a": ("F32", [1], 4)})) is None


class TestChanges:
    def test_the_same_is_none_and_names_of_free_sizes_bind_nobody(self):
        other = onnx([("x", FLOAT, ["N", 64])], [("y", FLOAT, [None, 10]), ("label", INT64, ["k"])])
        assert changes({"m": of("m.onnx", MODEL)}, {"m": of("m.onnx", other)}) == []

    @pytest.mark.parametrize(
        ("inputs", "outputs", "told"),
        [
            ([("x", FLOAT, ["b", 128])], None, ["m: the input x was float32[?, 64], is float32[?, 128]"]),
            ([("x", INT64, ["b", 64])], None, ["m: the input x was float32[?, 64], is int64[?, 64]"]),
            ([], None, ["m: the input x is gone"]),
            (
                [("x", FLOAT, ["b", 64]), ("mask", INT64, [1])],
                None,
                ["m: the input mask is new: int64[1]"],
            ),
            (
                None,
                [("label", INT64, [None]), ("y", FLOAT, ["b", 10])],
                ["m: the outputs are in another order: label, y"],
            ),
        ],
    )
    def test_each_kind(self, inputs, outputs, told):
        data = onnx(
            [("x", FLOAT, ["b", 64])] if inputs is None else inputs,
            [("y", FLOAT, ["b", 10]), ("label", INT64, [None])] if outputs is None else outputs,
        )
        assert changes({"m": of("m.onnx", MODEL)}, {"m": of("m.onnx", data)}) == told

    def test_tensors_files_and_what_somebody_wrote_down(self):
        one = {"t": {"tensors": {f"w{n}": ["F32", n] for n in range(9)}}}
        two = {"t": {"tensors": {f"w{n}": ["F32", n + 1] for n in range(9)}}}
        told = changes(one, two)
        assert told[0] == "t: the tensor w0 was F32[0], is F32[1]"
        assert told[-1] == "t: and 4 more tensors"
        assert changes(one, {}) == ["t is not there any more"]
        assert changes({}, one) == []
        assert changes({"s": {"in": 1, "out": 2}}, {"s": {"in": 1, "out": 3}}) == [
            "s: its signature is another: out"
        ]
        assert changes({"s": [1]}, {"s": {"a": 1}}) == ["s: its signature is another"]
        assert changes({"s": {"inputs": 3, "outputs": []}}, {"s": {"inputs": 4, "outputs": []}}) == [
            "s: its signature is another: inputs"
        ]

    def test_for_people(self):
        assert told_of(of("m.onnx", MODEL)) == [
            ("input", "x float32[?, 64]"),
            ("output", "y float32[?, 10]"),
            ("output", "label int64[?]"),
        ]
        assert told_of({"tensors": {f"w{n}": ["F32"] for n in range(12)}}, 2)[-1] == ("", "and 10 more")
        assert told_of({"blake3": "0" * 64})[0][1].startswith('{"blake3"')
