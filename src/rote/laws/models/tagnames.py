"""Names of git tags that speak of models, in GTO's grammar (https://dvc.org/doc/gto): `MODEL@v1.2.3` is a version,
`MODEL#prod` or `MODEL#prod#3` moves an alias, a `!` behind either takes it back."""

from __future__ import annotations

import re

import msgspec

from rote.errors import BadName
from rote.laws.models import versions
from rote.words.ids import shown

VERSION, ALIAS, BESIDE, WRONG = "version", "alias", "beside", "wrong"

_TAG = re.compile(
    r"(?P<model>[A-Za-z0-9][A-Za-z0-9._-]{0,99})"
    r"(?:@v(?P<version>[0-9][^!#]*)|#(?P<alias>[^!#]+)|@(?P<word>[A-Za-z][A-Za-z0-9_-]*))"
    r"(?P<back>!?)(?:#(?P<counter>[0-9]{1,9}))?\Z",
    re.ASCII,
)
_MEANT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?:@v?[0-9]|#)", re.ASCII)


class TagName(msgspec.Struct, frozen=True, kw_only=True):
    """What the name of a tag says. `kind` is `version` or `alias` with that in `value`; `beside` for what others say
    with tags and rote does not follow; `wrong` with the reason in `value`. `back`: it is taken back."""

    model: str
    kind: str
    value: str = ""
    back: bool = False
    counter: int | None = None


def parse(tag: str) -> TagName | None:
    """What a tag says; None if it does not speak of a model at all."""
    found = _TAG.match(tag)
    if found is None:
        meant = _MEANT.match(tag)
        wrong = "a tag is MODEL@v1.2.3, MODEL#ALIAS or MODEL#ALIAS#NUMBER"
        return TagName(model=meant[1], kind=WRONG, value=wrong) if meant else None
    model, counter = found["model"], int(found["counter"]) if found["counter"] else None
    if found["word"]:
        # `MODEL@deprecated` and `MODEL@created` speak of all versions; `MODEL@prod` is a channel at a forge.
        return TagName(model=model, kind=BESIDE, value=found["word"])
    kind = VERSION if found["version"] else ALIAS
    try:
        number = found["version"]
        value = str(versions.release(number)) if number else versions.alias(found["alias"])
    except BadName as e:
        return TagName(model=model, kind=WRONG, value=e.what)
    return TagName(model=model, kind=kind, value=value, back=bool(found["back"]), counter=counter)


_MARK = "git tag "


def why(tag: str, id: str) -> str:
    """What the history of an alias says of a move that a tag asked for: the next walk finds it by that."""
    return f"{_MARK}{shown(tag)[:300]} ({id})"


def is_why(text: str) -> bool:
    """Whether a move was asked for by a tag."""
    return text.startswith(_MARK)
