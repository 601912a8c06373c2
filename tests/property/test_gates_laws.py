"""Gates never do anything but parse or point at a column, and decide as Python's exact arithmetic does."""

from __future__ import annotations

import string
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rote.errors import ConfigError
from rote.laws.gates.gates import evaluate, parse
from rote.words.pipeline import At, Gate

AT = At("rote.yaml", 1)
soup = st.lists(
    st.sampled_from(
        [
            "a",
            "prod.a",
            "@p.a",
            "'x'",
            "1",
            ".5",
            "1e3",
            "+",
            "-",
            "*",
            "/",
            "(",
            ")",
            ">=",
            "<",
            "==",
            "=",
            "%",
            "and",
            " ",
            ",",
            "s.*.a",
            "best(",
            "min(",
            "size(",
            "of=p",
            "latency(p95",
            "better(accuracy",
            "not_worse(mae, margin=1",
            "than=p",
            "MB",
        ]
    )
    | st.text(string.printable, max_size=3),
    max_size=12,
).map("".join)


@given(soup)
def test_it_parses_or_points_at_a_column(text):
    try:
        parsed = parse(text, AT)
    except ConfigError as e:
        *_, shown, caret = e.what.split("\n")
        assert 0 <= caret.index("^") - 4 <= len(text)
        assert len(shown) == len(text) + 4
    else:
        assert parse(parsed.text, AT) == parsed
        (verdict,) = evaluate([parsed], {"m": {"a": 1.5, "s": {"x": {"a": 2}}}}, {})
        assert verdict.passed or verdict.why


figure = st.integers(-(10**6), 10**6).map(lambda n: n / 1000)


def sums(depth):
    if not depth:
        return st.sampled_from(["a", "b"]) | figure.map(lambda f: repr(abs(f)) if "e" not in repr(f) else "1")
    below = sums(depth - 1)
    return below | st.tuples(below, st.sampled_from("+-*"), below).map(lambda t: f"({t[0]} {t[1]} {t[2]})")


@given(sums(3), st.sampled_from([">=", "<", "==", "!=", "<=", ">"]), sums(2), figure, figure)
def test_decides_as_exact_arithmetic(left, compare, right, a, b):
    text = f"{left} {compare} {right} + 0 * a"
    (verdict,) = evaluate([Gate(text, AT)], {"m": {"a": a, "b": b}}, {})

    def exact(term):
        import re

        numbers = re.sub(r"[0-9.]+", lambda m: f"F('{m.group()}')", term)
        return eval(numbers, {"F": Fraction, "a": Fraction(repr(a)), "b": Fraction(repr(b))})

    assert verdict.passed is eval(f"x {compare} y", {"x": exact(left), "y": exact(right)})
    assert verdict.value == pytest.approx(float(exact(left)))
