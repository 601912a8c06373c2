"""Signing the files of a version by an identity, and holding them against such a signature (docs/format.md, 10.13)."""

from __future__ import annotations

from collections.abc import Iterable

from rote.errors import Untrusted
from rote.laws.publishing import statements
from rote.ports.signers import Notary
from rote.words.publication import PublishedFile
from rote.words.signatory import ASK, Signatory
from rote.words.version import VersionFile


class Vouching:
    """Signs and verifies as one signatory."""

    def __init__(self, notary: Notary, signatory: Signatory) -> None:
        self.signatory = signatory
        self._notary = notary

    def sign(self, name: str, files: Iterable[VersionFile], where: str) -> bytes:
        """A bundle: the signature of a version called `name`, made and looked at. Raises Untrusted where whoever signs
        here is another than the signatory, Refused, StoreUnavailable."""
        listed = list(files)
        bundle = self._notary.sign(statements.encoded(name, _digests(listed)))
        self.check(
            bundle,
            name,
            listed,
            where,
            safe="nothing of the version is public",
            next="publish as that identity, or name this one in rote.yaml: models.NAME.identity",
        )
        return bundle

    def check(
        self,
        bundle: bytes | None,
        name: str,
        files: Iterable[VersionFile | PublishedFile],
        where: str,
        *,
        safe: str = "nothing was installed",
        next: str = ASK,
    ) -> None:
        """Raise Untrusted unless `bundle` is a signature by the signatory of the version called `name` with these
        files."""
        if bundle is None:
            raise Untrusted(
                f"{name} is not signed by {self.signatory}: nobody's signature lies there",
                where=where,
                safe=safe,
                next=next,
            )
        try:
            statement = self._notary.opened(bundle, self.signatory, where, safe)
            why = statements.why_not(statements.decoded(statement), name, _digests(files))
        except Untrusted as e:
            e.next = next
            raise
        except ValueError as e:
            why = str(e)
        if why is not None:
            raise Untrusted(
                f"{name} is not what {self.signatory} signed: {why}",
                where=where,
                safe=safe,
                next=next,
            )


def _digests(files: Iterable[VersionFile | PublishedFile]) -> dict[str, str]:
    return {file.path: file.digest for file in files}
