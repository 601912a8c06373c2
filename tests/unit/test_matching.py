"""Several results under one stage key: each is found again exactly when the files that it was made of are there."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from rote.adapters.worktree.files import Files
from rote.services.runs.matching import Matching
from rote.services.runs.results import Results
from rote.services.store.founding import found as found_store
from rote.testing.faults import CountingStore
from rote.words.encoding import tagged
from rote.words.ids import RunId, StageKey
from rote.words.result import Found, Listed, Result
from run_worlds import World
from scenes import founded, lay, opened

KEY = StageKey(tagged("stage", b"a stage"))
NAMES = [f"f{n}" for n in range(4)]  # so that there are no more sets of questions than seats


def adaptive(root: Path) -> tuple[Found, list[str]]:
    """A stage that chooses what to read by what it has read: what it was found to read, and what it makes of it."""
    files: dict[str, object] = {}
    made, path = [], "f0"
    while path not in files:
        there = (root / path).exists()
        files[path] = None
        text = (root / path).read_text() if there else "-"
        made.append(f"{path}={text}")
        path = NAMES[(int(text) + len(made)) % len(NAMES)] if there else "f1"
    folders = {}
    if "2" in made[-1]:
        names = sorted(p.name for p in root.iterdir() if p.name != ".rote")
        folders["."] = Listed(names=names)
        made.append(",".join(names))
    return Found(files=dict.fromkeys(files), folders=folders), made  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(s, marks=pytest.mark.heavy) for s in range(6, 60))]
)
def test_whatever_order_files_change_in_no_hit_is_stale_and_no_miss_needless(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    root = tmp_path / "p"
    (root / ".rote/cache").mkdir(parents=True)
    world = World(tmp_path)
    found_store(world.store, world.clock)
    results = Results(world.roots)
    known: list[tuple[Found, list[str]]] = []
    for number in range(120):
        path = root / chance.choice(NAMES)
        if chance.random() < 0.2:
            path.unlink(missing_ok=True)
        else:
            path.write_text(str(chance.randrange(3)))
        matching = Matching(results, Files(str(root)))
        match = matching.find(KEY)
        asked, made = adaptive(root)
        answers = matching.answer(asked)
        if match.result is not None:
            assert match.result.metrics == {"made": made}
            assert match.differences == []
            continue
        assert all(answers != was for was, _ in known), "a needless miss"
        if known:
            assert match.near is not None
            assert match.differences
        known.append((answers, made))
        result = Result(
            stage="s", key=KEY, outs={}, metrics={"made": made}, run=RunId(f"20261121-100000-{number:06x}"),
            seconds=0.0, made="2026-11-21T10:00:00Z", found=answers,
        )  # fmt: skip
        slot, replace = matching.place(KEY, answers, replace=False)
        world.transactions.write(lambda write: results.add(write, result, replace=replace, slot=slot))
    assert len(known) > 3


def test_a_result_that_nothing_was_found_for_holds_and_costs_one_request(tmp_path: Path) -> None:
    root = founded(tmp_path / "p", "stages:\n  s: {cmd: cp in out, deps: [in], outs: [out]}\n")
    lay(root, {"in": "1"})
    assert opened(root, 0).run().ok
    counting: list[CountingStore] = []
    hit = opened(root, 1, lambda inner: counting.append(CountingStore(inner)) or counting[-1])  # type: ignore[func-returns-value]
    assert hit.plan().decisions[0].verdict == "hit"
    assert [kind for kind, key in counting[0].journal if key.startswith("results/")] == ["get"]


def test_two_machines_that_race_with_different_helpers_keep_both_results(tmp_path: Path) -> None:
    """The second is started and ends while the first is under way; both begin with no result at all."""
    one, two = tmp_path / "one", tmp_path / "two"
    rote = f"{sys.executable} -m rote --cd {two} --store {one}/.rote/store run"
    text = f"""\
stages:
  s:
    cmd: test ! -e first || {{ rm first; {rote}; }}; {sys.executable} s.py
    deps: [s.py]
    outs: [out]
"""
    for root, value in ((one, "1"), (two, "2")):
        founded(root, text)
        lay(
            root,
            {"s.py": "import helper\nopen('out', 'w').write(helper.X)\n", "helper.py": f"X = '{value}'\n"},
        )
    (one / "first").touch()
    outcome = opened(one, 0).run()
    assert outcome.ok, outcome.stages
    assert outcome.stages[0].slot is not None
    assert (one / "out").read_text() == "1"
    assert (two / "out").read_text() == "2"
    assert opened(one, 1).run().stages[0].outcome == "hit"
    lay(one, {"helper.py": "X = '2'\n"})
    assert opened(one, 2).run().stages[0].outcome == "hit"
    assert (one / "out").read_text() == "2"


def test_what_is_no_longer_read_may_change(tmp_path: Path) -> None:
    """A module that one version of a helper imports, and the present one does not, is of no account."""
    root = founded(
        tmp_path / "p", f"stages:\n  s: {{cmd: {sys.executable} s.py, deps: [s.py], outs: [out]}}\n"
    )
    lay(root, {"s.py": "import helper\nopen('out', 'w').write(helper.X)\n"})
    lay(root, {"helper.py": "from old import X\n", "old.py": "X = '1'\n"})
    assert opened(root, 0).run().stages[0].outcome == "done"
    lay(root, {"helper.py": "X = '2'\n"})
    assert opened(root, 1).run().stages[0].outcome == "done"
    (root / "old.py").unlink()
    (root / ".rote/cache/last").unlink()
    assert opened(root, 2).run().stages[0].outcome == "hit"
    assert opened(root, 3).run(force=True).stages[0].outcome == "done"
    assert opened(root, 4).run().stages[0].outcome == "hit"
    lay(root, {"old.py": "X = '1'\n", "helper.py": "from old import X\n"})
    assert opened(root, 5).run().stages[0].outcome == "hit"
