"""How likely statistical gates on accuracy pass, exactly: `python benchmarks/gates_power.py` prints the tables of
docs/releases.md."""

from __future__ import annotations

import math
from functools import cache

from rote.laws.gates.significance import mcnemar, mcnemar_margin

SIZES = (100, 300, 1_000, 3_000, 10_000)
UNLIKE = (0.05, 0.10)
GAINS = (0.0, 0.01, 0.02, 0.03, 0.05)
MARGINS = (0.01, 0.02, 0.05)
ALLOWED = 0.05
_TAIL = 1e-9


def binomial(count: int, share: float) -> list[tuple[int, float]]:
    """Each number that a binomial variable has with a chance that counts, and that chance."""
    if share <= 0 or share >= 1:
        return [(count if share >= 1 else 0, 1.0)]
    middle, spread = count * share, 7 * math.sqrt(count * share * (1 - share)) + 7
    found = []
    for k in range(max(0, int(middle - spread)), min(count, int(middle + spread)) + 1):
        log = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        chance = math.exp(log + k * math.log(share) + (count - k) * math.log(1 - share))
        if chance > _TAIL:
            found.append((k, chance))
    return found


@cache
def fewest(differing: int) -> int:
    """The fewest examples on which the run must be better, of those on which the two differ."""
    low, high = 0, differing + 1
    while low < high:
        middle = (low + high) // 2
        if mcnemar(middle, differing - middle) <= ALLOWED:
            high = middle
        else:
            low = middle + 1
    return low


def better(size: int, unlike: float, gain: float) -> float:
    """The chance that `better(accuracy)` passes a model whose true accuracy is higher by `gain`, if the two differ on a
    share of `unlike` examples."""
    share = (unlike + gain) / (2 * unlike)
    return sum(
        chance * sum(c for k, c in binomial(differing, share) if k >= fewest(differing))
        for differing, chance in binomial(size, unlike)
    )


def not_worse(size: int, unlike: float, gain: float, margin: float) -> float:
    """The same of `not_worse(accuracy, margin=…)`."""
    share = (unlike + gain) / (2 * unlike)
    total = 0.0
    for differing, chance in binomial(size, unlike):
        low, high = 0, differing + 1  # more that are better: passes the more
        while low < high:
            middle = (low + high) // 2
            if mcnemar_margin(middle, differing - middle, size, margin) <= ALLOWED:
                high = middle
            else:
                low = middle + 1
        total += chance * sum(c for k, c in binomial(differing, share) if k >= low)
    return total


def shown(chance: float) -> str:
    return f"{100 * chance:.0f} %" if chance >= 0.0995 else f"{100 * chance:.1f} %"


def tables() -> str:
    lines = [
        "| examples | differ on | "
        + " | ".join(f"gain {100 * g:.0f}" if g else "no gain" for g in GAINS)
        + " |"
    ]
    lines.append("|---" * (2 + len(GAINS)) + "|")
    for size in SIZES:
        for unlike in UNLIKE:
            cells = [shown(better(size, unlike, gain)) for gain in GAINS]
            lines.append(f"| {size:,} | {100 * unlike:.0f} % | " + " | ".join(cells) + " |")
    heads = [
        f"margin {100 * m:.0f}, {'equal' if equal else 'worse by it'}"
        for m in MARGINS
        for equal in (True, False)
    ]
    lines += ["", "| examples | differ on | " + " | ".join(heads) + " |", "|---" * (2 + len(heads)) + "|"]
    for size in SIZES:
        for unlike in UNLIKE:
            cells = [
                shown(not_worse(size, unlike, 0 if equal else -m, m))
                for m in MARGINS
                for equal in (True, False)
            ]
            lines.append(f"| {size:,} | {100 * unlike:.0f} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
