"""What rote.yaml says for a model's card."""

from __future__ import annotations

from rote.wiring.config import places
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.wiring.config.vocabulary import CARD

_LISTS = ("language", "tags", "datasets")


def card(section: Section) -> dict[str, str | tuple[str, ...]]:
    """`card` of a model: what it adds to the front matter, and the file `text`. Raises ConfigError."""
    node = section.get("card")
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        raise section.wrong("card", node, f"a mapping with {', '.join(CARD)}")
    below = Section(node, section.file, f"{section.key}.card")
    below.known(CARD, "a card")
    found: dict[str, str | tuple[str, ...]] = {}
    for key in CARD:
        texts = [text for text, _ in below.texts(key)]
        if not texts:
            continue
        if key == "text":
            texts = [places.path(text, ".", below.at(key, each), "file") for text, each in below.texts(key)]
        if key not in _LISTS and key != "base_model" and len(texts) > 1:
            raise refused(below.at(key), f"expected one text, found {len(texts)}", None)
        found[key] = texts[0] if len(texts) == 1 and key not in _LISTS else tuple(texts)
    return found
