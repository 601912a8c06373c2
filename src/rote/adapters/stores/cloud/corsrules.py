"""The CORS rules of an S3 bucket as its servers write them, in XML: ours beside all others."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from rote.errors import Corrupt
from rote.laws.publishing.crossread import ASKED, ID, METHODS, SECONDS, TOLD

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


def merged(rules: bytes | None, where: str) -> bytes | None:
    """The rules of a bucket (XML, or None) with ours behind all others; None if it is there already. The first one that
    fits a request counts, so that what was said before goes on. Raises Corrupt for what are no rules."""
    fresh = ElementTree.Element("CORSConfiguration", {"xmlns": _NAMESPACE})
    root = fresh if rules is None else _parsed(rules, where)
    mine = [rule for rule in root if _tag(rule) == "CORSRule" and _says(rule, "ID") == [ID]]
    if len(mine) == 1 and _same(mine[0]):
        return None
    for rule in mine:
        root.remove(rule)
    root.append(_element())
    data: bytes = ElementTree.tostring(root, encoding="utf-8")
    return data


def _parsed(rules: bytes, where: str) -> ElementTree.Element:
    """Without a namespace, which servers give or not. A document type, with which entities would come, is refused."""
    if b"<!DOCTYPE" in rules or b"<!ENTITY" in rules or b"\0" in rules:
        raise Corrupt("the bucket's CORS rules are no rules: what begins like them is none", where=where)
    try:
        found = ElementTree.fromstring(rules)
    except ElementTree.ParseError as e:
        raise Corrupt(f"the bucket's CORS rules are no rules: {e}", where=where) from e
    if _tag(found) != "CORSConfiguration":
        raise Corrupt("the bucket's CORS rules are no rules", where=where)
    for element in found.iter():
        element.tag = _tag(element)
    found.set("xmlns", _NAMESPACE)
    return found


def _element() -> ElementTree.Element:
    rule = ElementTree.Element("CORSRule")
    for tag, values in _parts():
        for value in values:
            ElementTree.SubElement(rule, tag).text = value
    return rule


def _parts() -> list[tuple[str, list[str]]]:
    return [
        ("ID", [ID]), ("AllowedOrigin", ["*"]), ("AllowedMethod", list(METHODS)), ("AllowedHeader", list(ASKED)),
        ("ExposeHeader", list(TOLD)), ("MaxAgeSeconds", [str(SECONDS)]),
    ]  # fmt: skip


def _same(rule: ElementTree.Element) -> bool:
    """Whether a rule says what ours says; servers list the values of one kind in any order."""
    return all(
        sorted(v.lower() for v in _says(rule, tag)) == sorted(v.lower() for v in values)
        for tag, values in _parts()
    )


def _says(rule: ElementTree.Element, tag: str) -> list[str]:
    return [(part.text or "").strip() for part in rule if _tag(part) == tag]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
