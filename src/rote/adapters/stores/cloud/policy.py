"""The policy of an S3 bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rote.adapters.stores.cloud.settings import Answered, BucketSettings
from rote.adapters.stores.locations import Location
from rote.errors import Refused, StoreUnavailable


class BucketPolicy:
    """The policy of the bucket that an address lies in."""

    def __init__(self, place: Location, environ: Mapping[str, str]) -> None:
        """Raises UsageError for an address that is not of S3, and where there are no keys to sign with."""
        self._settings = BucketSettings(place, environ)
        self._place = place

    def __repr__(self) -> str:
        return f"BucketPolicy({self._place.url})"  # a traceback shows no key

    def get(self) -> dict[str, Any] | None:
        """The bucket's policy, None if it has none. Raises StoreUnavailable."""
        try:
            data = self._settings.ask("GET", "policy")
        except Answered as e:
            if e.status == 404 and "NoSuchBucketPolicy" in e.told:
                return None
            raise self._settings.unknown(e, "the bucket's policy") from None
        try:
            found: dict[str, Any] = msgspec.json.decode(data, type=dict)
        except msgspec.DecodeError as e:
            raise StoreUnavailable("the bucket's policy is no policy", where=self._place.url) from e
        return found

    def put(self, policy: Mapping[str, Any]) -> None:
        """Replace it. Raises Refused where public policies are blocked, StoreUnavailable."""
        try:
            self._settings.ask("PUT", "policy", msgspec.json.encode(dict(policy)))
        except Answered as e:
            if e.status != 403:
                raise self._settings.unknown(e, "the bucket's policy") from None
            raise Refused(
                "the bucket refused a policy that lets everybody read",
                where=self._place.url,
                safe="nothing was changed",
                next="these keys need s3:PutBucketPolicy, and the bucket must not block public policies: "
                f"aws s3api put-public-access-block --bucket {self._place.bucket} --public-access-block-configuration "
                "BlockPublicPolicy=false,RestrictPublicBuckets=false",
            ) from None
