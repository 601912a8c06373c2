"""Holds requests and answers against an OpenAPI 3.0 description: what a server and its client really promised."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema

CONTRACTS = Path(__file__).parent / "contracts"


@dataclass
class Operation:
    """A path and method that the description knows, and the values in the path."""

    what: dict[str, Any]
    values: dict[str, str]


class Description:
    """A description; every check gives a list of what is wrong."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self.whole = whole

    def find(self, method: str, path: str) -> Operation | None:
        """The operation that a request means: of several the one with the fewest variables."""
        best: tuple[int, Operation] | None = None
        parts = path.split("/")
        for template, methods in self.whole["paths"].items():
            names = template.split("/")
            if len(names) != len(parts) or method.lower() not in methods:
                continue
            values = {}
            for name, part in zip(names, parts, strict=True):
                if name.startswith("{"):
                    values[name[1:-1]] = unquote(part)
                elif name != part:
                    break
            else:
                one = Operation(methods[method.lower()], values)
                if best is None or len(values) < best[0]:
                    best = (len(values), one)
        return best[1] if best else None

    def request(self, at: Operation, query: dict[str, str], kind: str, body: bytes | None) -> list[str]:
        """What is wrong with a request. `body` None: it was streamed, and is not JSON."""
        wrong = []
        known = {}
        for parameter in at.what.get("parameters", []):
            told = self.resolved(parameter)
            value = at.values.get(told["name"]) if told["in"] == "path" else query.get(told["name"])
            if told["in"] == "query":
                known[told["name"]] = told
            if value is None:
                if told.get("required") and told["in"] != "header":
                    wrong.append(f"{told['in']} parameter {told['name']} is missing")
                continue
            if told["in"] in ("path", "query"):
                number = told["schema"].get("type") == "integer"
                if number and not re.fullmatch(r"-?\d+", value):
                    wrong.append(f"{told['name']} is no number: {value!r}")
                else:
                    wrong += self.schema(told["schema"], int(value) if number else value, told["name"])
        wrong += [f"query parameter {name} is not known" for name in query if name not in known]
        content = at.what.get("requestBody", {}).get("content", {})
        if not content:
            return wrong + (["a body where none is asked for"] if body else [])
        if kind.partition(";")[0] not in content:
            return [*wrong, f"content type {kind!r} is not one of {list(content)}"]
        if body is not None and kind.startswith("application/json"):
            schema = content["application/json"]["schema"]
            try:
                value = json.loads(body)
            except ValueError:
                return [*wrong, "the body is not JSON"]
            wrong += self.schema(schema, value, "body")
            wrong += [f"body.{name} is not known" for name in value if name not in schema["properties"]]
        return wrong

    def answer(self, at: Operation, status: int, kind: str, body: bytes) -> list[str]:
        """What is wrong with an answer."""
        if str(status) not in at.what["responses"]:
            if status == 422:  # what GitHub says of all validation, described of some paths only
                return self.schema(
                    {"$ref": "#/components/schemas/validation-error"}, json.loads(body), "answer"
                )
            return [f"status {status} is not described"]
        content = self.resolved(at.what["responses"][str(status)]).get("content", {})
        if "application/json" not in content or not kind.startswith("application/json"):
            return []
        return self.schema(content["application/json"]["schema"], json.loads(body), "answer")

    def schema(self, schema: dict[str, Any], value: Any, what: str) -> list[str]:
        """What is wrong with a value."""
        whole = {**self._plain(schema), "components": self._components()}
        checker = jsonschema.Draft7Validator(whole, format_checker=jsonschema.FormatChecker())
        return [f"{what}{e.json_path[1:]}: {e.message[:200]}" for e in checker.iter_errors(value)]

    def resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self.whole
            for name in value["$ref"].split("/")[1:]:
                found = found[name]
            value = found
        return value

    def _components(self) -> dict[str, Any]:
        if not hasattr(self, "_plain_components"):
            self._plain_components: dict[str, Any] = self._plain(self.whole["components"])
        return self._plain_components

    def _plain(self, value: Any) -> Any:
        """`nullable` of OpenAPI 3.0 in the words of JSON Schema."""
        if isinstance(value, list):
            return [self._plain(v) for v in value]
        if not isinstance(value, dict):
            return value
        plain = {k: self._plain(v) for k, v in value.items() if k != "nullable"}
        return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


@cache
def github() -> Description:
    """GitHub's description of releases."""
    return Description(json.loads((CONTRACTS / "github-releases.json").read_text()))
