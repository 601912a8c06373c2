"""What templates may name: values from params files and from `vars`, each with where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rote.laws.pipeline.overriding import keys
from rote.wiring.config.expressions import BadTemplate, is_in
from rote.words.ids import nearest, shown


class Context:
    """Values by name. Nothing that is there is ever redefined, except for a stage's own `item` and `key`."""

    def __init__(
        self, values: Mapping[str, Any] | None = None, sources: Mapping[str, str] | None = None
    ) -> None:
        self._values: dict[str, Any] = dict(values or {})
        self._sources: dict[str, str] = dict(sources or {})

    def merge(self, values: Mapping[str, Any], source: str) -> None:
        """Take values over; mappings grow together. Raises BadTemplate if a value would be redefined."""
        self._values = self._merged(self._values, values, source, "")

    def _merged(
        self, into: Mapping[str, Any], values: Mapping[str, Any], source: str, above: str
    ) -> dict[str, Any]:
        grown = dict(into)
        for name, value in values.items():
            full = f"{above}.{name}" if above else name
            if name not in grown:
                grown[name] = value
                self._sources[full] = source
            elif isinstance(grown[name], Mapping) and isinstance(value, Mapping):
                grown[name] = self._merged(grown[name], value, source, full)
            else:
                raise BadTemplate(
                    f"{shown(full)} is defined twice: in {self._source(full)} and in {source}",
                    "rename one of them",
                )
        return grown

    def _source(self, full: str) -> str:
        while full and full not in self._sources:
            full = full.rpartition(".")[0]
        return self._sources.get(full, "the params")

    def with_values(self, values: Mapping[str, Any]) -> Context:
        """The context with these in front of all others (`item`, `key`)."""
        return Context({**self._values, **values}, self._sources)

    def copy(self) -> Context:
        """One that grows by itself."""
        return Context(self._values, self._sources)

    def value(self, steps: Sequence[str]) -> Any:
        """What the steps lead to. Raises BadTemplate."""
        here: Any = self._values
        for step in steps:
            if isinstance(here, Mapping) and step in here:
                here = here[step]
            elif isinstance(here, list) and step.isascii() and step.isdigit() and int(step) < len(here):
                here = here[int(step)]
            else:
                raise self._unknown(".".join(steps))
        if isinstance(here, str) and is_in(here):
            name = ".".join(steps)
            own = "itself" if f"${{{name}}}" in here.replace(" ", "") else "another template"
            raise BadTemplate(
                f"the value of {name} is {shown(here)}, which refers to {own}; templates are resolved once",
                "write the value itself",
            )
        return here

    def _unknown(self, name: str) -> BadTemplate:
        known = [key for key in keys(self._values) if key]
        near = nearest(name, known)
        if near is None:
            tail = name.rpartition(".")[2]
            near = next((key for key in known if key.rpartition(".")[2] == tail), None)
        what = f"${{{name}}} refers to nothing" + (f"; did you mean ${{{near}}}?" if near else "")
        shell = f"for the shell's own variable write \\${{{name}}}"
        return BadTemplate(what, shell if near else f"write {name} into params.yaml or `vars`; {shell}")
