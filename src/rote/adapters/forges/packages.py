"""A project's package registry at GitLab, where the files of its releases lie."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec

from rote.adapters.forges import naming
from rote.adapters.forges.reading import Reader
from rote.adapters.forges.talk import PAGE, Talk
from rote.adapters.forges.vendor import Answer
from rote.ports.hosting import HostedAsset

_T = TypeVar("_T")


class Package(msgspec.Struct, frozen=True):
    """A package as GitLab tells of it."""

    id: int
    name: str
    version: str
    package_type: str = "generic"


class PackageFile(msgspec.Struct, frozen=True):
    """A file in a package. There may be several of one name: the newest counts."""

    id: int
    file_name: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    file_sha256: str | None = None


class Marker(msgspec.Struct, frozen=True):
    """What the marker of a draft says."""

    title: str = ""
    commit: str | None = None


class Packages:
    """The packages of one project that hold releases. Safe to share between threads."""

    def __init__(self, talk: Talk, project: str, look: Callable[[str], Answer]) -> None:
        """`project` is its address in the interface; `look` asks below it, and answers 200 or 404."""
        self._talk = talk
        self._project = project
        self._look = look
        self._reader = Reader(talk)

    def find(self, tag: str) -> Package | None:
        """The package of a release, or None."""
        name, version = package_of(tag)
        where = f"package_name={quote(name, safe='')}&package_version={quote(version, safe='')}&package_type=generic"
        for package in self._listed(f"packages?{where}&", list[Package]):
            if (package.name, package.version) == (name, version):  # the search is for parts of names
                return package
        return None

    def files(self, package: Package) -> list[PackageFile]:
        """All its files, every copy of each."""
        return list(self._listed(f"packages/{package.id}/package_files?", list[PackageFile]))

    def assets(self, package: Package) -> list[HostedAsset]:
        """The newest file of each name, but for the marker of a draft."""
        newest = {f.file_name: f for f in sorted(self.files(package), key=lambda f: f.id)}
        return [hosted(f) for name, f in newest.items() if name != naming.DRAFT]

    def there(self, tag: str, name: str) -> HostedAsset | None:
        """The newest file of this name, or None."""
        package = self.find(tag)
        files = [f for f in self.files(package) if f.file_name == name] if package else []
        return hosted(max(files, key=lambda f: f.id)) if files else None

    def url(self, tag: str, name: str) -> str:
        """Where a file is read and written."""
        package, version = package_of(tag)
        return f"{self._project}/packages/generic/{package}/{version}/{quote(name, safe='')}"

    def _listed(self, url: str, kind: type[list[_T]]) -> Iterator[_T]:
        return self._talk.listed(lambda page: self._look(f"{url}per_page={PAGE}&page={page}"), kind)

    def marker(self, tag: str) -> Marker:
        """What the marker of a draft says; nothing, if it is not there or not one of ours."""
        there = self.there(tag, naming.DRAFT)
        if there is None or there.size > 65536:
            return Marker()
        data = b"".join(self._reader.read(self.url(tag, naming.DRAFT), naming.DRAFT, there.size))
        try:
            return msgspec.json.decode(data, type=Marker)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Marker()


def package_of(tag: str) -> tuple[str, str]:
    """The name and version of the package that holds the files of a release: of MODEL@vX.Y.Z the model and vX.Y.Z; a
    package of its own name for tags without an `@`. No two tags have the same."""
    model, at, rest = tag.partition("@")
    return (_escaped(model), _escaped(rest)) if at and rest else ("_releases", _escaped(tag))


def _escaped(text: str) -> str:
    """What GitLab takes as a name and a version: letters, digits, `.`, `-`; all else as `_` and two digits a byte, and
    so the second of two dots."""
    out: list[str] = []
    for c in text:
        plain = c.isascii() and (c.isalnum() or c in ".-") and not (c == "." and (not out or out[-1] == "."))
        out += [c] if plain else [f"_{b:02x}" for b in c.encode()]
    return "".join(out)


def hosted(file: PackageFile) -> HostedAsset:
    """The file as the port tells it."""
    sha = (file.file_sha256 or "").lower()
    return HostedAsset(
        file.file_name, file.size, sha if re.fullmatch(r"[0-9a-f]{64}", sha) else None, str(file.id)
    )
