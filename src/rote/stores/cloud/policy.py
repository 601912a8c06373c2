"""The policy of an S3 bucket: read and replaced with AWS's own signature (version 4), which obstore makes for objects
only. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from rote.errors import Refused, StoreUnavailable, UsageError
from rote.stores.cloud import profiles
from rote.stores.cloud.connecting import endpoint
from rote.stores.locations import Location

_TIMEOUT = 30.0
_MAX = 1 << 20


class BucketPolicy:
    """The policy of the bucket that an address lies in."""

    def __init__(self, place: Location, environ: Mapping[str, str]) -> None:
        """Raises UsageError for an address that is not of S3, and where there are no keys to sign with."""
        if place.scheme != "s3":
            raise UsageError("only buckets of S3 have policies that rote can apply", where=place.url)
        self._place = place
        profile = (
            profiles.read(place.options.get("profile"), environ) if not _by_keys(environ, place) else None
        )
        keys = profile.keys if profile else {}
        self._key = keys.get("access_key_id") or environ.get("AWS_ACCESS_KEY_ID", "")
        self._secret = keys.get("secret_access_key") or environ.get("AWS_SECRET_ACCESS_KEY", "")
        self._token = keys.get("token") if keys else environ.get("AWS_SESSION_TOKEN")
        if not self._key or not self._secret:
            raise UsageError(
                "there are no AWS keys here to sign a bucket's policy with",
                where=place.url,
                next="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or apply what `--public-policy show` prints",
            )
        region = place.options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        self._region = region or (profile.region if profile else None) or "us-east-1"
        server = endpoint(place, environ) or (profile.endpoint if profile else None)
        self._url = (
            f"{server.rstrip('/')}/{place.bucket}"
            if server
            else f"https://s3.{self._region}.amazonaws.com/{place.bucket}"
        )

    def __repr__(self) -> str:
        return f"BucketPolicy({self._place.url})"  # a traceback shows no key

    def get(self) -> dict[str, Any] | None:
        """The bucket's policy, None if it has none. Raises StoreUnavailable."""
        try:
            data = self._ask("GET", b"")
        except _Absent:
            return None
        try:
            found: dict[str, Any] = msgspec.json.decode(data, type=dict)
        except msgspec.DecodeError as e:
            raise StoreUnavailable("the bucket's policy is no policy", where=self._place.url) from e
        return found

    def put(self, policy: Mapping[str, Any]) -> None:
        """Replace it. Raises Refused where public policies are blocked, StoreUnavailable."""
        self._ask("PUT", msgspec.json.encode(dict(policy)))

    def _ask(self, method: str, body: bytes) -> bytes:
        headers = self._signed(method, body)
        request = urllib.request.Request(
            f"{self._url}?policy", data=body or None, method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
                found: bytes = reply.read(_MAX)
                return found
        except urllib.error.HTTPError as e:
            told = e.read(_MAX).decode("utf-8", "replace")
            raise self._refused(e.code, told, method) from None
        except (urllib.error.URLError, OSError) as e:
            raise StoreUnavailable(
                f"the bucket's policy cannot be reached: {e}", where=self._place.url
            ) from e

    def _refused(self, status: int, told: str, method: str) -> Exception:
        if status == 404 and "NoSuchBucketPolicy" in told:
            return _Absent()
        if status == 403 and method == "PUT":
            return Refused(
                "the bucket refused a policy that lets everybody read",
                where=self._place.url,
                safe="nothing was changed",
                next="these keys need s3:PutBucketPolicy, and the bucket must not block public policies: "
                f"aws s3api put-public-access-block --bucket {self._place.bucket} --public-access-block-configuration "
                "BlockPublicPolicy=false,RestrictPublicBuckets=false",
            )
        error = StoreUnavailable(
            f"the server answered {status} to a question about the bucket's policy",
            where=self._place.url,
            safe="nothing was changed",
            next="apply by hand what `--public-policy show` prints",
        )
        error.retry = status >= 500 or status == 429
        return error

    def _signed(self, method: str, body: bytes) -> dict[str, str]:
        now = time.gmtime()
        day, moment = time.strftime("%Y%m%d", now), time.strftime("%Y%m%dT%H%M%SZ", now)
        parts = urlsplit(self._url)
        payload = hashlib.sha256(body).hexdigest()
        headers = {"host": parts.netloc, "x-amz-content-sha256": payload, "x-amz-date": moment}
        if self._token:
            headers["x-amz-security-token"] = self._token
        names = ";".join(sorted(headers))
        listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        asked = "\n".join([method, parts.path, "policy=", listed, names, payload])
        scope = f"{day}/{self._region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(asked.encode()).hexdigest()])
        key = f"AWS4{self._secret}".encode()
        for step in (day, self._region, "s3", "aws4_request"):
            key = hmac.new(key, step.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        if body:
            headers["content-type"] = "application/json"
        del headers["host"]  # urllib sends it
        return headers


class _Absent(Exception):
    """The bucket has no policy."""


def _by_keys(environ: Mapping[str, str], place: Location) -> bool:
    return (
        bool(environ.get("AWS_ACCESS_KEY_ID"))
        and "profile" not in place.options
        and not environ.get("AWS_PROFILE")
    )
