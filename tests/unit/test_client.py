"""The application's side: verified, incremental, offline, repaired; requests and bytes are counted."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from modelbench import CHANNEL, Bench, noise, tree

from rote.adapters.stores.folder import FolderStore
from rote.client import Model
from rote.errors import BadName, Corrupt, Missing, StoreFull, StoreUnavailable
from rote.testing.faults import Fault, FaultyStore

LARGE = noise(6 << 20)
ONE = {"model": {"net.onnx": LARGE, "labels.txt": b"0\n1\n", "same.bin": noise(400_000, 7)}}
CHANGED = LARGE[: 3 << 20] + noise(1000, 1) + LARGE[3 << 20 :]
TWO = {"model": {**ONE["model"], "net.onnx": CHANGED}}
THREE = {"model": {"net.onnx": noise(200_000, 3)}}


@pytest.fixture
def bench():
    made = Bench()
    made.release(ONE, promote="prod", version="1.0.0")
    made.store.reset()
    return made


def offline(n, kind, key):
    return Fault.UNAVAILABLE


def served(model):
    return tree(model.path() / "model")


def versions(cache):
    return sorted(p.name for p in (cache / "versions").iterdir())


def damage(path):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_nothing_is_touched_before_the_first_call(bench, tmp_path):
    Model(bench.store, "digits", cache=tmp_path / "c")
    assert bench.store.total == 0
    assert not (tmp_path / "c").exists()


def test_the_first_call_brings_the_files(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    assert served(model) == ONE["model"]
    assert model.version == "1.0.0"
    assert model.problem is None
    assert isinstance(model.path(), Path)
    assert bench.store.total <= 6


def test_files_are_read_only(bench, tmp_path):
    path = Model(bench.store, "digits", cache=tmp_path / "c").path() / "model" / "net.onnx"
    assert path.stat().st_mode & 0o222 == 0


def test_a_poll_with_nothing_new_is_one_request_without_a_body(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    assert model.refresh()
    bench.store.reset()
    assert not model.refresh()
    assert bench.store.journal == [("head", CHANNEL)]
    assert bench.store.bytes.total() == 0
    path = model.path()
    assert bench.store.total == 1
    assert path == model.path()


def test_after_a_restart_it_is_one_request_as_well(bench, tmp_path):
    Model(bench.store, "digits", cache=tmp_path / "c").path()
    bench.store.reset()
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    assert served(model) == ONE["model"]
    assert bench.store.journal == [("head", CHANNEL)]
    assert bench.store.bytes.total() == 0


def test_an_update_reads_changed_chunks_only(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    old = model.path()
    bench.release(TWO, promote="prod")
    bench.store.reset()
    assert model.refresh()
    assert served(model) == TWO["model"]
    assert model.version == "1.0.1"
    size = sum(len(data) for data in TWO["model"].values())
    moved = sum(bench.store.bytes.values())
    assert moved < 2 * (1 << 20) + 30_000, "more than the two chunks that may have changed"
    assert moved < size / 3
    assert tree(old / "model") == ONE["model"], "the version before stays for those who use it"


def test_an_unchanged_file_is_not_written_again(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    old = os.stat(model.path() / "model" / "same.bin")
    bench.release(TWO, promote="prod")
    model.refresh()
    new = os.stat(model.path() / "model" / "same.bin")
    assert (old.st_ino, old.st_dev) == (new.st_ino, new.st_dev)


def test_a_rollback_is_followed_without_reading_a_byte_of_the_model(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    first = model.path()
    bench.release(TWO, promote="prod")
    model.refresh()
    bench.registry.rollback("digits")
    bench.store.reset()
    assert model.refresh()
    assert (model.version, model.path()) == ("1.0.0", first)
    assert served(model) == ONE["model"]
    assert bench.store.journal == [("head", CHANNEL), ("get", CHANNEL)]
    assert not model.refresh()


def test_two_versions_are_kept(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    paths = [model.path()]
    for outs in (TWO, THREE):
        bench.release(outs, promote="prod")
        assert model.refresh()
        paths.append(model.path())
    assert [p.exists() for p in paths] == [False, True, True]
    assert versions(tmp_path / "c") == sorted(p.parent.name for p in paths[1:])


def test_offline_it_serves_its_verified_copy(bench, tmp_path):
    Model(bench.store, "digits", cache=tmp_path / "c").path()
    model = Model(FaultyStore(bench.inner, offline), "digits", cache=tmp_path / "c")
    assert not model.refresh()
    assert isinstance(model.problem, StoreUnavailable)
    assert served(model) == ONE["model"]
    assert model.version == "1.0.0"


def test_offline_without_a_copy_it_says_so(bench, tmp_path):
    model = Model(FaultyStore(bench.inner, offline), "digits", cache=tmp_path / "c")
    with pytest.raises(StoreUnavailable):
        model.refresh()
    with pytest.raises(StoreUnavailable):
        model.path()


def test_it_catches_up_when_the_store_is_back(bench, tmp_path):
    down = [False]
    store = FaultyStore(bench.inner, lambda n, kind, key: Fault.UNAVAILABLE if down[0] else None)
    model = Model(store, "digits", cache=tmp_path / "c")
    model.path()
    bench.release(TWO, promote="prod")
    down[0] = True
    assert not model.refresh()
    down[0] = False
    assert model.refresh()
    assert model.problem is None
    assert served(model) == TWO["model"]


@pytest.mark.parametrize("name", ["net.onnx", "labels.txt", "same.bin"])
def test_a_damaged_cache_is_repaired(bench, tmp_path, name):
    damage(Model(bench.store, "digits", cache=tmp_path / "c").path() / "model" / name)
    bench.store.reset()
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    assert served(model) == ONE["model"]
    size = sum(len(data) for data in ONE["model"].values())
    assert sum(bench.store.bytes.values()) < size / 3, "what is sound was taken from the cache"
    assert len(versions(tmp_path / "c")) == 1
    assert not Model(bench.store, "digits", cache=tmp_path / "c").refresh()


def test_other_damage_is_repaired(bench, tmp_path):
    cache = tmp_path / "c"
    for harm in (
        lambda here: (here / "files" / "model" / "labels.txt").unlink(),
        lambda here: shutil.rmtree(here / "files"),
        lambda here: (here / "manifest").unlink(),
        lambda here: damage(here / "manifest"),
        shutil.rmtree,
        lambda here: damage(cache / "current"),
        lambda here: (cache / "current").unlink(),
        lambda here: (cache / "lock").unlink(),
    ):
        harm(Model(bench.store, "digits", cache=cache).path().parent)
        assert served(Model(bench.store, "digits", cache=cache)) == ONE["model"]


def test_a_damaged_copy_is_never_served_offline(bench, tmp_path):
    damage(Model(bench.store, "digits", cache=tmp_path / "c").path() / "model" / "net.onnx")
    model = Model(FaultyStore(bench.inner, offline), "digits", cache=tmp_path / "c")
    with pytest.raises(StoreUnavailable):
        model.path()


def test_a_damaged_store_changes_nothing(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    model.path()
    bench.release(TWO, promote="prod")
    rot = FaultyStore(bench.inner, lambda n, kind, key: Fault.ROT if key.startswith("packs/") else None)
    rotten = Model(rot, "digits", cache=tmp_path / "c")
    with pytest.raises(Corrupt):
        rotten.refresh()
    assert served(rotten) == ONE["model"]
    assert isinstance(rotten.problem, Corrupt)
    assert not [v for v in versions(tmp_path / "c") if v.startswith(".")]
    assert model.refresh()
    assert served(model) == TWO["model"]


def test_an_old_state_of_the_store_is_not_installed(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    old = bench.inner.get(CHANNEL).data
    model.path()
    bench.release(TWO, promote="prod")
    assert model.refresh()
    bench.inner.replace(CHANNEL, old, bench.inner.get(CHANNEL).etag)
    assert not model.refresh()
    assert isinstance(model.problem, Corrupt)
    assert "this is an old state of the store" in str(model.problem)
    assert served(Model(bench.store, "digits", cache=tmp_path / "c")) == TWO["model"]


def test_nor_is_it_when_the_cache_needs_repair(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    old = bench.inner.get(CHANNEL).data
    model.path()
    bench.release(TWO, promote="prod")
    model.refresh()
    damage(model.path() / "model" / "net.onnx")
    bench.inner.replace(CHANNEL, old, bench.inner.get(CHANNEL).etag)
    with pytest.raises(Corrupt, match="an old state of the store"):
        Model(bench.store, "digits", cache=tmp_path / "c").path()


def test_nobody_holds_the_alias(bench, tmp_path):
    with pytest.raises(Missing, match="nobody holds digits@staging"):
        Model(bench.store, "digits", alias="staging", cache=tmp_path / "c").path()


@pytest.mark.parametrize(
    ("name", "alias"), [("../x", "prod"), ("digits", "a/b"), ("digits", "1.0.0"), ("", "prod")]
)
def test_hostile_names(bench, name, alias):
    with pytest.raises(BadName):
        Model(bench.store, name, alias=alias)


def test_a_cache_belongs_to_one_model_and_alias(bench, tmp_path):
    Model(bench.store, "digits", cache=tmp_path / "c").path()
    bench.registry.promote("digits", "1.0.0", "staging")
    with pytest.raises(Corrupt, match="this cache belongs to digits@prod"):
        Model(bench.store, "digits", alias="staging", cache=tmp_path / "c").path()


def test_many_threads_and_instances_bring_it_once(bench, tmp_path):
    shared = Model(bench.store, "digits", cache=tmp_path / "c")
    models = [shared] * 4 + [Model(bench.store, "digits", cache=tmp_path / "c") for _ in range(4)]
    ready = threading.Barrier(len(models))
    found = []

    def use(model):
        ready.wait()
        found.append(served(model))

    threads = [threading.Thread(target=use, args=(m,)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ONE["model"]] * len(models)
    assert versions(tmp_path / "c") == [shared.path().parent.name]
    read = bench.store.bytes["get_ranges"]
    assert read < 1.1 * sum(len(data) for data in ONE["model"].values())


def test_a_store_in_a_folder_by_its_path(tmp_path, monkeypatch):
    bench = Bench(store=FolderStore(str(tmp_path / "store")))
    bench.release(ONE, promote="prod")
    monkeypatch.chdir(tmp_path)
    model = Model("store", "digits", cache="c")
    monkeypatch.chdir("/")
    assert served(model) == ONE["model"]
    (tmp_path / "store").rename(tmp_path / "away")
    again = Model(str(tmp_path / "store"), "digits", cache=tmp_path / "c")
    assert served(again) == ONE["model"]
    assert isinstance(again.problem, StoreUnavailable)


def test_the_default_cache_is_below_the_users(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert (tmp_path / "xdg" / "rote" / "models") in Model(bench.store, "digits").path().parents


def test_a_full_disk_leaves_what_is_in_use(bench, tmp_path):
    model = Model(bench.store, "digits", cache=tmp_path / "c")
    model.path()
    bench.release(THREE, promote="prod")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreFull) as caught:
            model.refresh()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.safe == "what was in use before is untouched"
    assert served(model) == ONE["model"]
    assert model.refresh()
    assert served(model) == THREE["model"]


def test_processes_share_a_cache(tmp_path):
    bench = Bench(store=FolderStore(str(tmp_path / "store")))
    bench.release(ONE, promote="prod")
    code = (
        "import sys; from rote.client import Model; m = Model(sys.argv[1], 'digits', cache=sys.argv[2]);"
        "sys.stdin.readline(); p = m.path(); assert (p / 'model' / 'labels.txt').read_bytes() == b'0\\n1\\n'; print(p)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "store"), str(tmp_path / "c")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert found == {str(Model(str(tmp_path / "store"), "digits", cache=tmp_path / "c").path())}
    assert len(versions(tmp_path / "c")) == 1
