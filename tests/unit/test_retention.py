"""What is live, and what may go."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rote.laws.store.retention import GRACE, Rules, Standing, decide, is_old, moment
from rote.words.ids import SnapshotId, TxnId

NOW = datetime(2026, 11, 21, 11, tzinfo=UTC).timestamp()
OLD = TxnId("20260101T000000-0000000000000000")
NEW = TxnId("20261121T100000-0000000000000000")
RUN = "20260{}01-000000-abcdef"


def run(month: int, **body: object) -> Standing:
    id = RUN.format(month)
    return Standing(f"runs/{id}/record", OLD, {"id": id, "state": "finished", **body})


def result(key: str, run: str = "", txn: TxnId = OLD) -> Standing:
    return Standing(f"results/aa/{key}", txn, {"run": run, "stage": "train"})


def data(id: str, repository: str = "here", txn: TxnId = OLD) -> Standing:
    return Standing(f"data/aa/{id}", txn, {"path": "d", "repository": repository})


def kept(roots: list[Standing], pinned: frozenset[SnapshotId] = frozenset(), **rules: object) -> list[str]:
    found = decide(roots, Rules(repository="here", **rules), pinned, NOW)
    assert [v.key for v in found] == [root.key for root in roots]
    assert all(v.why for v in found)
    return [v.key.split("/")[-2 if v.key.startswith("runs") else -1] for v in found if v.keep]


def test_without_a_rule_nothing_goes() -> None:
    roots = [run(1), run(2), result("k"), data("s"), data("t", "there")]
    assert len(kept(roots)) == len(roots)


def test_the_last_runs_and_their_results_stay() -> None:
    roots = [run(n, stages=[{"key": f"k{n}"}]) for n in (1, 2, 3)] + [result(f"k{n}") for n in (1, 2, 3)]
    assert kept(roots, keep_last=2) == [RUN.format(2), RUN.format(3), "k2", "k3"]
    assert kept(roots, keep_last=0) == []
    assert kept(roots, keep_days=300) == [RUN.format(2), RUN.format(3), "k2", "k3"]
    assert kept(roots, keep_days=300, keep_last=3) == kept(roots)


def test_what_stays_whatever_the_rules_say() -> None:
    version = Standing("models/m/versions/1.0.0", OLD, {"run": RUN.format(2)})
    fresh = Standing("runs/20261121-100000-abcdef/record", NEW, {"state": "failed"})
    under_way = Standing("runs/20261110-100000-abcdef/record", NEW, {"state": "running"})
    roots = [run(1, tags={"a": "b"}), run(2), run(3), run(4, state="running"), version, fresh, under_way]
    assert kept(roots, keep_last=0) == [
        RUN.format(1), RUN.format(2), "1.0.0", "20261121-100000-abcdef", "20261110-100000-abcdef",
    ]  # fmt: skip
    assert kept(roots, keep_tagged=True) == kept(roots, keep_last=0)


def test_a_result_stays_with_the_run_that_made_it_or_within_the_grace_period() -> None:
    roots = [run(1, tags={"a": "b"}), result("made", RUN.format(1)), result("left"), result("new", txn=NEW)]
    assert kept(roots, keep_last=0) == [RUN.format(1), "made", "new"]
    assert kept(roots, keep_last=0, grace=0.0) == [RUN.format(1), "made"]


def checkpoints(key: str, run: str, txn: TxnId = OLD) -> Standing:
    return Standing(f"checkpoints/aa/{key}", txn, {"run": run, "stage": "train", "key": key})


def test_checkpoints_wait_for_a_result_and_go_with_it_or_with_their_run() -> None:
    roots = [
        run(1),
        run(2, tags={"a": "b"}),
        checkpoints("one", RUN.format(1)),
        checkpoints("two", RUN.format(2)),
    ]
    assert kept(roots) == [RUN.format(1), RUN.format(2), "one", "two"]
    assert kept(roots, keep_last=0) == [RUN.format(2), "two"]
    done = [*roots, result("two", RUN.format(2))]
    assert kept(done) == [RUN.format(1), RUN.format(2), "one", "two"]
    assert (
        next(
            r
            for r in decide(done, Rules(repository="here"), frozenset(), NOW)
            if r.key == "checkpoints/aa/two"
        ).why
        == "its stage has a result"
    )
    fresh = [run(1), checkpoints("new", RUN.format(1), txn=NEW)]
    assert kept(fresh, keep_last=0) == ["new"]


@pytest.mark.parametrize("state", ["running", "paused"])
def test_checkpoints_of_a_run_under_way_stay_although_there_is_a_result(state: str) -> None:
    """It is being done again, by force."""
    under_way = Standing("runs/20261110-100000-abcdef/record", NEW, {"state": state})
    roots = [under_way, checkpoints("key", "20261110-100000-abcdef"), result("key")]
    found = {v.key: v.keep for v in decide(roots, Rules(keep_last=0, repository="here"), frozenset(), NOW)}
    assert found["checkpoints/aa/key"]
    assert found["runs/20261110-100000-abcdef/record"]


def test_data_goes_only_when_asked_for_and_pinned_nowhere() -> None:
    roots = [
        data("pinned"),
        data("loose"),
        data("fresh", txn=NEW),
        data("far", "there"),
        data("other", "else"),
    ]
    pinned = frozenset([SnapshotId("pinned")])
    assert len(kept(roots, pinned)) == 5
    assert kept(roots, pinned, unpinned_data=True) == ["pinned", "fresh", "far", "other"]
    assert kept(roots, pinned, forget_repositories=frozenset(["there"])) == [
        "pinned",
        "loose",
        "fresh",
        "other",
    ]
    assert kept(roots, pinned, forget_repositories=frozenset(["here"])) == ["pinned", "fresh", "far", "other"]


def test_a_version_goes_only_by_name() -> None:
    roots = [Standing(f"models/m/versions/{v}", OLD, {}) for v in ("1.0.0", "2.0.0")]
    assert kept(roots, keep_last=0, unpinned_data=True) == ["1.0.0", "2.0.0"]
    assert kept(roots, forget_versions=frozenset(["models/m/versions/1.0.0"])) == ["2.0.0"]


@pytest.mark.parametrize("id", ["20260101T000000-0123456789abcdef", "20260101-000000-abcdef"])
def test_ids_tell_their_time(id: str) -> None:
    assert moment(id) == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert is_old(id, NOW, GRACE)
    assert not is_old(id, moment(id) or 0, GRACE)


@pytest.mark.parametrize(
    "id", ["", "x", "20269999T000000-0", "2026-1-1", "20260101T99-9", "²0260101T000000-0"]
)
def test_what_tells_no_time_is_new(id: str) -> None:
    assert moment(id) is None
    assert not is_old(id, NOW, GRACE)
    assert is_old(id, NOW, 0)
