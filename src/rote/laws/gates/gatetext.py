"""The text of gates -> what they say.

    accuracy >= 0.95
    accuracy >= prod.accuracy - 0.01
    @staging.loss * 1.1 > 'eval/metrics.json:test.loss'
    accuracy >= best(accuracy) - 0.005
    slices.*.recall >= 0.8
    size() <= 20 MB
    better(accuracy, than=prod, confidence=0.95)
    not_worse(accuracy, than=prod, margin=0.01)

A gate is one comparison (`>= > <= < == !=`) of two terms of numbers, metrics, functions, `+ - * /` and parentheses; or
one statistical test.
"""

from __future__ import annotations

from rote.laws.gates.gatetokens import Token, Tokens
from rote.laws.gates.gatewords import (
    BETTER,
    BOOTSTRAP,
    HIGHER,
    HIGHEST,
    LOWER,
    LOWEST,
    MCNEMAR,
    NOT_WORSE,
    SCORES,
    TIMES,
    UNITS,
    Best,
    Expr,
    Fold,
    GateExpr,
    Latency,
    Name,
    Number,
    Size,
    Sum,
    Term,
    TestExpr,
    leaves,
    stars,
)
from rote.laws.gates.quantity import BYTES, SECONDS, Unlike, of_term, together
from rote.words.ids import nearest, shown
from rote.words.pipeline import At

_MAX_DEPTH = 50
_TESTS = {
    BETTER: ("than", "confidence", "method", "want"),
    NOT_WORSE: ("than", "margin", "confidence", "method", "want"),
}
_BESTS = {"best": "", HIGHEST: HIGHEST, LOWEST: LOWEST}
_FOLDS = ("min", "max", "mean")
_FUNCTIONS = (*_BESTS, *_FOLDS, "size", "latency", *_TESTS)
_RANGES = {
    "confidence": (0.5, 1.0, "between 0.5 and 1"),
    "margin": (-1e-300, float("inf"), "of 0 or more"),
}
_SHARES = ("p50", "p90", "p95", "p99", "mean", "max")


class _Parser(Tokens):
    depth = 0

    # ---- the grammar -------------------------------------------------------------------------------------------

    def gate(self) -> Expr:
        if self.is_call() and self.token.text in _TESTS:
            test = self.test()
            if self.token.kind != "end":
                raise self.expected("the end of the gate")
            return test
        left = self.sum()
        if self.token.kind != "compare":
            raise self.expected("a comparison (>= > <= < == !=)")
        sign = self.take()
        right = self.sum()
        if self.token.kind == "compare":
            raise self.error("a gate has one comparison; write two gates", self.token.start)
        if self.token.kind != "end":
            raise self.expected("the end of the gate, or + - * /")
        if not any(not isinstance(leaf, Number) for leaf in leaves(left, right)):
            raise self.error("it names no metric", 0)
        self._same_stars(left, right)
        rising = {">=": 1, ">": 1, "<=": -1, "<": -1}.get(sign.text, 0)
        left, right = self._meant(left, rising), self._meant(right, -rising)
        return GateExpr(self.text.strip(), left, sign.text, right, self._unit(left, right, sign.start))

    def _unit(self, left: Term, right: Term, column: int) -> str:
        """What is compared: bytes, seconds, or nothing that is known."""
        try:
            unit = together(of_term(left), of_term(right))
        except Unlike:
            raise self.error("this compares bytes with seconds", column) from None
        return unit if unit in (BYTES, SECONDS) else ""

    def _same_stars(self, *terms: Term) -> None:
        names = [t.metric if isinstance(t, Best) else t for t in leaves(*terms)]
        numbers = {stars(name.text) for name in names if isinstance(name, Name) and stars(name.text)}
        if len(numbers) > 1:
            raise self.error("its names have different numbers of '*', so which belong together?", 0)

    def _meant(self, term: Term, rising: int) -> Term:
        """The term with every `best` made `highest` or `lowest`: whichever makes the gate harder. `rising` says whether
        the gate becomes easier (1) or harder (-1) to pass when the term rises; 0: that is not known."""
        if isinstance(term, Best) and not term.sense:
            if not rising:
                raise self.error(
                    "whether the highest or the lowest is the best is not clear here; write highest(…) or lowest(…)",
                    self.text.find("best"),
                )
            return Best(LOWEST if rising > 0 else HIGHEST, term.metric)
        if not isinstance(term, Sum):
            return term
        left, right = rising, -rising if term.sign == "-" else rising
        if term.sign in "*/":
            left = rising * _sign(term.right)
            right = rising * _sign(term.left) if term.sign == "*" else 0
        return Sum(term.sign, self._meant(term.left, left), self._meant(term.right, right))

    def sum(self) -> Term:
        term = self.product()
        while self.token.kind == "mark" and self.token.text in "+-":
            term = Sum(self.take().text, term, self.product())
        return term

    def product(self) -> Term:
        term = self.atom()
        while self.token.kind == "mark" and self.token.text in "*/":
            term = Sum(self.take().text, term, self.atom())
        return term

    def atom(self) -> Term:
        token = self.token
        if token.kind == "number":
            return self.number()
        if self.is_call() and token.text not in ("and", "or", "not"):
            return self.call()
        if token.kind in ("name", "quoted") and token.text not in ("and", "or", "not"):
            return self.name()
        if token.kind == "mark" and token.text in "(-+":
            return self.nested()
        raise self.expected("a number or a metric")

    def number(self) -> Number:
        token = self.take()
        if not _finite(float(token.text)):
            raise self.error("this number is too large", token.start)
        if self.token.kind == "name" and not self.is_call():
            if self.token.text not in UNITS:
                return Number(token.text)
            unit = self.take().text
            return Number(token.text, TIMES[unit], UNITS[unit])
        return Number(token.text)

    def name(self) -> Name:
        token = self.take()
        if token.kind == "quoted":
            if len(token.text) == 2:
                raise self.error("these quotes name no metric", token.start)
            return Name(token.text[1:-1], "quoted")
        if token.text[0] != "@":
            return Name(token.text)
        if "." not in token.text:
            raise self.error(
                f"after the alias {token.text} comes '.' and a metric", token.start + len(token.text)
            )
        return Name(token.text[1:], "alias")

    def nested(self) -> Term:
        token = self.take()
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error("this is nested too deeply", token.start)
        if token.text == "(":
            term = self.sum()
            self.must(")")
        else:
            term = Sum(token.text, Number("0"), self.atom())
        self.depth -= 1
        return term

    # ---- functions ---------------------------------------------------------------------------------------------

    def call(self) -> Term:
        token = self.take()
        if token.text in _TESTS:
            raise self.error(f"{token.text}(…) is a gate of its own", token.start)
        if token.text not in _FUNCTIONS:
            near = nearest(token.text, list(_FUNCTIONS))
            hint = f"is it {near}?" if near else f"there are {', '.join(_FUNCTIONS)}"
            raise self.error(f"there is no function {shown(token.text)}; {hint}", token.start)
        self.must("(")
        term = self._called(token)
        self.must(")")
        return term

    def _called(self, token: Token) -> Term:
        if token.text == "size":
            path = ""
            if self.token.kind == "quoted":
                path = self.take().text[1:-1].rstrip("/")
                if self.is_mark(","):
                    self.take()
            elif self.token.kind == "name" and self.tokens[self.place + 1].text != "=":
                raise self.error(
                    f"the name of a file stands in quotes: size('{self.token.text}')", self.token.start
                )
            return Size(path, self.options(("of",)).get("of", ""))
        if token.text == "latency":
            share = self.token.text
            if share not in _SHARES:
                raise self.expected(f"one of {', '.join(_SHARES)}")
            self.take()
            if self.is_mark(","):
                self.take()
            return Latency(share, self.options(("of",)).get("of", ""))
        at = self.token.start
        if self.token.kind not in ("name", "quoted"):
            raise self.expected("a metric")
        if self.is_call():
            raise self.error(f"{token.text}(…) is of a metric, not of {self.token.text}(…)", at)
        metric = self.name()
        if token.text in _BESTS:
            if metric.kind == "alias":
                raise self.error("the best so far is that of all versions, not of an alias", at)
            return Best(_BESTS[token.text], metric)
        if not stars(metric.text):
            raise self.error(f"{token.text}(…) is of several metrics, such as slices.*.recall", at)
        return Fold(token.text, metric)

    def options(self, known: tuple[str, ...]) -> dict[str, str]:
        """`key=value, …` up to the closing parenthesis, each key once."""
        found: dict[str, str] = {}
        while not self.is_mark(")"):
            if found:
                self.must(",")
            key = self.token
            if key.kind != "name" or key.text not in known:
                raise self.expected(f"{'= or '.join(known)}=")
            if key.text in found:
                raise self.error(f"{key.text} is there twice", key.start)
            self.take()
            self.must("=")
            if self.token.kind not in ("name", "number", "quoted"):
                raise self.expected("a value")
            value = self.take()
            found[key.text] = value.text[1:-1] if value.kind == "quoted" else value.text
        return found

    def test(self) -> TestExpr:
        word = self.take()
        self.must("(")
        score = self.token
        if score.kind not in ("name", "quoted"):
            raise self.expected("a score, such as accuracy")
        self.take()
        if self.is_mark(","):
            self.take()
        elif not self.is_mark(")"):
            raise self.expected("',' or ')'")
        began = self.token.start
        options = self.options(_TESTS[word.text])
        self.must(")")
        name = score.text[1:-1] if score.kind == "quoted" else score.text
        return self._tested(word.text, name, options, began)

    def _tested(self, kind: str, score: str, options: dict[str, str], began: int) -> TestExpr:
        usual = SCORES.get(score)
        want = options.get("want", usual or "")
        if want not in (HIGHER, LOWER):
            known = f"{shown(score)} is none of {', '.join(SCORES)}, so it is a column of the predictions: "
            raise self.error(
                ("" if usual else known) + "say which way is good, want=higher or want=lower", began
            )
        if usual and want != usual:
            raise self.error(f"of {score}, {usual} is good", began)
        method = options.get("method", MCNEMAR if score == "accuracy" else BOOTSTRAP)
        if method not in (MCNEMAR, BOOTSTRAP):
            raise self.error(f"expected method={MCNEMAR} or method={BOOTSTRAP}", began)
        if method == MCNEMAR and score != "accuracy":
            raise self.error(
                "McNemar's test is for accuracy; of anything else there is method=bootstrap", began
            )
        if kind == NOT_WORSE and "margin" not in options:
            raise self.error("say how much worse is still good enough, such as margin=0.01", began)
        return TestExpr(
            self.text.strip(), kind, score, options.get("than", "prod"), want, method,
            confidence=self._figure(options, "confidence", 0.95, began),
            margin=self._figure(options, "margin", 0.0, began),
        )  # fmt: skip

    def _figure(self, options: dict[str, str], key: str, default: float, began: int) -> float:
        above, below, says = _RANGES[key]
        try:
            value = float(options.get(key, default))
        except ValueError:
            value = below
        if not above < value < below:
            raise self.error(f"{key} is a number {says}", began)
        return value


def parse(text: str, at: At) -> Expr:
    """Parse a gate; `at` is where it stands. Raises ConfigError, which points at the column."""
    return _Parser(text, at).gate()


def _sign(term: Term) -> int:
    """1 or -1 for a term of constants alone, 0 where that is not known."""
    if isinstance(term, Number):
        return 1
    if isinstance(term, Sum) and isinstance(term.left, Number) and isinstance(term.right, Number):
        left, right = float(term.left.text), float(term.right.text)
        if term.sign in "+-":
            value = left - right if term.sign == "-" else left + right
            return (value > 0) - (value < 0)
        return 1
    return 0


def _finite(number: float) -> bool:
    return number - number == 0
