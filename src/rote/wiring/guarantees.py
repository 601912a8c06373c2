"""What the project's stores honour: probed once a machine before the first write, remembered, and told."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from rote.adapters.stores import address, locations
from rote.errors import Refused
from rote.ports import Abilities, Clock, ObjectStore, Progress
from rote.services.store.probe import Probed, Probes, probe

FILE: Final = "probes.json"
"""In `.rote/cache`."""
_TRUSTING: Final = Abilities(delete=True)
"""Under a probe an adapter asks the store for everything."""


class Guarantees:
    """The abilities of stores by their address. Only stores in clouds are asked: the folder store is rote's own."""

    def __init__(self, cache: str, base: str, clock: Callable[[], Clock], progress: Progress) -> None:
        self._probes = Probes(os.path.join(cache, FILE))
        self._base = base
        self._clock = clock
        self._progress = progress
        self._warned: set[str] = set()

    def abilities(self, url: str) -> Callable[[], Abilities]:
        """For an adapter, which asks before its first write."""

        def asked() -> Abilities:
            found = self.probed(url)
            warning = found.warning()
            if warning and url not in self._warned:
                self._warned.add(url)
                self._progress.say(warning)
            return found.abilities

        return asked

    def probe(self, url: str) -> Probed:
        """Try the store at an address now, and remember what was found. Raises StoreUnavailable."""
        found = probe(lambda: self._client(url), self._clock(), most=address.most(url))
        self._probes.put(found)
        return found

    def probed(self, url: str) -> Probed:
        """What a probe on this machine found before, or finds now. Raises StoreUnavailable."""
        return self._probes.get(address.canonical(url, self._base)) or self.probe(url)

    def must_be_shared(self, url: str, what: str) -> None:
        """Raises Refused if a store is for a single writer only: `what` cannot be done there without loss."""
        if not locations.is_cloud(url) or url.startswith(("http:", "https:")):
            return
        found = self.probed(url)
        if not found.abilities.shared:
            raise Refused(
                f"{what} is refused: this store does not honour conditional writes, so that what another is writing "
                "could be taken for garbage",
                where=found.url,
                safe="nothing was deleted",
                next="rote store probe; or copy everything to another store: rote copy --to URL",
            )

    def _client(self, url: str) -> ObjectStore:
        return address.at(url, base=self._base, abilities=lambda: _TRUSTING)
