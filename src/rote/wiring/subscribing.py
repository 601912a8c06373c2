"""A project's data that comes from outside: takes sources, and updates what follows them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rote.adapters.stores.outside.opening import outside
from rote.errors import Missing, RoteError, Stopped, UsageError
from rote.laws.data.sourcelist import Followed
from rote.ports import Outside
from rote.services.data.adding import Added
from rote.services.data.upstream import Following, Updated, failed
from rote.wiring.parts import Wiring
from rote.words.ids import nearest, shown
from rote.words.pointer import SUFFIX


class Subscribing:
    """`cwd` is where paths begin that people type."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd
        self._added: dict[str, Added] = {}

    def add(self, url: str, paths: Sequence[str]) -> Added:
        """Fetch a source to a path, by default one with the source's name, and pin it. See `Project.add`."""
        if len(paths) > 1:
            raise UsageError("one source goes to one path", next="rote add --from URL PATH")
        source = self._open(url)
        if not paths and not source.name:
            raise UsageError(
                "this address has no name at its end", where=source.url, next="rote add --from URL PATH"
            )
        path = self._w.workspace.name(paths[0] if paths else source.name, self._cwd)
        self._w.data.refuse(path, tracked=self._tracked, taken=self._w.pipeline.taken)
        self._following().take(source, path)
        return self._added[path]

    def update(self, paths: Sequence[str], dry_run: bool) -> list[Updated]:
        """See `Project.update`."""
        known = dict(self._w.workspace.pointers())
        following = {path for path, pointer in known.items() if pointer.source is not None}
        chosen: list[str] = []
        for typed in paths:
            path = self._w.workspace.name(typed, self._cwd)
            path = path if path in known else path.removesuffix(SUFFIX)
            if path not in following:
                meant = nearest(path, sorted(following))
                hint = f"did you mean {meant}?" if meant else f"rote add --from URL {path}"
                raise Missing(
                    f"{shown(path, 200)} follows no source"
                    if path in known
                    else f"no pointer pins {shown(path, 200)}",
                    next=hint,
                )
            chosen.append(path)
        done = []
        service = self._following()
        for path in dict.fromkeys(chosen or sorted(following)):
            try:
                done.append(service.update(path, known[path], dry_run=dry_run))
            except Stopped:
                raise
            except RoteError as e:
                if len(chosen or following) == 1:
                    raise
                done.append(failed(path, known[path], e))  # the others go on; the command ends with 1
        return done

    def _following(self) -> Following:
        return Following(
            workspace=self._w.workspace,
            data=self._w.data,
            snapshots=lambda: self._w.snapshots,
            outside=self._open,
            save=self._save,
            clock=self._w.clock,
            progress=self._w.progress,
        )

    def of_repository(
        self, repo: str, path: str, rev: str | None, to: str | None, store: str | None
    ) -> Added:
        """See `Project.import_path`."""
        from rote.wiring.repoaddress import SourceAddress, checked  # only data of other projects needs it
        from rote.wiring.repositories import addressed  # as above

        source = SourceAddress(addressed(repo, self._cwd), checked(path), rev or "", store or "")
        if to is None and source.path == ".":
            raise UsageError("say where all of it is to go: --to PATH")
        return self.add(source.text(), [to] if to is not None else [])

    def _open(self, url: str) -> Outside:
        if url.startswith("rote+"):
            from rote.wiring.repoaddress import parse_source  # only data of other projects needs it
            from rote.wiring.reposource import RepositorySource  # as above

            return RepositorySource(parse_source(url), self._w.progress)
        return outside(url, base=self._cwd, environ=os.environ)

    def _save(self, path: str, followed: Followed) -> None:
        self._added[path] = self._w.data.add(
            [path],
            repository=self._w.project,
            tracked=self._tracked,
            taken=self._w.pipeline.taken,
            followed={path: followed},
        )[0]

    def _tracked(self, path: str) -> Sequence[str]:
        return self._w.git.ls_files([path])
