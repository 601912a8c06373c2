"""What gates are made of, once they are read."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

UNITS = {
    **dict.fromkeys(("B", "kB", "MB", "GB", "KiB", "MiB", "GiB"), "bytes"),
    **dict.fromkeys(("s", "ms", "us"), "seconds"),
}
"""What may stand after a number -> what it makes of the number."""
TIMES = {
    "B": "1", "kB": "1e3", "MB": "1e6", "GB": "1e9", "KiB": "1024", "MiB": "1048576", "GiB": "1073741824",
    "s": "1", "ms": "1e-3", "us": "1e-6",
}  # fmt: skip
"""How many bytes or seconds that is."""
BETTER, NOT_WORSE = "better", "not_worse"
MCNEMAR, BOOTSTRAP = "mcnemar", "bootstrap"
HIGHER, LOWER = "higher", "lower"
SCORES = {"accuracy": HIGHER, "recall": HIGHER, "f1": HIGHER, "mae": LOWER, "mse": LOWER, "rmse": LOWER}
"""Scores of predictions, and which way is good."""
HIGHEST, LOWEST = "highest", "lowest"


class Number(msgspec.Struct, frozen=True):
    """A constant, as it is written; `times` is what the unit after it stands for, and `unit` of what: `bytes` or
    `seconds`."""

    text: str
    times: str = ""
    unit: str = ""


class Name(msgspec.Struct, frozen=True):
    """A metric: `text` as written without `@` or quotes. `kind` is `bare`, `alias` (with @) or `quoted`. A part that is
    `*` stands for any."""

    text: str
    kind: str = "bare"


class Best(msgspec.Struct, frozen=True):
    """The `highest` or `lowest` value that a metric has had in a version."""

    sense: str
    metric: Name


class Fold(msgspec.Struct, frozen=True):
    """The `min`, `max` or `mean` of the metrics that a name with `*` stands for."""

    how: str
    metric: Name


class Size(msgspec.Struct, frozen=True):
    """Bytes of a version's files: all, or a file or folder; those of the run, or of who holds an alias."""

    path: str = ""
    of: str = ""


class Latency(msgspec.Struct, frozen=True):
    """Seconds that one call takes: a share of all calls (`p95`), `mean` or `max`."""

    share: str
    of: str = ""


class Sum(msgspec.Struct, frozen=True):
    """Two terms joined by + - * or /."""

    sign: str
    left: Term
    right: Term


Term = Number | Name | Best | Fold | Size | Latency | Sum


class GateExpr(msgspec.Struct, frozen=True):
    """A comparison that was parsed; `unit` is what both sides are: `bytes`, `seconds`, or nothing that is known."""

    text: str
    left: Term
    compare: str
    right: Term
    unit: str = ""


class TestExpr(msgspec.Struct, frozen=True):
    """A statistical test that was parsed: is the run `better` than who holds `than`, or `not_worse` by `margin`, in a
    score of its predictions? `want` is which way is good, `method` how it is tested."""

    __test__ = False  # nothing for pytest to collect

    text: str
    kind: str
    score: str
    than: str
    want: str
    method: str
    confidence: float = 0.95
    margin: float = 0.0


Expr = GateExpr | TestExpr


def leaves(*terms: Term) -> Iterator[Number | Name | Best | Fold | Size | Latency]:
    """What a term is made of."""
    for term in terms:
        if isinstance(term, Sum):
            yield from leaves(term.left, term.right)
        else:
            yield term


def stars(name: str) -> int:
    """How many parts of a dotted name stand for any."""
    return name.rpartition(":")[2].split(".").count("*")
