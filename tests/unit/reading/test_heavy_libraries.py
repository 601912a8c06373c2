"""Samples and `rote://` in the libraries that are too large for everyday: torch and Hugging Face datasets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from readbench import CSV, ROWS, images, length

import rote
from rote.services.data.samples import Sample

pytestmark = pytest.mark.heavy


def to_tensor(sample: Sample):
    """A sample as a tensor of its first 64 bytes, and its label's number."""
    import torch

    first = torch.frombuffer(bytearray(sample.data[:64]), dtype=torch.uint8)
    return first, ["cat", "dog", "fox"].index(sample.label)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_torch_map_style(project: Path, workers: int, method: str) -> None:
    from torch.utils.data import DataLoader, DistributedSampler, RandomSampler

    samples = rote.dataset("data/images").map(to_tensor)
    context = method if workers else None
    files = images()
    for sampler in (RandomSampler(samples), samples.shuffled(3).indices()):
        loader = DataLoader(
            samples, batch_size=32, sampler=sampler, num_workers=workers, multiprocessing_context=context
        )
        firsts = Counter(bytes(row.tolist()) for batch, _ in loader for row in batch)
        assert firsts == Counter(data[:64] for data in files.values())
    loader = DataLoader(samples, batch_size=50, num_workers=workers, multiprocessing_context=context)
    assert [int(n) for _, labels in loader for n in labels] == [0] * 200 + [1] * 200 + [2] * 200
    sampler = DistributedSampler(samples, num_replicas=3, rank=1, shuffle=True)
    assert sum(len(labels) for _, labels in DataLoader(samples, batch_size=10, sampler=sampler)) == 200


@pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (3, "spawn")])
def test_torch_iterable(project: Path, workers: int, method: str | None) -> None:
    from torch.utils.data import DataLoader

    from rote.torchdata import Stream

    samples = rote.dataset("data/images", memory=3 << 20).map(length)
    stream = Stream(samples.shuffled(5))
    assert len(stream) == 600
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=method,
        persistent_workers=workers > 0,
    )
    want = {path: len(data) for path, data in images().items()}
    orders = []
    for epoch in (0, 0, 1):
        stream.set_epoch(epoch)
        seen = [tuple(each) for each in loader]  # torch makes lists of tuples
        assert len(seen) == 600
        assert dict(seen) == want
        orders.append(seen)
    if not workers:
        assert orders[0] == orders[1] == list(samples.shuffled(5))
        assert orders[2] == list(samples.shuffled(5, epoch=1))
    else:
        assert orders[0] == orders[1]
    assert orders[2] != orders[1]


def test_torch_shards_of_a_distributed_run(project: Path) -> None:
    from torch.utils.data import DataLoader

    from rote.torchdata import Stream

    samples = rote.dataset("data/images", memory=3 << 20).map(length)
    seen = []
    for rank in range(2):
        stream = Stream(samples.shuffled(5, rank=rank, world=2, equal=True))
        mine = [tuple(each) for each in DataLoader(stream, batch_size=None, num_workers=2)]
        assert len(mine) == 300
        seen += mine
    assert sorted(seen) == sorted((p, len(d)) for p, d in images().items())


def test_torch_collates_samples_as_they_are(project: Path) -> None:
    from torch.utils.data import DataLoader

    batch = next(iter(DataLoader(rote.dataset("data/images"), batch_size=4)))
    assert batch.number.tolist() == [0, 1, 2, 3]
    assert list(batch.path) == sorted(images())[:4]
    assert batch.data[2] == images()[batch.path[2]]


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_datasets(project: Path, tmp_path: Path, streaming: bool, monkeypatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")  # and no hub: the builder comes with the library
    import datasets

    found = datasets.load_dataset(
        "csv",
        data_files=f"rote://{rote.dataset('table.csv').ref.id}/file",
        split="train",
        streaming=streaming,
        cache_dir=str(tmp_path / "cache"),
    )
    rows = list(found)
    assert len(rows) == ROWS
    assert rows[3] == {"id": 3, "name": "name3", "value": 9.5}
    assert CSV.startswith(b"id,name,value")
