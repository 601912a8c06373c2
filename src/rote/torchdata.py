"""Samples for `torch.utils.data`, where a Dataset that is only iterated must be of torch's own class.

`rote.dataset(…)` itself is a map-style dataset and needs nothing of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rote.errors import MissingExtra
from rote.services.data.samples import Pass

try:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError as e:
    raise MissingExtra("rote.torchdata needs torch, which is not installed", next="pip install torch") from e


class Stream(IterableDataset):  # type: ignore[misc]  # torch is not there when types are checked
    """A pass (`samples.shuffled(…)`, `samples.in_order(…)`) for a DataLoader: every worker reads its own part of it, so
    that all workers together give each sample once. The shard (rank, world) is the pass's own."""

    def __init__(self, samples: Pass) -> None:
        super().__init__()
        self._pass = samples
        # In shared memory: workers that stay alive between epochs see what the main process sets.
        self._epoch = torch.tensor(samples.seed[1] if samples.seed else 0).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """From the next pass on, the order of this epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self._pass)

    def __iter__(self) -> Iterator[Any]:
        chosen = self._pass.at_epoch(int(self._epoch))
        worker = get_worker_info()
        return iter(chosen if worker is None else chosen.split(worker.id, worker.num_workers))
