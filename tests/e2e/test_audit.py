"""`rote audit` and `rote why`, as they are typed."""

from __future__ import annotations

import json
import sys

from place import Place

PIPELINE = f"""\
stages:
  same:
    cmd: {sys.executable} same.py
    deps: [same.py, data]
    params: [lr]
    outs: [one.txt]
  other:
    cmd: head -c 8 /dev/urandom > two/random && cp one.txt two/same && date +%N | sed 's/^0*//;s/^$/0/;s/.*/{{"n":&}}/' > m.json
    deps: [one.txt]
    outs: [two]
    metrics: [m.json]
"""


def audited(place: Place) -> Place:
    place.write("rote.yaml", PIPELINE.replace("head -c", "mkdir two && head -c"))
    place.write(
        "same.py",
        "import helper\nopen('one.txt', 'w').write(helper.text() + open('data/a.csv').read() + open('loose.csv').read())\n",
    )
    place.write("helper.py", "def text():\n    return 'x'\n")
    place.write("data/a.csv", "1\n")
    place.write("loose.csv", "2\n")
    place.write("params.yaml", "lr: 1\n")
    place.rote("run")
    return place


def test_what_is_nondeterministic_is_named(place: Place) -> None:
    audited(place)
    before = sorted(p for p in place.root.rglob("*") if ".rote/cache" not in str(p))
    told = place.rote("audit", code=1)
    assert "same   same" in told.out
    assert "other  differs" in told.out
    assert "other: two/random differs" in told.out
    assert "two/same" not in told.out
    assert "other: m.json:n differs: " in told.out
    assert "1 stage of 2 made something else" in told.out
    assert "1 stage made the same again" in place.rote("audit", "same").out
    assert len(json.loads(place.rote("audit", "--sample", "1", "--json", code=None).out)) == 1
    assert sorted(p for p in place.root.rglob("*") if ".rote/cache" not in str(p)) == before


def test_an_audit_of_what_is_no_hit_is_refused(place: Place) -> None:
    audited(place)
    place.write("helper.py", "def text():\n    return 'y'\n")
    assert "the stage 'same' has no result to compare with" in place.rote("audit", "same", code=None).err
    assert "no stage is a hit" in place.rote("audit").out


def test_a_stage_that_needs_what_is_nowhere_fails_there(place: Place) -> None:
    """It reads a file that no note tells of: elsewhere it is not there."""
    place.write("rote.yaml", "stages:\n  s: {cmd: cat hidden.csv > out, outs: [out]}\n")
    place.write(".gitignore", "hidden.csv\n")
    place.write("hidden.csv", "1")
    place.rote("run")
    told = place.rote("audit", code=1)
    assert "1 stage could not be done again" in told.out
    assert "hidden.csv" in told.out


def test_why_tells_a_hit_and_a_miss_by_name_and_value(place: Place) -> None:
    audited(place)
    hit = place.rote("why", "same").out
    for line in (
        "command:",
        "dep same.py:",
        "dep data:",
        "param params.yaml:lr: 1",
        "reads helper.py:",
        "reads loose.csv:",
    ):
        assert line in hit, hit
    place.write("helper.py", "def text():\n    return 'z'\n")
    miss = place.rote("why", "same").out
    assert "helper.py, which it reads, changed" in miss
    before, now = (line.split()[1] for line in miss.splitlines() if line.startswith("    "))
    assert f"reads helper.py: {before}" in hit
    assert now != before
    place.write("params.yaml", "lr: 2\n")
    assert "param params.yaml:lr changed: 1 -> 2" in place.rote("why", "same").out


def test_a_stage_with_checkpoints_is_done_again_from_its_beginning(place: Place) -> None:
    place.write(
        "rote.yaml",
        'stages:\n  s: {cmd: \'ls "$ROTE_CHECKPOINTS" > out; echo 1 > "$ROTE_CHECKPOINTS/state"\', outs: [out],'
        " checkpoints: ck}\n",
    )
    place.rote("run")
    assert "1 stage made the same again" in place.rote("audit").out
