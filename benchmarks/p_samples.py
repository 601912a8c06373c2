"""Samples a second in shuffled order, without a checkout: from a store in a folder beside the local files themselves, and
from a store on a real S3 server (Ceph RGW, on loopback) beside a plain reader that gets one object a sample.

Every reader reads every file once, in an order of its own seed, on all cores it likes. "first" is with an empty
read cache, "again" with a full one.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rote
from rounds import Row, arguments, clock, fresh, median, report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import rgw, sharing

COUNT = 10_000
THREADS = 16


def images(folder: Path) -> list[Path]:
    """Files of 5 to 20 KiB that do not compress, in ten folders."""
    rnd = random.Random(1)
    made = []
    for number in range(COUNT):
        path = folder / str(number % 10) / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rnd.randbytes(rnd.randrange(5_000, 20_000)))
        made.append(path)
    return made


def used(samples: Iterable[bytes]) -> None:
    assert sum(1 for data in samples if data[0] >= 0) == COUNT


def with_rote(project: Path, seed: int) -> Callable[[], None]:
    return lambda: used(s.data for s in rote.dataset("data", project=str(project)).shuffled(seed))


def with_open(files: list[Path], seed: int) -> Callable[[], None]:
    order = random.Random(seed).sample(files, len(files))
    return lambda: used(path.read_bytes() for path in order)


def with_get(bucket: object, keys: list[str], seed: int) -> Callable[[], None]:
    import obstore

    order = random.Random(seed).sample(keys, len(keys))

    def work() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            used(pool.map(lambda key: bytes(obstore.get(bucket, key).bytes()), order))

    return work


def saved(project: Path, store: str | None) -> None:
    rote.init(str(project), store=store)
    rote.open(str(project)).add(str(project / "data"))


def main() -> None:
    setting = arguments()
    rows: dict[str, list[float]] = {k: [] for k in ("folder", "files", "first", "again", "get")}
    with fresh(setting) as place:
        folder, cloud = place / "folder", place / "cloud"
        files = images(folder / "data")
        shutil.copytree(folder / "data", cloud / "data")
        saved(folder, None)
        (place / "rgw").mkdir()
        told = rgw.start(place / "rgw")
        try:
            os.environ.update(AWS_ACCESS_KEY_ID=told["key"], AWS_SECRET_ACCESS_KEY=told["secret"])
            os.environ["ROTE_CACHE"] = str(place / "cache")
            import boto3
            from obstore.store import S3Store

            boto3.client("s3", endpoint_url=told["endpoint"], region_name="us-east-1").create_bucket(
                Bucket="rote"
            )
            bucket = S3Store(
                "rote", endpoint=told["endpoint"], region="us-east-1", client_options={"allow_http": True},
                virtual_hosted_style_request=False,
            )  # fmt: skip
            saved(cloud, f"s3://rote/store?endpoint={told['endpoint']}")
            import obstore

            keys = [f"plain/{path.relative_to(folder / 'data')}" for path in files]
            with ThreadPoolExecutor(THREADS) as pool:
                list(
                    pool.map(
                        lambda pair: obstore.put(bucket, pair[0], pair[1].read_bytes()),
                        zip(keys, files, strict=True),
                    )
                )
            for turn in range(setting.rounds):
                rows["files"].append(clock(with_open(files, turn)))
                rows["folder"].append(clock(with_rote(folder, turn)))
                rows["get"].append(clock(with_get(bucket, keys, turn)))
                shutil.rmtree(place / "cache", ignore_errors=True)
                rows["first"].append(clock(with_rote(cloud, turn)))
                rows["again"].append(clock(with_rote(cloud, turn + 1)))
        finally:
            sharing.end(told["pids"])
    middle = {name: median(values) for name, values in rows.items()}
    note = {name: f"{COUNT / took:,.0f} samples/s" for name, took in middle.items()}
    limit = middle["files"]
    report(
        setting,
        [
            Row("samples", "10,000 images of 5–20 KiB, shuffled: folder store; peer: the local files", middle["folder"],
                middle["files"], limit, "–", f"{note['folder']}; files {note['files']}"),
            Row("samples", "the same from S3, nothing cached; peer: one GET a sample, 16 at once", middle["first"],
                middle["get"], limit, "–", f"{note['first']}; plain {note['get']}"),
            Row("samples", "the same from S3, cached; peer: one GET a sample, 16 at once", middle["again"],
                middle["get"], limit, "–", f"{note['again']}; plain {note['get']}"),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
