"""Makes the card of a version out of what a project and its store know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rote.errors import Missing, RoteError, StoreError
from rote.laws.models import versions
from rote.laws.publishing.card import CardSources, DataShown, card
from rote.services.releases.verifying.evidence import run_of, stages_of
from rote.wiring.parts import Wiring
from rote.words.version import Version


class Carding:
    """Cards of one project's models."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    def card(self, model_version: str) -> str:
        """The card of `MODEL@VERSION` (or `MODEL@ALIAS`). What the store does not hold any more is left out. Raises
        Missing, BadName, UsageError."""
        version = self._w.registry.get(*versions.named(model_version))
        model = self._w.pipeline.models.get(version.model)
        name = model.card.get("text") if model else None
        return card(
            CardSources(
                version=version,
                model=model,
                told=self._w.registry.remarks.of(version.model, version.version),
                stages=list(self._stages(version)),
                data=list(self._data(version)),
                repository=self._w.git.origin(),
                text=self._text(version, str(name)) if name else "",
            )
        )

    def _stages(self, version: Version) -> Iterator[tuple[str, Sequence[str]]]:
        run, _ = run_of(version, self._w.runs)
        for made in stages_of(version, run, self._w.results) if run is not None else ():
            if made.inputs is not None:
                yield made.name, made.inputs.cmd

    def _data(self, version: Version) -> Iterator[DataShown]:
        for used in version.data:
            try:
                ref = self._w.snapshots.find(used.snapshot)
            except (Missing, StoreError):
                yield DataShown(used.path, used.snapshot)
            else:
                yield DataShown(used.path, used.snapshot, ref.files, ref.size)

    def _text(self, version: Version, path: str) -> str:
        """The project's own text, as it was when the version was made; else as it is now."""
        if version.commit is not None and self._w.git.present:
            try:
                return self._w.git.show(version.commit, path).decode("utf-8", "replace")
            except RoteError:
                pass  # it was written later, or the commit is not here
        try:
            with open(os.path.join(self._w.root, path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError as e:
            raise Missing(
                f"there is no file {path} for the card of {version.model}",
                where=f"rote.yaml: models.{version.model}.card.text",
                next="write it, or take `text` out",
            ) from e
