"""`rote://` through fsspec, and through what reads with it: pandas, Polars, PyArrow."""

from __future__ import annotations

import gzip
import io
import pickle
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from readbench import CSV, ROWS, big, images
from treebench import Bench, DictTree, many

import rote
from rote.errors import Corrupt
from rote.filesystem import RoteFileSystem
from rote.testing.faults import CountingStore


@pytest.fixture
def fs(project: Path) -> RoteFileSystem:
    return RoteFileSystem(skip_instance_cache=True)


def test_it_is_registered(project: Path) -> None:
    assert isinstance(fsspec.filesystem("rote"), RoteFileSystem)
    with fsspec.open("rote://table.csv") as file:
        assert file.read() == CSV


def test_the_three_kinds_of_address(fs: RoteFileSystem) -> None:
    id = rote.dataset("data/images").ref.id
    want = images()["cat/0010.png"]
    for head in ("data/images", "data/images@v1", "data/images@feature%2Fmore", "data/images@HEAD~1", id):
        assert fs.cat_file(f"rote://{head}/cat/0010.png") == want
        assert fs.info(f"{head}/cat/0010.png")["name"] == f"{head}/cat/0010.png"
        assert fs.info(f"rote://{head}/cat")["type"] == "directory"
        assert fs.info(head)["type"] == "directory"
    assert fs.exists("data/images/cat/0003.png")
    assert not fs.exists("data/images@v1/cat/0003.png")
    assert fs.cat_file("table.csv") == fs.cat_file("table.csv@v1") == CSV
    assert fs.isfile("table.csv@v1")


def test_lists(fs: RoteFileSystem) -> None:
    assert fs.ls("", detail=False) == ["big", "data/images", "table.csv"]
    assert [e["type"] for e in fs.ls("rote://")] == ["directory", "directory", "file"]
    assert fs.ls("data/images@v1", detail=False) == [f"data/images@v1/{x}" for x in ("cat", "dog", "fox")]
    assert len(fs.ls("data/images/cat")) == 200
    (entry,) = fs.ls("data/images/cat/0003.png")
    assert entry["size"] == len(images()["cat/0003.png"])
    assert entry["type"] == "file"
    assert fs.find("data/images/dog") == sorted(f"data/images/{p}" for p in images() if p.startswith("dog"))
    assert len(fs.find("data/images@v1")) == 590
    assert fs.find("table.csv") == ["table.csv"]
    assert fs.glob("data/images/*/000[12].png") == [
        f"data/images/{label}/000{n}.png" for label in ("cat", "dog", "fox") for n in (1, 2)
    ]
    assert [(top, len(dirs), len(files)) for top, dirs, files in fs.walk("data/images")] == [
        ("data/images", 3, 0), ("data/images/cat", 0, 200), ("data/images/dog", 0, 200), ("data/images/fox", 0, 200)
    ]  # fmt: skip
    assert fs.du("big") == 6_000_000


@pytest.mark.parametrize(
    "path",
    ["data/images/cat/none.png", "data/images/cow", "nothing", "table.csv@v9", "0" * 64 + "/x", "../x", "nothing@v1/x", "a\0b"],
)  # fmt: skip
def test_what_is_not_there(fs: RoteFileSystem, path: str) -> None:
    for ask in (fs.info, fs.ls, fs.cat_file, fs.open):
        with pytest.raises(FileNotFoundError):
            ask(f"rote://{path}")
    assert not fs.exists(path)


def test_kinds_that_are_mistaken(fs: RoteFileSystem) -> None:
    with pytest.raises(IsADirectoryError):
        fs.open("data/images/cat")
    with pytest.raises(IsADirectoryError):
        fs.cat_file("big")
    with pytest.raises(NotADirectoryError):
        fs.open("table.csv/below")


def test_nothing_can_be_written(fs: RoteFileSystem) -> None:
    for change in (
        lambda: fs.open("table.csv", "wb"),
        lambda: fs.pipe_file("new", b"x"),
        lambda: fs.mkdir("new"),
        lambda: fs.makedirs("new/er"),
        lambda: fs.rm("table.csv"),
        lambda: fs.touch("new"),
        lambda: fs.cp_file("table.csv", "new"),
    ):
        with pytest.raises(OSError, match="rote:// is for reading"):
            change()


def test_ranges(fs: RoteFileSystem) -> None:
    data = big()
    spans = [
        (0, 10),
        (5_999_990, None),
        (-5, None),
        (1_000_000, 3_000_000),
        (7, 7),
        (9, 3),
        (5_999_999, 9_999_999),
        (None, -1),
    ]
    for start, end in spans:
        assert fs.cat_file("big/noise.bin", start, end) == data[start:end]
    starts, ends = zip(*spans, strict=True)
    assert fs.cat_ranges(["big/noise.bin"] * len(spans), list(starts), list(ends)) == [
        data[a:b] for a, b in spans
    ]
    assert fs.head("big/noise.bin", 100) == data[:100]
    assert fs.tail("big/noise.bin", 100) == data[-100:]
    assert fs.cat_file("big/empty.bin") == b""
    some = ["data/images/cat/0001.png", "data/images/none"]
    found = fs.cat_ranges(some, 0, 5)
    assert found[0] == images()["cat/0001.png"][:5]
    assert isinstance(found[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(some, 0, 5, on_error="raise")
    assert fs.cat(some, on_error="omit") == {some[0]: images()["cat/0001.png"]}
    whole = fs.cat("data/images/fox", recursive=True)
    assert whole == {f"data/images/{p}": d for p, d in images().items() if p.startswith("fox")}


def test_files(fs: RoteFileSystem, tmp_path: Path) -> None:
    data = big()
    with fs.open("big/noise.bin") as file:
        assert file.size == len(data)
        assert file.read(10) == data[:10]
        file.seek(-10, io.SEEK_END)
        assert file.read() == data[-10:]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(77_777), b"")) == data
        assert file.readinto(bytearray(5)) == 0
    with fs.open("table.csv", "rt") as text:
        assert text.readline() == "id,name,value\n"
    assert len(fs.open("table.csv").readlines()) == ROWS + 1
    fs.get("data/images/dog", str(tmp_path / "dog"), recursive=True)
    assert (tmp_path / "dog/0007.png").read_bytes() == images()["dog/0007.png"]
    copy = pickle.loads(pickle.dumps(fs))
    assert copy.cat_file("table.csv") == CSV
    with pickle.loads(pickle.dumps(fs.open("table.csv"))) as file:
        assert file.read() == CSV
    assert fs.ukey("table.csv") == fs.ukey("table.csv@v1") != fs.ukey("big/noise.bin")
    assert fs.checksum("table.csv") == int(fs.ukey("table.csv"), 16)


def test_a_moved_tag_is_seen_after_asking(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(project, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    fs = fsspec.filesystem("rote")
    assert not fs.exists("data/images@v1/cat/0003.png")
    subprocess.run(["git", "tag", "-f", "v1", "main"], check=True, capture_output=True)
    assert not fs.exists("data/images@v1/cat/0003.png")
    fs.invalidate_cache()
    assert fs.exists("data/images@v1/cat/0003.png")
    monkeypatch.chdir(project)  # the same object, another project: what "." means is looked up
    assert not fs.exists("data/images@v1/cat/0003.png")


def test_one_file_of_many_costs_few_requests_and_a_listing_reads_no_node_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rote.adapters.stores.folder import FolderStore
    from rote.ports import Silence
    from rote.wiring.parts import Wiring
    from rote.wiring.reaching import Reaching, Source

    rote.init(str(tmp_path), store=str(tmp_path / "store"))
    store = CountingStore(FolderStore(str(tmp_path / "store")))
    record = Bench(store).save(DictTree({**many(20_000, 20), "z/last": b"x"}))
    assert len(record.nodes) > 10
    wiring = Wiring(str(tmp_path), store=None, progress=Silence(), cwd=str(tmp_path), wrap=lambda _: store)
    monkeypatch.setattr(
        Reaching, "open", staticmethod(lambda *_: Reaching(Source(str(tmp_path), None, ".", wiring)))
    )
    fs = RoteFileSystem(skip_instance_cache=True)
    store.reset()
    assert fs.cat_file(f"{record.id}/z/last") == b"x"
    assert store.total <= 6
    names = fs.ls(record.id, detail=False)
    assert names == [f"{record.id}/{i:03}" for i in range(200)] + [f"{record.id}/z"]
    store.reset()
    fs.ls(f"{record.id}/100")
    assert store.total <= 2
    store.reset()
    with fs.open(f"{record.id}/100/010001.bin") as file:
        file.read()
        file.seek(0)
        file.read()
    assert store.total <= 2


def test_a_folder_that_holds_whole_nodes_is_listed_without_reading_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rote.adapters.stores.folder import FolderStore
    from rote.ports import Silence
    from rote.wiring.parts import Wiring
    from rote.wiring.reaching import Reaching, Source

    rote.init(str(tmp_path), store=str(tmp_path / "store"))
    store = CountingStore(FolderStore(str(tmp_path / "store")))
    files = {f"train/{path}": data for path, data in many(20_000, 20).items()} | {"test/a": b"a"}
    record = Bench(store).save(DictTree(files))
    wiring = Wiring(str(tmp_path), store=None, progress=Silence(), cwd=str(tmp_path), wrap=lambda _: store)
    monkeypatch.setattr(
        Reaching, "open", staticmethod(lambda *_: Reaching(Source(str(tmp_path), None, ".", wiring)))
    )
    fs = RoteFileSystem(skip_instance_cache=True)
    fs.info(record.id)
    fs._indexes.clear()
    store.reset()
    assert fs.ls(record.id, detail=False) == [f"{record.id}/test", f"{record.id}/train"]
    assert store.total <= 2  # the first node and the last


def test_damage_is_told(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    shutil.copytree(project, tmp_path / "copy", symlinks=True)
    for pack in (tmp_path / "copy/.rote/store/packs").rglob("*"):
        if pack.is_file():
            data = bytearray(pack.read_bytes())
            data[8 : len(data) // 2] = bytes(len(data) // 2 - 8)
            pack.chmod(0o644)
            pack.write_bytes(data)
    monkeypatch.chdir(tmp_path / "copy")
    with pytest.raises(Corrupt):
        fsspec.filesystem("rote", skip_instance_cache=True).cat("data/images/cat", recursive=True)


def test_without_fsspec_the_error_is_the_pip_line() -> None:
    code = "import sys; sys.modules['fsspec'] = None\nimport rote.filesystem"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "MissingExtra: reading rote:// needs fsspec" in done.stderr
    code = "import sys; sys.modules['fsspec'] = None\nfrom rote.errors import MissingExtra\ntry:\n import rote.filesystem\nexcept MissingExtra as e:\n print(e.next)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "pip install 'rote[fsspec]'"


# ---- the libraries themselves ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data is tables: `t/` with csv, csv.gz, parquet, and `parts/` of four parquet files."""
    import pandas as pd

    root = tmp_path_factory.mktemp("tables")
    rote.init(str(root))
    frame = pd.read_csv(io.BytesIO(CSV))
    (root / "t/parts/day=1").mkdir(parents=True)
    (root / "t/parts/day=2").mkdir()
    (root / "t/a.csv").write_bytes(CSV)
    (root / "t/a.csv.gz").write_bytes(gzip.compress(CSV))
    frame.to_parquet(root / "t/a.parquet", row_group_size=100)
    for number in range(4):
        part = frame.iloc[number * 500 : (number + 1) * 500]
        part.to_parquet(root / f"t/parts/day={1 + number % 2}/{number}.parquet")
    rote.open(str(root)).add(str(root / "t"))
    import shutil

    shutil.rmtree(root / "t")
    return root


def test_pandas(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.chdir(tables)
    frame = pd.read_csv(io.BytesIO(CSV))
    pd.testing.assert_frame_equal(pd.read_csv("rote://t/a.csv"), frame)
    pd.testing.assert_frame_equal(pd.read_csv("rote://t/a.csv.gz"), frame)
    pd.testing.assert_frame_equal(pd.read_parquet("rote://t/a.parquet"), frame)
    some = pd.read_parquet("rote://t/a.parquet", columns=["value"], filters=[("id", "<", 50)])
    assert some.value.tolist() == frame.value.tolist()[:50]
    chunks = pd.read_csv("rote://t/a.csv", chunksize=300)
    assert sum(len(chunk) for chunk in chunks) == ROWS
    monkeypatch.chdir("/")
    options = {"project": str(tables)}
    pd.testing.assert_frame_equal(pd.read_csv("rote://t/a.csv", storage_options=options), frame)
    with pytest.raises(FileNotFoundError):
        pd.read_csv("rote://t/b.csv", storage_options=options)


def test_polars(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl
    import pyarrow.dataset as ds

    monkeypatch.chdir(tables)
    frame = pl.read_csv(CSV)
    with fsspec.open("rote://t/a.csv") as file:
        assert pl.read_csv(file).equals(frame)
    with fsspec.open("rote://t/a.parquet") as file:
        assert pl.read_parquet(file).select(frame.columns).equals(frame)
    dataset = ds.dataset("t/a.parquet", filesystem=fsspec.filesystem("rote"))
    lazy = pl.scan_pyarrow_dataset(dataset).filter(pl.col("id") >= 1990).select("id")
    assert lazy.collect()["id"].to_list() == list(range(1990, 2000))


def test_pyarrow(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    monkeypatch.chdir(tables)
    fs = fsspec.filesystem("rote")
    parts = ds.dataset("t/parts", filesystem=fs, partitioning="hive")
    assert parts.count_rows() == ROWS
    assert sorted(parts.to_table(filter=ds.field("day") == 2)["id"].to_pylist()) == [
        *range(500, 1000),
        *range(1500, 2000),
    ]
    table = pq.read_table("t/a.parquet", filesystem=PyFileSystem(FSSpecHandler(fs)), columns=["id"])
    assert table["id"].to_pylist() == list(range(ROWS))
    assert pq.ParquetFile(fs.open("t/a.parquet"), pre_buffer=True).read_row_group(3)[
        "id"
    ].to_pylist() == list(range(300, 400))
