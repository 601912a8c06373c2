"""Files of another project, put where a person wants them: whole or not at all, and over nothing that would be lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from rote.adapters.landing import disk
from rote.adapters.landing.incoming import IncomingVersion
from rote.errors import Unsaved
from rote.ports import Sink
from rote.words.version import VersionFile

_SHOWN = 5


class Placing:
    """A file or folder at `path`."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def same(self, files: Mapping[str, VersionFile]) -> bool:
        """Whether exactly these files are there already (the only path of a single file is empty). Raises Unsaved if
        something else is."""
        if not os.path.lexists(self.path):
            return False
        there = self._there()
        other = sorted(p for p in {*there, *files} if p not in files or there.get(p) != files[p].digest)
        if not other or not there:
            return bool(there)
        names = ", ".join(name or os.path.basename(self.path) for name in other[:_SHOWN])
        more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        raise Unsaved(
            f"something else is there already: {names}{more}",
            where=self.path,
            safe="nothing was changed",
            next="name another place with --to, or overwrite it with --force",
        )

    def put(self, write: Callable[[Sink], None], *, single: bool) -> None:
        """Write the files aside, and put them in place in one step; what was there goes. Raises StoreFull,
        CannotLand."""
        parent, name = os.path.split(self.path)
        aside = os.path.join(parent, f".{name}.rote-new-{disk.token()}")
        old = f"{aside}.old"
        try:
            with disk.translated(self.path):
                os.makedirs(aside)
                write(IncomingVersion(aside, [], read_only=False))
                disk.flush_tree(aside)
                new = os.path.join(aside, "file") if single else aside
                if os.path.isdir(self.path) and not os.path.islink(self.path):
                    if single or not disk.exchange(new, self.path):
                        os.rename(self.path, old)
                        os.rename(new, self.path)
                elif single or not os.path.lexists(self.path):
                    os.replace(new, self.path)
                else:
                    os.rename(self.path, old)
                    os.rename(new, self.path)
                disk.flush_folder(parent)
        finally:
            disk.remove_tree(aside)
            disk.remove_tree(old)
            if os.path.lexists(old):
                disk.remove_file(old)

    def _there(self) -> dict[str, str | None]:
        if not os.path.isdir(self.path) or os.path.islink(self.path):
            return {"": disk.digest_of_file(self.path)}
        found: dict[str, str | None] = {}
        for folder, _, names in os.walk(self.path):
            below = os.path.relpath(folder, self.path).replace(os.sep, "/")
            for name in names:
                path = name if below == "." else f"{below}/{name}"
                found[path] = disk.digest_of_file(os.path.join(folder, name))
        return found
