"""The account of a month: what is counted, kept, and set against a plan."""

from __future__ import annotations

import calendar
import json
import os
import threading
from pathlib import Path

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.adapters.stores.months import Months
from rote.adapters.stores.retry import Patience
from rote.adapters.stores.wrapping import Wrapping
from rote.errors import ConfigError, UsageError
from rote.laws.store.usage import KINDS, PLANS, READS, WRITES, Usage, expected, shares, together
from rote.ports import Silence
from rote.testing import faults
from rote.testing.clock import START, StillClock
from rote.testing.faults import Fault, FaultyStore
from rote.wiring import config
from rote.wiring.config import settings
from rote.wiring.parts import Wiring
from rote.wiring.spending import budget
from rote.words.pipeline import Limits

URL = "s3://bucket/prefix"


class Far(MemoryStore):
    """A store in memory that says it lies in a bucket."""

    @property
    def url(self) -> str:
        return URL


def test_every_kind_has_its_class() -> None:
    assert faults.KINDS - {"get_ranges"} == set(KINDS)
    assert set(KINDS) - WRITES - READS == {"delete"}
    used = Usage(requests={k: 10**n for n, k in enumerate(KINDS)}, sent=1, received=2, retries=3)
    assert (used.writes, used.reads, used.total) == (111, 11_000, 111_111)
    assert together([used, used]).minus(used) == used
    assert together([]) == Usage()


def test_the_next_run_is_like_the_middle_one_of_the_last() -> None:
    assert expected([]) is None
    runs = [Usage(requests={"get": n}, sent=n * 10, received=n) for n in (1, 2, 3, 900, 4)]
    assert expected(runs) == Usage(requests={"get": 3}, sent=30, received=3)
    assert expected([Usage(requests={"get": 5}), Usage(requests={"get": 5, "create": 2})]) == Usage(
        requests={"create": 2, "get": 5}
    )


def test_what_is_left() -> None:
    month = Usage(requests={"create": 1500, "list": 200, "get": 100}, sent=7, received=10**12)
    run = Usage(requests={"create": 100, "get": 3}, sent=10**9, received=0)
    writes, reads, out, stored = shares(PLANS["s3-free"], month, run, 2 * 10**9)
    assert (writes.used, writes.limit, writes.left, writes.next, writes.runs) == (1700, 2000, 300, 100, 3)
    assert (reads.left, reads.runs) == (19_900, 6633)
    assert (out.left, out.runs) == (0, None), "over the limit, and a run that reads nothing"
    assert (stored.left, stored.runs) == (3 * 10**9, 3)
    _, _, out, stored = shares(PLANS["r2-free"], month, None, None)
    assert (out.limit, out.left, stored.used, stored.left, stored.runs) == (None, None, None, None, None)


def at(text: str) -> float:
    """Noon of a day."""
    return calendar.timegm((*map(int, text.split("-")), 12, 0, 0))


def test_months(tmp_path: Path) -> None:
    months = Months(str(tmp_path / "account"), URL)
    assert (months.month(START), months.last("run", 5, START)) == ([], [])
    for n, (day, command) in enumerate(
        [("2025-12-30", "run"), ("2025-12-31", "run"), ("2026-01-01", "add"), ("2026-01-01", "run")]
    ):
        months.add(command, Usage(requests={"get": n}), at(day))
    january = at("2026-01-31")
    assert [(line.command, line.usage.total) for line in months.month(january)] == [("add", 2), ("run", 3)]
    assert [u.total for u in months.last("run", 2, january)] == [3, 1]
    assert [u.total for u in months.last("run", 9, january)] == [3, 1, 0]
    assert months.month(at("2026-02-01")) == []
    assert Months(str(tmp_path / "account"), URL + "/other").month(january) == []
    assert Months(str(tmp_path / "account"), URL).month(january) == months.month(january)


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    months = Months(str(tmp_path), URL)
    months.add("run", Usage(requests={"get": 1}), START)
    (file,) = Path(months.folder).iterdir()
    file.write_bytes(file.read_bytes() + b'{"at": 1, "comm\n' + b"\xff\n" + file.read_bytes())
    assert [line.usage.total for line in months.month(START)] == [1, 1]


def test_many_writers_at_once(tmp_path: Path) -> None:
    def write() -> None:
        for _ in range(50):
            Months(str(tmp_path), URL).add("run", Usage(requests={"get": 1}), START)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert together(line.usage for line in Months(str(tmp_path), URL).month(START)).total == 400


def test_an_account_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    months = Months(str(tmp_path / "file"), URL)
    months.add("run", Usage(requests={"get": 1}), START)
    assert months.month(START) == []


def test_a_store_in_a_bucket_is_counted_once_and_asked_again(tmp_path: Path) -> None:
    clock = StillClock()
    wrapping = Wrapping(clock, account=str(tmp_path), patience=Patience())
    busy = FaultyStore(Far(), faults.at(0, Fault.UNAVAILABLE))
    store = wrapping.around(busy)
    store.create("a", b"123")
    store.get("a")
    assert wrapping.usage() == {URL: Usage(requests={"create": 2, "get": 1}, sent=6, received=3, retries=1)}
    months = Months(str(tmp_path), URL)
    assert months.month(START) == [], "nothing is written before the end"
    wrapping.close("run")
    wrapping.close("run")
    store.head("a")
    wrapping.close("status")
    wrapping.close("status")
    assert [(line.command, line.usage.requests) for line in months.month(START)] == [
        ("run", {"create": 2, "get": 1}),
        ("status", {"head": 1}),
    ]
    store.head("a")
    del wrapping, store
    assert [line.command for line in months.month(START)][2:] == ["python"], "a program that never closes"


def test_a_folder_is_neither_asked_again_nor_accounted(tmp_path: Path) -> None:
    plain = MemoryStore()
    assert Wrapping(StillClock(), account=str(tmp_path / "a")).around(plain) is plain
    counting = Wrapping(StillClock(), account=str(tmp_path / "a"), count=True)
    counting.around(plain).create("a", b"1")
    assert counting.usage() == {"memory:": Usage(requests={"create": 1}, sent=1)}
    counting.close("add")
    assert list(tmp_path.iterdir()) == []


def read(root: Path, **environ: str) -> settings.Settings:
    return settings.read(str(root), config.load(str(root)), environ={"HOME": "/home/me", **environ}, cwd="/")


def test_which_plan_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = read(tmp_path)
    assert (found.budget, found.account) == (None, "/home/me/.local/state/rote/budget")
    assert read(tmp_path, XDG_STATE_HOME="/s").account == "/s/rote/budget"
    (tmp_path / "rote.yaml").write_text("budget: r2-free\n")
    assert (read(tmp_path).budget, read(tmp_path).budget_source) == (PLANS["r2-free"], "rote.yaml")
    (tmp_path / "rote.local.yaml").write_text("budget: {writes: 10, stored: 2 GB, out: 5}\n")
    assert read(tmp_path).budget == Limits(writes=10, stored=2 * 10**9, out=5)
    assert read(tmp_path).budget_source == "rote.local.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget: s3-fre\n", "rote.yaml:1: budget: no plan is called 's3-fre'; known: s3-free, r2-free"),
        ("budget: 7\n", "rote.yaml:1: budget: expected a plan (s3-free, r2-free) or a mapping with writes"),
        (
            "budget: {puts: 7}\n",
            "rote.yaml:1: budget.puts: unknown key 'puts'; expected one of: writes, reads",
        ),
        ("budget: {writes: many}\n", "rote.yaml:1: budget.writes: expected a number of requests a month"),
        ("budget: {writes: true}\n", "rote.yaml:1: budget.writes: expected a number of requests a month"),
        ("budget:\n  out: -3\n", "rote.yaml:2: budget.out: expected bytes, such as 20 GB, found -3"),
    ],
)
def test_a_bad_plan(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rote.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path))
    assert caught.value.lines()[0].startswith(message), caught.value.lines()


def test_the_schema_knows_every_plan() -> None:
    schema = json.loads(json.dumps(config.schema()))
    assert schema["properties"]["budget"]["oneOf"][0]["enum"] == list(PLANS)


def wired(root: Path) -> Wiring:
    wiring = Wiring(str(root), store=None, progress=Silence(), cwd=str(root))
    wiring.clock = StillClock()
    return wiring


def test_budget_asks_the_store_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in [n for n in os.environ if n.startswith(("AWS_", "ROTE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    # Nobody listens there: a request would fail.
    (tmp_path / "rote.yaml").write_text(f"store: {URL}?endpoint=http://127.0.0.1:9\nbudget: s3-free\n")
    wiring = wired(tmp_path)
    url = wiring.store.url
    months = Months(wiring.settings.account, url)
    for n in (4, 10, 6):
        months.add("run", Usage(requests={"create": n, "get": 1}, sent=100), START)
    months.add("add", Usage(requests={"create": 30}), START)
    found = budget(wiring)
    assert (found.url, found.counted, found.month, found.commands) == (url, True, "2026-11", 4)
    assert (found.plan, found.source, found.last) == ("s3-free", "rote.yaml", 3)
    writes = found.shares[0]
    assert (writes.used, writes.left, writes.next, writes.runs) == (50, 1950, 6, 325)
    assert found.shares[3].used is None
    assert budget(wiring, plan="r2-free").shares[0].limit == 1_000_000
    for plan, message in (("r2", "no plan is called 'r2'"), ("custom", "no limits are declared")):
        with pytest.raises(UsageError, match=message):
            budget(wiring, plan=plan)


def test_budget_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / ".rote").mkdir()
    (tmp_path / "rote.yaml").write_text("budget: {writes: 5}\n")
    found = budget(wired(tmp_path), plan="custom", stored=True)
    assert (found.counted, found.plan, found.commands, found.next) == (False, "custom", 0, None)
    assert (found.shares[3].used or 0) > 0, "rote.json at least"
