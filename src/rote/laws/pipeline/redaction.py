"""Text that may hold secrets -> the same text with `***` in their place.

A run record is read by everybody who can read the store, so a command line, a diff or an error passes through here
before it is written. Two kinds of rule: values that are known to be secret (of environment variables whose name says
so), and forms that give a secret away (a URL's password, `--token x`, the shapes of well-known services' keys).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

MASK = "***"
_HIDDEN = MASK.encode("ascii")
"""What stands where a secret stood."""
SHORTEST = 6
"""Values shorter than this are not looked for: `1` or `yes` would mask half of a text."""

_KEEP = rf"\g<keep>{MASK}"
_WORD = (
    r"(?:password|passwd|passphrase|pwd|secret|secret[_-]?key|token|api[_-]?key|apikey|access[_-]?key"
    r"|private[_-]?key|credentials?|auth[_-]?key)"
)
_SAYS_SECRET = re.compile(
    r"(?:^|[_.-]|(?<=[a-z0-9]))(?:PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|API_?KEY|APIKEY|ACCESS_?KEY|"
    r"SECRET_?KEY|PRIVATE_?KEY|CREDENTIALS?|AUTH_?KEY)(?:$|[_.-](?!ID$|FILE$|PATH$|URL$))",
    re.IGNORECASE,
)
# Working folders, not passwords.
_NOT_SECRET = frozenset(["PWD", "OLDPWD"])

_NAMED = rf"(?<![\w.-])[\w.-]{{0,80}}?{_WORD}"
# (a pattern, what takes its place); `keep` is what stays in front of the secret. Compiled when first used.
_RULES: tuple[tuple[str, str], ...] = (
    # a secret key of rote's own
    (r"(?P<keep>\bed25519-secret:)[A-Za-z0-9+/=]+", _KEEP),
    (r"(?s)-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", MASK),
    # scheme://user:password@host; the password may hold anything but the end of the authority
    (r"(?i)(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@'\"]{0,200}:)[^\s/'\"]{1,500}(?=@)", _KEEP),
    # https://TOKEN@host: over http a user's name alone is a token; ssh://git@host is not
    (r"(?i)(?P<keep>\bhttps?://)[^\s/:@'\"]{1,500}(?=@)", _KEEP),
    # ?token=x&sig=y
    (rf"(?i)(?P<keep>[?&](?:[\w.-]{{0,60}}?{_WORD}|sig|signature)=)[^&\s'\"#]+", _KEEP),
    (r"(?i)(?P<keep>[?&]x-amz-(?:signature|credential|security-token)=)[^&\s'\"#]+", _KEEP),
    (r"(?i)(?P<keep>\bauthorization\s{0,9}[:=]\s{0,9}['\"]?(?:bearer|basic|token)\s+)[^\s'\"]+", _KEEP),
    (r"(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}", _KEEP),
    # --password x, --password=x, --db-password 'x y'
    (
        rf"(?i)(?P<keep>(?<![\w-])--?[\w.-]{{0,80}}?{_WORD}(?:=|[ \t]+))"
        r"(?:'[^'\n]*'|\"[^\"\n]*\"|(?!-)[^\s'\"]+)",
        _KEEP,
    ),
    # "password": "x", password = 'x', PASSWORD: "x"
    (
        rf"(?i)(?P<keep>{_NAMED}['\"]?[ \t]{{0,9}}[:=][ \t]{{0,9}})"
        r"(?P<q>['\"])(?!\$)[^'\"\n]{4,}(?P=q)",
        rf"\g<keep>\g<q>{MASK}\g<q>",
    ),
    # PASSWORD=x, as in a shell or an .env file
    (rf"(?i)(?P<keep>(?<![?&]){_NAMED}=)(?![$=])[^\s'\"(){{}}\[\],;]{{4,}}", _KEEP),
    # password: x, as in YAML, where the value looks made and not like a type's name
    (
        rf"(?im)(?P<keep>{_NAMED}:[ \t]{{1,9}})"
        r"(?=\S*\d)[^\s'\"(){}\[\],;$]{6,}(?=[ \t]*$)",
        _KEEP,
    ),
    (r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b", MASK),
    (r"\bgh[pousr]_[A-Za-z0-9]{20,255}\b|\bgithub_pat_[A-Za-z0-9_]{20,255}", MASK),
    (r"\bgl(?:pat|cbt|dt|rt|soat)-[A-Za-z0-9_.-]{16,}", MASK),
    (r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bhf_[A-Za-z0-9]{20,}\b", MASK),
    (r"\bsk-[A-Za-z0-9_-]{20,}|\bsk_(?:live|test)_[A-Za-z0-9]{16,}", MASK),
    (r"\bAIza[A-Za-z0-9_-]{35}|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[A-Za-z0-9_-]{32,}", MASK),
    (r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+", MASK),
)


@cache
def _rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), mask) for pattern, mask in _RULES)


def says_secret(name: str) -> bool:
    """Whether the name of a variable, an option or a param says that its value is a secret."""
    return name.upper() not in _NOT_SECRET and bool(_SAYS_SECRET.search(name))


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of those variables whose name says secret, and the passwords in those that are URLs; longest first,
    without the very short ones."""
    found = {value for name, value in environment.items() if len(value) >= SHORTEST and says_secret(name)}
    for value in environment.values():
        if "://" in value and "@" in value:  # few have both: the rules are not even compiled for the others
            found.update(secrets_in(value))
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def secrets_in(text: str) -> set[str]:
    """What `redact` would mask by its form in a text, without the very short: values to be masked elsewhere, too."""
    found: set[str] = set()
    for rule, _ in _rules():
        for match in rule.finditer(text):
            named = match.groupdict()
            value = match[0].removeprefix(named.get("keep") or "").strip("'\"")
            if len(value) >= SHORTEST and value != MASK:
                found.add(value)
    return found


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with known `secrets` and everything that has the form of one masked. Masking twice changes nothing."""
    for value in sorted((v for v in secrets if len(v) >= SHORTEST), key=len, reverse=True):
        text = text.replace(value, MASK)
    for rule, mask in _rules():
        text = rule.sub(mask, text)
    return text


def redact_values(value: Any, secrets: Iterable[str] = (), *, named_secret: bool = False) -> Any:
    """The same for decoded YAML or JSON: texts are redacted; a text under a key that says secret is masked whole."""
    known = tuple(secrets)
    if isinstance(value, str):
        return MASK if named_secret and value else redact(value, known)
    if isinstance(value, Mapping):
        return {
            key: redact_values(inner, known, named_secret=named_secret or says_secret(str(key)))
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_values(inner, known, named_secret=named_secret) for inner in value]
    return value


class Mask:
    """Takes secret values out of bytes that come in pieces, wherever the pieces are cut.

    Only a tail that may be the beginning of a secret waits for the next piece.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {s.encode("utf-8", "surrogateescape") for s in secrets if s}
        longest_first = sorted(found, key=len, reverse=True)
        self._secrets = longest_first
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if found else None
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What may be shown of all so far."""
        if self._pattern is None:
            return piece
        data = self._pattern.sub(_HIDDEN, self._held + piece)
        keep = max((_overlap(data, secret) for secret in self._secrets), default=0)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def rest(self) -> bytes:
        """The tail that waited: no more comes, so it was no secret."""
        held, self._held = self._held, b""
        return held


def _overlap(data: bytes, secret: bytes) -> int:
    """The length of the longest end of `data` that is a proper beginning of `secret`."""
    for length in range(min(len(data), len(secret) - 1), 0, -1):
        if data.endswith(secret[:length]):
            return length
    return 0
