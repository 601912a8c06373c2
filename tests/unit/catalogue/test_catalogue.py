from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rote.adapters.stores.folder import FolderStore
from rote.errors import RoteError, UsageError
from rote.services.runs.catalogue import Catalogue
from rote.services.runs.catalogue.schema import VIEW_NAMES
from rote.testing.clock import StillClock
from rote.words.channel import AliasMove, Channel
from rote.words.encoding import with_check
from rote.words.ids import Digest, SnapshotId, StageKey, TxnId
from rote.words.record import LIVE, PENDING, Root, Txn
from rote.words.run import Host, StageOutcome
from rote.words.snapshot import SnapshotRef
from rote.words.version import Version
from run_worlds import World, plant

DOCS = Path(__file__).parents[3] / "docs" / "runs.md"
REF = SnapshotRef(
    id=SnapshotId(Digest("ab" * 32)), txn=TxnId("20261121T000000-0000000000000001"), files=3, size=70
)


def ids(world: World, where: str | None = None, sort: str | None = None) -> list[str]:
    return [row[0] for row in world.catalogue.runs(where, sort, ["id"]).rows]


def test_no_runs(world: World) -> None:
    assert world.catalogue.sync().read == 0
    assert world.catalogue.runs("metrics.accuracy > 0.9").rows == []


def test_newest_first_and_metrics_as_columns(world: World) -> None:
    first = world.add(metrics={"m.json": {"accuracy": 0.5, "loss": {"train": 1}}})
    second = world.add(metrics={"m.json": {"accuracy": 0.75}})
    world.catalogue.sync()
    table = world.catalogue.runs()
    assert table.columns[:3] == ["id", "state", "began"]
    assert table.columns[-2:] == ["metrics.accuracy", "metrics.loss.train"]
    assert [row[0] for row in table.rows] == [second, first]
    assert [row[-2:] for row in table.rows] == [(0.75, None), (0.5, 1)]


def test_the_question_of_the_manual(world: World) -> None:
    good = world.add(metrics={"m.json": {"accuracy": 0.95}}, params={"params.yaml": {"train": {"lr": 0.01}}})
    fast = world.add(metrics={"m.json": {"accuracy": 0.95}}, params={"params.yaml": {"train": {"lr": 0.5}}})
    mine = world.add(metrics={"m.json": {"accuracy": 0.1}}, tags={"owner": "x"})
    world.catalogue.sync()
    where = "metrics.accuracy > 0.9 and params.train.lr < 0.1 or tags.owner = 'x'"
    assert ids(world, where) == [mine, good]
    assert ids(world, "metrics.accuracy > 0.9 and (params.train.lr < 0.1 or tags.owner = 'x')") == [good]
    assert ids(world, "not tags.owner = 'x'") == [fast, good]
    assert ids(world, "tags.owner != 'x'") == []


def test_the_first_file_that_has_a_key_counts_and_a_file_can_be_named(world: World) -> None:
    both = world.add(metrics={"b.json": {"loss": 2}, "a.json": {"loss": 1}})
    one = world.add(metrics={"b.json": {"loss": 3}})
    world.catalogue.sync()
    rows = world.catalogue.runs(columns=["id", "metrics.loss", "metrics.b.json:loss"]).rows
    assert rows == [(one, 3, 3), (both, 1, 2)]
    assert ids(world, "metrics.loss = 1") == [both]
    assert ids(world, "metrics.b.json:loss = 2") == [both]


def test_values_keep_their_kind(world: World) -> None:
    content = {"t": "0.5", "n": 0.5, "flag": True, "list": [1, "a"], "huge": 2**70, "none": None, "ü b": 1}
    run = world.add(params={"params.yaml": content})
    world.catalogue.sync()
    for where in (
        "params.t = '0.5'", "params.n = 0.5", "params.flag = true", "params.flag != false", "params.list = '[1,\"a\"]'",
        "params.huge > 1e21", "params.`ü b` = 1", "params.n != 'x'", "params.t >= '0'",
    ):  # fmt: skip
        assert ids(world, where) == [run], where
    for where in (
        "params.t = 0.5",
        "params.t > 0",
        "params.n > '0'",
        "params.n < 'z'",
        "params.flag = 1",
        "params.n ~ '0%'",
    ):
        assert ids(world, where) == [], where


def test_sorting_puts_missing_values_last_both_ways(world: World) -> None:
    none = world.add()
    low = world.add(metrics={"m.json": {"a": 1}})
    high = world.add(metrics={"m.json": {"a": 2}})
    text = world.add(metrics={"m.json": {"a": "x"}})
    world.catalogue.sync()
    assert ids(world, sort="metrics.a") == [low, high, text, none]
    assert ids(world, sort="-metrics.a") == [text, high, low, none]
    assert ids(world, sort="state, began asc") == [none, low, high, text]


def test_many_keys_in_one_question(world: World) -> None:
    run = world.add(params={"p.yaml": {f"k{i}": i for i in range(100)}})
    world.catalogue.sync()
    where = " and ".join(f"params.k{i} = {i}" for i in range(100))
    assert ids(world, where) == [run]
    assert ids(world, where + " and params.k99 = 0") == []


def test_an_unknown_key_names_the_nearest(world: World) -> None:
    world.add(metrics={"m.json": {"accuracy": 1}})
    world.catalogue.sync()
    with pytest.raises(UsageError, match=r"did you mean metrics\.accuracy") as caught:
        world.catalogue.runs("state = 'x' and metrics.acuracy > 1")
    assert caught.value.exit_code == 2
    _, shown, caret = str(caught.value).splitlines()
    assert shown[caret.index("^") :].startswith("metrics.acuracy")
    with pytest.raises(UsageError, match="--columns"):
        world.catalogue.runs(columns=["metrics.acuracy"])
    with pytest.raises(UsageError, match="--sort"):
        world.catalogue.runs(sort="metrics.acuracy")


def test_a_running_run_is_followed(world: World) -> None:
    run = world.run(metrics={"m.json": {"a": 1}}, params={"p.yaml": {"x": 1}})
    running = msgspec.structs.replace(run, state="running", metrics={}, params={"p.yaml": {"x": 1, "y": 2}})
    recorder = world.runs.start(running)
    world.catalogue.sync()
    assert ids(world, "state = 'running' and params.y = 2") == [run.id]
    recorder.finish(run)
    world.clock.move(7 * 86_400)
    world.add()
    assert world.catalogue.sync().read == 2
    assert ids(world, "metrics.a = 1 and state = 'finished'") == [run.id]
    assert ids(world, "params.y = 2") == [], "what the former record said is gone"
    assert world.catalogue.sync().read == 0


def test_a_run_of_a_machine_whose_clock_is_behind_is_found(world: World) -> None:
    world.add()
    world.catalogue.sync()
    late = msgspec.structs.replace(world.run(), id="20261121-001500-abcdef")
    plant(world.store, late)
    assert world.catalogue.sync().read == 1
    assert late.id in ids(world)


def test_tags_and_removals_far_back_are_noticed_within_the_hour(world: World) -> None:
    old, gone = world.add(), world.add()
    world.clock.move(30 * 86_400)
    world.add()
    world.catalogue.sync()
    world.runs.tag(old, {"owner": "x"})
    world.roots.remove(f"runs/{gone}/record")
    world.catalogue.note(old)
    assert ids(world, "tags.owner = 'x'") == [old]
    world.runs.tag(old, {"owner": ""})
    world.clock.move(3601)
    world.catalogue.sync()
    assert gone not in ids(world)
    assert ids(world, "tags.owner is not null") == []


def test_a_pending_record_counts_only_when_it_is_in_force(world: World) -> None:
    run = world.run()
    txn = TxnId("20261121T000000-00000000000000ff")
    body = Txn(id=txn, state="open", by="x", began="")
    etag = world.store.create(f"txns/{txn}", with_check(body))
    root = Root(state=PENDING, txn=txn, body=msgspec.to_builtins(run))
    world.store.create(f"runs/{run.id}/record", with_check(root))
    world.catalogue.sync()
    assert ids(world) == []
    world.store.replace(f"txns/{txn}", with_check(msgspec.structs.replace(body, state="committed")), etag)
    world.catalogue.sync()
    assert ids(world) == [run.id]


def test_a_damaged_record_hides_no_other_and_is_named(world: World) -> None:
    good, bad = world.add(), world.add()
    key = f"runs/{bad}/record"
    found = world.store.get(key)
    etag = world.store.replace(key, found.data.replace(b"finished", b"fxnished"), found.etag)
    synced = world.catalogue.sync()
    assert ids(world) == [good]
    assert list(synced.damaged) == [key]
    assert "damaged" in synced.damaged[key]
    world.store.replace(key, found.data, etag)
    assert world.catalogue.sync().damaged == {}
    assert set(ids(world)) == {good, bad}


@pytest.mark.parametrize("harm", ["delete", "junk", "cut", "flip", "schema", "store", "other"])
def test_the_file_can_go_or_rot_at_any_time(world: World, harm: str) -> None:
    expected = [world.add(metrics={"m.json": {"a": i}}) for i in range(30)][::-1]
    world.catalogue.sync()
    if harm != "delete":
        world.catalogue.close()  # so that the whole of it is in one file
    data = world.path.read_bytes()
    if harm == "delete":
        world.path.unlink()
    elif harm == "junk":
        world.path.write_bytes(b"not a database at all" * 1000)
    elif harm == "cut":
        world.path.write_bytes(data[: len(data) // 2])
    elif harm == "flip":
        world.path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    else:
        db = sqlite3.connect(world.path)
        change = {
            "schema": "PRAGMA user_version = 99",
            "store": "UPDATE meta SET text = 'elsewhere' WHERE name = 'store'",
            "other": "DROP TABLE meta",
        }[harm]
        db.execute(change)
        db.commit()
        db.close()
    assert [row[0] for row in world.catalogue.runs("metrics.a >= 0", columns=["id"]).rows] == expected
    assert world.catalogue.sql("SELECT count(*) FROM metrics").rows == [(30,)]


def test_a_folder_that_cannot_be_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RoteError, match="cannot be opened") as caught:
        Catalogue(world.store, world.clock, str(tmp_path / "file" / "c.db")).sync()
    assert "only a cache" in str(caught.value.safe)


def test_several_processes_share_one_file(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path / "store"))
    world = World(tmp_path)
    expected = []
    for _ in range(40):
        run = world.run(metrics={"m.json": {"a": 1}})
        plant(store, run)  # type: ignore[arg-type]  # any store will do
        expected.append(run.id)
    script = (
        "import sys, json\n"
        "from rote.services.runs.catalogue import Catalogue\nfrom rote.adapters.clock import SystemClock\n"
        "from rote.adapters.stores.folder import FolderStore\n"
        "c = Catalogue(FolderStore(sys.argv[1]), SystemClock(), sys.argv[2])\n"
        "for _ in range(5):\n    c.sync(full=True)\n"
        "print(json.dumps([r[0] for r in c.runs('metrics.a = 1', columns=['id']).rows]))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store"), str(tmp_path / "c.db")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    several = [subprocess.Popen(command, stdout=subprocess.PIPE, env=env) for _ in range(4)]
    for process in several:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert json.loads(out) == expected[::-1]
    catalogue = Catalogue(store, StillClock(), str(tmp_path / "c.db"))
    assert catalogue.sql("SELECT count(*), count(DISTINCT run) FROM metrics").rows == [(40, 40)]


# ---- SQL ---------------------------------------------------------------------------------------------------------


def full(world: World) -> None:
    host = Host(name="mill", system="Linux 6", machine="x86_64", cpus=2, python="3.11.7", packages={"a": "1"})
    stage = StageOutcome(
        stage="train",
        outcome="done",
        key=StageKey(Digest("cd" * 32)),
        seconds=2.5,
        why="new",
        exit_code=0,
        outs={"model": REF},
    )
    run = world.run(
        host=host,
        stages=[stage],
        metrics={"m.json": {"a": 0.5}},
        params={"p.yaml": {"x": {"y": "z"}}},
        tags={"who": "me"},
    )
    plant(world.store, run)
    version = Version(
        model="digits",
        version="1.0.0",
        snapshot=REF,
        files=[],
        run=run.id,
        commit="c0ffee",
        released="2026",
        by="ada",
        note="n",
    )
    body = msgspec.to_builtins(version)
    root = Root(state=LIVE, txn=REF.txn, needs=[REF], body=body)
    world.store.create("models/digits/versions/1.0.0", with_check(root))
    for alias in ("prod", "beta"):
        channel = Channel(
            model="digits", alias=alias, seq=1, version="1.0.0", snapshot=REF, issued="2026", by="ada",
            history=[AliasMove(seq=1, version="1.0.0", at="2026", by="ada")],
        )  # fmt: skip
        world.store.create(f"models/digits/aliases/{alias}", with_check(channel))
    world.catalogue.sync()


def test_every_view(world: World) -> None:
    full(world)
    one = world.catalogue.runs(columns=["id"]).rows[0][0]
    sql = world.catalogue.sql
    assert sql("SELECT * FROM metrics").rows == [(one, "m.json", "a", 0.5)]
    assert sql("SELECT * FROM params").rows == [(one, "p.yaml", "x.y", "z")]
    assert sql("SELECT * FROM tags").rows == [(one, "who", "me")]
    assert sql("SELECT * FROM stages").rows == [(one, "train", "done", "cd" * 32, 2.5, 0, "new")]
    assert sql("SELECT * FROM outs").rows == [(one, "train", "model", "ab" * 32, 3, 70)]
    assert sql("SELECT id, host, cpus, python FROM runs").rows == [(one, "mill", 2, "3.11.7")]
    models = sql("SELECT model, version, run, aliases FROM models")
    assert models.columns == ["model", "version", "run", "aliases"]
    assert models.rows == [("digits", "1.0.0", one, "beta prod")]
    found = world.store.get("models/digits/aliases/beta")
    moved = found.data.rpartition(b"\nblake3:")[0].replace(b'"version":"1.0.0"', b'"version":"2.0.0"')
    world.store.replace("models/digits/aliases/beta", with_check(json.loads(moved)), found.etag)
    world.catalogue.sync()
    assert sql("SELECT aliases FROM models").rows == [("prod",)]


def test_every_column_of_every_view_is_documented(world: World) -> None:
    text = DOCS.read_text()
    for view in VIEW_NAMES:
        section = text.split(f"### `{view}`\n", 1)[1].split("\n#", 1)[0]
        told = [
            part.strip().strip("`")
            for line in section.splitlines()
            if line.startswith("| `")
            for part in line.split("|")[1].split(",")
        ]
        assert told == world.catalogue.sql(f"SELECT * FROM {view}").columns, view


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM run", "not one of the views"),
        ("SELECT * FROM sqlite_master", "not one of the views"),
        ("DELETE FROM run", "read-only"),
        ("INSERT INTO meta VALUES ('a', 'b')", "read-only"),
        ("DROP VIEW runs", "read-only"),
        ("CREATE TEMP TABLE x (a)", "read-only"),
        ("PRAGMA user_version = 3", "read-only"),
        ("ATTACH '/tmp/x' AS y", "read-only"),
        ("VACUUM", "read-only"),
        ("SELECT load_extension('x')", "read-only"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELEC", "syntax error"),
        ("SELECT * FROM rns", "no such table"),
        ("SELECT nope FROM runs", "no such column"),
        ("SELECT randomblob(1000000000)", "too big"),
        ("SELECT 1 \0", "null character"),
        ("", "not a SELECT"),
    ],
)
def test_sql_that_is_refused(world: World, query: str, said: str) -> None:
    full(world)
    before = world.catalogue.sql("SELECT count(*) FROM runs").rows
    with pytest.raises(UsageError, match=said) as caught:
        world.catalogue.sql(query)
    assert caught.value.exit_code == 2
    assert world.catalogue.sql("SELECT count(*) FROM runs").rows == before


def test_sql_is_bounded_in_rows_and_time(world: World) -> None:
    endless = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {} FROM c"
    with pytest.raises(UsageError, match="more than 1000 rows"):
        world.catalogue.sql(endless.format("x"), most_rows=1000)
    with pytest.raises(UsageError, match="took longer"):
        # no time at all: the clock of this test stands still
        world.catalogue.sql(endless.format("count(*)"), seconds=-1.0)
    assert len(world.catalogue.sql(endless.format("x") + " LIMIT 1000", most_rows=1000).rows) == 1000


@pytest.mark.heavy
def test_a_hundred_thousand_runs(world: World) -> None:
    count = 100_000
    for i in range(count):
        run = world.run(
            metrics={"m.json": {f"m{k}": (i * (k + 7919)) % 100_003 for k in range(20)}},
            params={"p.yaml": {f"p{k}": (i * (k + 104_729)) % 99_991 for k in range(20)}},
        )
        plant(world.store, run)
    assert world.catalogue.sync().read == count
    table = world.catalogue.runs(
        "metrics.m3 > 50000 and params.p5 < 70000", "-metrics.m7", ["metrics.m7"], 50
    )
    expected = sorted(
        (
            (i * 7926) % 100_003
            for i in range(count)
            if (i * 7922) % 100_003 > 50_000 and (i * 104_734) % 99_991 < 70_000
        ),
        reverse=True,
    )[:50]
    assert [row[0] for row in table.rows] == expected
