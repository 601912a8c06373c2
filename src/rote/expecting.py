"""`python -m rote.expecting`: holds the expectations of a check against the data.

This is what the engine starts, in the project's folder; what is expected stands in the variable ROTE_CHECK. Its exit
code is 0 if everything holds, 1 if not, and 2 if it cannot be asked; what it says last, after an empty line, is why.
"""

from __future__ import annotations

import os
import sys

import msgspec

from rote.adapters.tables.asking import Asking, Verdict
from rote.adapters.tables.engine import Engine
from rote.adapters.tables.sources import find
from rote.errors import RoteError, UsageError
from rote.laws.gates.expectations import DIFFERS, MEMORY, REFUSED, THREADS, VARIABLE, parse
from rote.words.pipeline import At, Check


def main() -> int:
    """Look; returns the exit code of the process."""
    try:
        check = msgspec.json.decode(os.environ.get(VARIABLE, ""), type=Check)
    except msgspec.DecodeError as e:
        sys.stderr.write(f"{VARIABLE} does not say what is expected: {e}\n")
        return REFUSED
    try:
        verdicts = look(check)
    except RoteError as e:
        _say("\n" + "\n".join(e.lines()))
        return REFUSED if isinstance(e, UsageError) else DIFFERS
    several = len(check.tables) > 1
    for verdict in verdicts:
        if verdict.holds:
            _say(f"holds   {_text(verdict, several)}" + (f": {verdict.measured}" if verdict.measured else ""))
    failed = [verdict for verdict in verdicts if not verdict.holds]
    if not failed:
        return 0
    _say(f"\n{len(failed)} of {len(verdicts)} expectations {'does' if len(failed) == 1 else 'do'} not hold")
    for verdict in failed:
        _say(f"{_text(verdict, several)}: {verdict.measured}")
        for row in verdict.rows:
            _say(f"    {row}")
    return DIFFERS


def look(check: Check) -> list[Verdict]:
    """The verdicts on what a check expects, with paths below the present folder. Raises ConfigError, StageFailed,
    MissingExtra."""
    expected = [parse(e, At("rote.yaml", 0)) for e in check.expect]
    root = os.getcwd()
    scratch = os.path.join(root, ".rote")
    with Engine(memory=_number(MEMORY), threads=_number(THREADS), scratch=scratch) as engine:
        engine.open([find(root, table) for table in check.tables])
        return Asking(engine).judge(expected)


def _number(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdigit() and int(text) else None


def _text(verdict: Verdict, several: bool) -> str:
    e = verdict.expectation
    text = " ".join(e.text.split())
    return f"{e.table}: {text}" if several else text


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
