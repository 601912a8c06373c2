"""The CORS rules of an S3 bucket: which pages of other hosts may read it."""

from __future__ import annotations

from collections.abc import Mapping

from rote.adapters.stores.cloud.settings import Answered, BucketSettings
from rote.adapters.stores.locations import Location
from rote.errors import Refused, Unsupported

_NONE = (405, 501)
"""What servers answer that have no such rules."""


class BucketCors:
    """The rules of the bucket that an address lies in, as XML."""

    def __init__(self, place: Location, environ: Mapping[str, str]) -> None:
        """Raises UsageError for an address that is not of S3, and where there are no keys to sign with."""
        self._settings = BucketSettings(place, environ)
        self._place = place

    def __repr__(self) -> str:
        return f"BucketCors({self._place.url})"  # a traceback shows no key

    def get(self) -> bytes | None:
        """The rules, None if there are none. Raises Refused, Unsupported where a server has none, StoreUnavailable."""
        try:
            return self._settings.ask("GET", "cors")
        except Answered as e:
            if e.status == 404 and "NoSuchCORSConfiguration" in e.told:
                return None
            raise self._wrong(e, "s3:GetBucketCORS") from None

    def put(self, rules: bytes) -> None:
        """Replace them. Raises as `get`."""
        try:
            self._settings.ask("PUT", "cors", rules)
        except Answered as e:
            raise self._wrong(e, "s3:PutBucketCORS") from None

    def _wrong(self, answered: Answered, permission: str) -> Exception:
        if answered.status in _NONE:
            return Unsupported("this server keeps no CORS rules", where=self._place.url)
        if answered.status == 403:
            return Refused(
                "these keys may not change which pages of other hosts read the bucket",
                where=self._place.url,
                safe="the bucket's CORS rules are as they were",
                next=f"they need {permission}; or apply by hand what `--public-policy show` prints",
            )
        return self._settings.unknown(answered, "the bucket's CORS rules")
