"""Verifying what a person names: a version, a folder in which one lies, or a file of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from rote.adapters.landing.found import FoundVersion, found
from rote.errors import (
    BadPath,
    Corrupt,
    Missing,
    MissingExtra,
    NotAProject,
    StoreUnavailable,
    Untrusted,
    UsageError,
)
from rote.laws.models import links, versions
from rote.laws.models.links import Broken, Looking, Verified
from rote.laws.models.stamps import Unsound, edited, kind_of
from rote.laws.publishing import claims, manifests
from rote.ports import Silence
from rote.services.data import stamping
from rote.services.releases.verifying import Verifying, walked
from rote.services.releases.verifying.made import digest, listed
from rote.wiring import identities
from rote.wiring.config import params, reading
from rote.wiring.config.root import find
from rote.wiring.parts import Wiring
from rote.words.ids import counted, shown
from rote.words.publication import SIGNATURE
from rote.words.signatory import Signatory
from rote.words.version import Version

_SHOWN = 5
_PIECE = 1 << 20
_NO_PROJECT = "there is no project here whose store knows the version"


class Verification:
    """Verifies with the store of a project; or (`wiring` is None) what lies in a folder by itself."""

    def __init__(self, wiring: Wiring | None, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd

    def named(self, what: str, *, read_data: bool = False, signatory: Signatory | None = None) -> Verified:
        """Verify `MODEL@VERSION` (or an alias), or the path of a folder. Whatever lies at a path goes before a name.
        With `signatory` the files of a published version must be signed by it. Raises Missing, UsageError, Corrupt,
        StoreError, MissingExtra."""
        path = os.path.join(self._cwd, what)
        if os.path.isdir(path) or (signatory is None and os.path.lexists(path)):
            return self._path(path, what, read_data, signatory)
        if signatory is not None:
            raise UsageError(
                f"who signed {shown(what, 200)} is said where it is published, and not here",
                next="rote verify FOLDER of a published version, or rote fetch --from ADDRESS with the same --identity",
            )
        if "@" not in what:
            raise UsageError(
                f"there is no {shown(what, 200)} here, and it is no MODEL@VERSION",
                next="rote verify MODEL@VERSION, or a folder in which a version lies; rote model list",
            )
        model, ref = versions.named(what)
        return self._verifying().version(self._wired().registry.get(model, ref), read_data=read_data)

    def _path(self, path: str, what: str, read_data: bool, signatory: Signatory | None) -> Verified:
        if os.path.isfile(path) and kind_of(path):
            return self._file(path, what, read_data)
        there = found(path) if os.path.isdir(path) else None
        if there is None:
            raise UsageError(
                f"nothing says what should lie in {shown(what, 200)}: no manifest of rote's lies there",
                next="name a folder of `rote fetch`, of a download or of `rote publish`, an application's cache, a "
                "stamped file, or MODEL@VERSION",
            )
        version, why = self._record(there)
        name = f"{version.model}@{version.version}" if version else there.name
        held = _here(there, name, self._signed(there, name, signatory))
        if version is None:
            looks = {n: _closed(why, claims.of(n, there.said)) for n in links.CHAIN[:-1]}
            return walked(f"{what} ({name})", None, looks | {links.FILES: held})
        chain = self._verifying().version(version, read_data=read_data)
        if chain.broken:
            return msgspec.structs.replace(chain, what=f"{what} ({name})")
        here = walked(what, version, {links.FILES: held})
        files = here.links[0]
        if files.state == links.OK:
            last = chain.links[-1]
            files = msgspec.structs.replace(last, told=[*files.told, *last.told])
        return msgspec.structs.replace(here, what=f"{what} ({name})", links=[*chain.links[:-1], files])

    def _signed(
        self, there: FoundVersion, name: str, signatory: Signatory | None
    ) -> Callable[[Looking], None]:
        """Who signed the files: whoever was asked for, or whom rote.yaml names; of a signature that nobody asks for
        only that it is there."""
        bundle = there.signature()
        if signatory is not None and bundle is None and not there.published:
            raise UsageError(
                "who signed the files is said where they are published, and not here",
                where=there.folder,
                next="name a folder of `rote publish`, or rote fetch --from ADDRESS with the same --identity",
            )
        asked, base = signatory, self._cwd
        if asked is None and there.published and self._w is not None:
            described = self._w.pipeline.models.get(there.model)
            asked, base = (described.identity if described else None), self._w.root

        def look(looking: Looking) -> None:
            if signatory is None and asked is not None and bundle is None:
                looking.open(f"nobody has signed them; rote publish {name} TARGET signs as rote.yaml says")
                return
            if asked is None:
                if bundle is not None:
                    looking.ok(
                        f"{SIGNATURE} lies beside them; --identity NAME --issuer URL tells whose it is"
                    )
                return
            try:
                vouching = identities.vouching(asked, base)
                assert vouching is not None, "somebody is asked for"
                vouching.check(bundle, name, there.files, there.folder, safe="nothing was changed")
            except Untrusted as e:
                raise Broken(e.what, e.next or "") from e
            except (MissingExtra, StoreUnavailable) as e:
                if signatory is not None:
                    raise
                looking.open(f"who signed them: {e.what}")
            else:
                looking.ok(f"signed by {vouching.signatory}")

        return look

    def _file(self, path: str, what: str, read_data: bool) -> Verified:
        """A single file, which says itself which version it is of."""

        def open_() -> Iterator[bytes]:
            with open(path, "rb") as file:
                while piece := file.read(_PIECE):
                    yield piece

        try:
            said, undo = stamping.read(kind_of(path) or "", open_, os.path.getsize(path))
        except Unsound as e:
            raise Corrupt(f"this is no sound {kind_of(path)} file: {e}", where=what) from e
        if said is None:
            raise UsageError(
                f"{shown(what, 200)} carries no stamp that says which version it is of",
                next="models.NAME.stamp: true stamps the versions that are made from then on",
            )
        name = f"{said.model}@{said.version}"
        here = _stamped_file(name, digest(edited(open_(), undo)) if undo is not None else None, said.digest)
        version, why = self._known(said.model, said.version)
        if version is None:
            return walked(
                f"{what} ({name})", None, {n: _closed(why) for n in links.CHAIN[:-1]} | {links.FILES: here}
            )
        if digest(open_()) not in [file.digest for file in version.files]:
            wrong = Broken(f"it says that it is of {name}, which has no such file")
            return walked(f"{what} ({name})", version, {links.FILES: _raising(wrong)})
        chain = self._verifying().version(version, read_data=read_data)
        return msgspec.structs.replace(chain, what=f"{what} ({name})")

    def _known(self, model: str, version: str) -> tuple[Version | None, str]:
        """The version of this name that the store here has, or why there is none."""
        if self._w is None:
            return None, _NO_PROJECT
        try:
            known = self._w.registry.find(model, version)
        except (Missing, UsageError):
            known = None
        return (
            known,
            "" if known else f"the store of this project does not hold {shown(f'{model}@{version}')}",
        )

    def _record(self, there: FoundVersion) -> tuple[Version | None, str]:
        """The version that lies in a folder, as the store here knows it; or why it does not. Raises Corrupt if the
        store has another under its name."""
        if self._w is None:
            return None, _NO_PROJECT
        registry = self._w.registry
        if there.tag:
            return None, "a release of files says nothing of where they come from"
        if not there.model:
            for model in registry.models():
                for version in registry.versions(model.name):
                    if version.snapshot.id == there.snapshot:
                        return version, ""
            return None, "the store of this project holds no version with these files"
        known, why = self._known(there.model, there.version)
        if known is None:
            return None, why
        if known.snapshot.id != there.snapshot:
            raise Corrupt(
                f"what lies here says that it is {there.name}, and the store has other files under this name",
                where=there.folder,
                next=f"rote fetch {there.name} --to DIR brings what the store has",
            )
        wrong = claims.differs(there.said, manifests.provenance_of(known))
        if wrong:
            raise Corrupt(
                f"the manifest of {there.name} says otherwise than the store of this project: {wrong}",
                where=there.folder,
                safe="the files are those of the version",
                next=f"delete the manifest where it was published, then: rote publish {there.name} TARGET",
            )
        return known, ""

    def _wired(self) -> Wiring:
        if self._w is None:
            raise UsageError(
                "there is no project here whose store could know a version", next="rote --cd DIR verify …"
            )
        return self._w

    def _verifying(self) -> Verifying:
        w = self._wired()
        return Verifying(
            store=w.store,
            snapshots=w.snapshots,
            runs=w.runs,
            results=w.results,
            committed=w.git if w.git.present else None,
            decode=_decoded,
        )


def _decoded(data: bytes, file: str) -> Any:
    return params.decode(reading.decode(data, file), file)


def _raising(wrong: Broken) -> Callable[[Looking], None]:
    """A link that is broken."""

    def look(looking: Looking) -> None:
        raise wrong

    return look


def _stamped_file(name: str, now: str | None, made: str) -> Callable[[Looking], None]:
    """Whether a stamped file is what its stamp says."""

    def look(looking: Looking) -> None:
        if now is None:
            looking.open("its stamp replaced an older one, so the file cannot be held against it")
        elif now != made:
            raise Broken("without its stamp it is not what the stamp says that the run made")
        else:
            looking.ok(f"it carries the stamp of {name}, and is what the stamp says")

    return look


def _closed(why: str, said: Sequence[str] = ()) -> Callable[[Looking], None]:
    """A link that cannot be looked at, and what is said of it."""

    def look(looking: Looking) -> None:
        for one in said:
            looking.ok(one)
        looking.open(why)

    return look


def _here(there: FoundVersion, name: str, signed: Callable[[Looking], None]) -> Callable[[Looking], None]:
    """Whether the files in a folder are those of its manifest, and signed by whom they should be."""
    again = f"rote fetch {name} --to DIR, or the download again, brings it as it was" if "@" in name else ""

    def look(looking: Looking) -> None:
        try:
            id = listed(there.files, single=False)
        except BadPath as e:
            raise Broken(e.what) from e
        if id != there.snapshot:
            raise Broken("the files that the manifest lists are not those that its snapshot id stands for")
        left = []
        for file in there.files:
            digest = there.digest(file)
            if digest is None:
                if there.brought is not None and file.path not in there.brought:
                    left.append(file)
                    continue
                raise Broken(f"{file.path} is not there", again)
            if digest != file.digest:
                raise Broken(f"{file.path} is not what it was when it was released", again)
        number = len(there.files) - len(left)
        size = sum(file.size for file in there.files) - sum(file.size for file in left)
        looking.ok(f"{counted(number, 'file')} here, {counted(size, 'byte')}, every one read")
        if left:
            looking.ok(f"not downloaded: {_few([file.path for file in left])}")
        signed(looking)
        others = there.others()
        if others:
            looking.ok(f"not of the version: {_few(others)}")

    return look


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def verify(
    what: str, *, store: str | None = None, read_data: bool = False, signatory: Signatory | None = None
) -> Verified:
    """See `rote.verify`."""
    cwd = os.getcwd()
    try:
        root = find(".")
    except NotAProject:
        return Verification(None, cwd).named(what, read_data=read_data, signatory=signatory)
    wiring = Wiring(root, store=store, progress=Silence(), cwd=cwd)
    try:
        return Verification(wiring, cwd).named(what, read_data=read_data, signatory=signatory)
    finally:
        wiring.close("python")
