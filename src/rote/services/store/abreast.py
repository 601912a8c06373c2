"""Requests to a distant store side by side: the way there and back is waited for once, not once for each.

A store in a folder is so near that a thread would cost more than it saves; there everything is done one by one, in the
order in which it is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from rote.ports import ObjectStore

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

WIDTH = 16
"""Small requests under way at once."""


def is_far(store: ObjectStore) -> bool:
    """Whether requests take a way over a network."""
    return "://" in store.url


def each(store: ObjectStore, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` done for every item, results in order. Raises what the first of them raised, once all that had begun
    have ended; the others are not begun then."""
    if len(items) < 2 or not is_far(store):
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # most commands never need it: start-up time

    with ThreadPoolExecutor(min(WIDTH, len(items)), "rote-ask") as pool:
        return list(pool.map(work, items))


def ahead(store: ObjectStore, work: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """`work` done for every item, results in order, up to `depth` of them before they are asked for. `items` is taken
    from in the thread that iterates, and as far ahead."""
    todo = iter(items)
    first = list(islice(todo, 2)) if is_far(store) else []
    if len(first) < 2:
        yield from map(work, first or todo)
        return
    from concurrent.futures import ThreadPoolExecutor  # as above

    pool = ThreadPoolExecutor(depth, "rote-ahead")
    coming: deque[Future[R]] = deque()
    try:
        coming.extend(pool.submit(work, item) for item in first)
        coming.extend(pool.submit(work, item) for item in islice(todo, max(depth - len(first), 0)))
        while coming:
            result = coming.popleft().result()
            coming.extend(pool.submit(work, item) for item in islice(todo, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
