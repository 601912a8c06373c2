"""Text that may hold secrets -> the same text with `***` in their place.

A run record is read by everybody who can read the store, so a command line, a diff or an error passes through here
before it is written. Two kinds of rule: values that are known to be secret (of environment variables whose name says
so), and forms that give a secret away (a URL's password, `--token x`, the shapes of well-known services' keys).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
"""What stands where a secret stood."""
SHORTEST = 6
"""Values shorter than this are not looked for: `1` or `yes` would mask half of a text."""

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

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), MASK),
    # scheme://user:password@host; the password may hold anything but the end of the authority
    (
        re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@'\"]{0,200}:)[^\s/'\"]{1,500}(?=@)", re.I),
        r"\g<keep>" + MASK,
    ),
    # https://TOKEN@host: over http a user's name alone is a token; ssh://git@host is not
    (re.compile(r"(?P<keep>\bhttps?://)[^\s/:@'\"]{1,500}(?=@)", re.I), r"\g<keep>" + MASK),
    # ?token=x&sig=y, and the parts of a signed S3 address
    (
        re.compile(
            rf"(?P<keep>[?&](?:[\w.-]{{0,60}}?{_WORD}|sig|signature|x-amz-(?:signature|credential|security-token))=)[^&\s'\"#]+",
            re.I,
        ),
        r"\g<keep>" + MASK,
    ),
    (
        re.compile(
            r"(?P<keep>\b(?:authorization|proxy-authorization)\s{0,9}[:=]\s{0,9}['\"]?(?:bearer|basic|token)\s+)[^\s'\"]+",
            re.I,
        ),
        r"\g<keep>" + MASK,
    ),
    (re.compile(r"(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.I), r"\g<keep>" + MASK),
    # --password x, --password=x, --db-password 'x y'
    (
        re.compile(
            rf"(?P<keep>(?<![\w-])--?(?:[\w.]+[_-])*{_WORD}(?:=|[ \t]+))(?:'[^'\n]*'|\"[^\"\n]*\"|(?!-)[^\s'\"]+)",
            re.I,
        ),
        r"\g<keep>" + MASK,
    ),
    # "password": "x", password = 'x', PASSWORD: "x"
    (
        re.compile(
            rf"(?P<keep>\b(?:\w{{1,40}}[_.-]){{0,6}}?{_WORD}['\"]?[ \t]{{0,9}}[:=][ \t]{{0,9}})(?P<q>['\"])(?!\$)[^'\"\n]{{4,}}(?P=q)",
            re.I,
        ),
        r"\g<keep>\g<q>" + MASK + r"\g<q>",
    ),
    # PASSWORD=x, as in a shell or an .env file
    (
        re.compile(
            rf"(?P<keep>(?<![\w?&.-])(?:\w{{1,40}}[_.-]){{0,6}}?{_WORD}=)(?![$=])[^\s'\"(){{}}\[\],;]{{4,}}",
            re.I,
        ),
        r"\g<keep>" + MASK,
    ),
    # password: x, as in YAML, where the value looks made and not like a type's name
    (
        re.compile(
            rf"(?P<keep>(?<![\w.])(?:\w{{1,40}}[_.-]){{0,6}}?{_WORD}:[ \t]{{1,9}})(?=\S*\d)[^\s'\"(){{}}\[\],;$]{{6,}}(?=[ \t]*$)",
            re.I | re.M,
        ),
        r"\g<keep>" + MASK,
    ),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,255}\b|\bgithub_pat_[A-Za-z0-9_]{20,255}"), MASK),
    (re.compile(r"\bgl(?:pat|cbt|dt|rt|soat)-[A-Za-z0-9_.-]{16,}"), MASK),
    (
        re.compile(
            r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bhf_[A-Za-z0-9]{20,}\b|\bsk-[A-Za-z0-9_-]{20,}|\bsk_(?:live|test)_[A-Za-z0-9]{16,}"
        ),
        MASK,
    ),
    (
        re.compile(
            r"\bAIza[A-Za-z0-9_-]{35}|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[A-Za-z0-9_-]{32,}|\bdop_v1_[0-9a-f]{64}\b"
        ),
        MASK,
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"), MASK),
)


def says_secret(name: str) -> bool:
    """Whether the name of a variable, an option or a param says that its value is a secret."""
    return name.upper() not in _NOT_SECRET and bool(_SAYS_SECRET.search(name))


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of those variables whose name says secret, longest first, without the very short ones."""
    found = {value for name, value in environment.items() if len(value) >= SHORTEST and says_secret(name)}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with known `secrets` and everything that has the form of one masked. Masking twice changes nothing."""
    for value in sorted((v for v in secrets if len(v) >= SHORTEST), key=len, reverse=True):
        text = text.replace(value, MASK)
    for rule, mask in _RULES:
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
