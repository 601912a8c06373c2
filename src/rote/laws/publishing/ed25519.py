"""Ed25519 signatures, verified (RFC 8032, section 5.1.7; without prehashing or context).

Only verifying: it handles nothing secret, so that it need not take the same time for every input. An application then
needs no package to tell who signed a document. Whoever signs uses the package `cryptography`.
"""

from __future__ import annotations

from hashlib import sha512
from typing import Final

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT: Final = pow(2, (_P - 1) // 4, _P)
"""A square root of -1."""

_Point = tuple[int, int, int, int]
"""X, Y, Z, T with x = X/Z, y = Y/Z and xy = T/Z."""

_NOTHING: Final[_Point] = (0, 1, 1, 0)


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) is that of `message` by the key `public` (32 bytes)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key = _unpacked(public)
    commitment = signature[:32]
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _L:  # a larger scalar would make a second signature out of the first
        return False
    challenge = int.from_bytes(sha512(commitment + public + message).digest(), "little") % _L
    x, y, z, t = key
    # [S]B = R + [k]A, so that R is [S]B + [k](-A).
    return _packed(_sum_of_two(scalar, _BASE, challenge, (_P - x, y, z, _P - t))) == commitment


def _unpacked(data: bytes) -> _Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _packed(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, _P - 2, _P)
    return ((y * inverse % _P) | ((x * inverse % _P) & 1) << 255).to_bytes(32, "little")


def _added(one: _Point, two: _Point) -> _Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _sum_of_two(m: int, one: _Point, n: int, two: _Point) -> _Point:
    """m times one point plus n times another, bit by bit for both at once."""
    both = _added(one, two)
    found = _NOTHING
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        found = _added(found, found)
        step = (m >> bit & 1) | (n >> bit & 1) << 1
        if step:
            found = _added(found, (one, two, both)[step - 1])
    return found


def _base() -> _Point:
    found = _unpacked((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    assert found is not None
    return found


_BASE: Final = _base()
