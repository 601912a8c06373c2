"""The settings of an S3 bucket (its policy, its CORS rules): read and replaced with AWS's own signature (version 4),
which obstore makes for objects only.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

from rote.adapters.stores.cloud import profiles
from rote.adapters.stores.cloud.connecting import endpoint
from rote.adapters.stores.locations import Location
from rote.errors import StoreUnavailable, UsageError

_TIMEOUT = 30.0
_MAX = 1 << 20


class Answered(Exception):
    """The server said no: its status, and what it told."""

    def __init__(self, status: int, told: str) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.told = told


class BucketSettings:
    """The settings of the bucket that an address lies in."""

    def __init__(self, place: Location, environ: Mapping[str, str]) -> None:
        """Raises UsageError for an address that is not of S3, and where there are no keys to sign with."""
        if place.scheme != "s3":
            raise UsageError("only buckets of S3 have settings that rote can apply", where=place.url)
        self.place = place
        profile = (
            profiles.read(place.options.get("profile"), environ) if not _by_keys(environ, place) else None
        )
        keys = profile.keys if profile else {}
        self._key = keys.get("access_key_id") or environ.get("AWS_ACCESS_KEY_ID", "")
        self._secret = keys.get("secret_access_key") or environ.get("AWS_SECRET_ACCESS_KEY", "")
        self._token = keys.get("token") if keys else environ.get("AWS_SESSION_TOKEN")
        if not self._key or not self._secret:
            raise UsageError(
                "there are no AWS keys here to sign a bucket's settings with",
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
        return f"BucketSettings({self.place.url})"  # a traceback shows no key

    def ask(self, method: str, what: str, body: bytes = b"") -> bytes:
        """GET or PUT a setting (`policy`, `cors`). Raises Answered, StoreUnavailable."""
        headers = self._signed(method, what, body)
        request = urllib.request.Request(
            f"{self._url}?{what}", data=body or None, method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
                found: bytes = reply.read(_MAX)
                return found
        except urllib.error.HTTPError as e:
            raise Answered(e.code, e.read(_MAX).decode("utf-8", "replace")) from None
        except (urllib.error.URLError, OSError) as e:
            raise StoreUnavailable(
                f"the bucket's settings cannot be reached: {e}", where=self.place.url
            ) from e

    def unknown(self, answered: Answered, what: str) -> StoreUnavailable:
        """An answer that says nothing of the setting."""
        error = StoreUnavailable(
            f"the server answered {answered.status} to a question about {what}",
            where=self.place.url,
            safe="nothing was changed",
            next="apply by hand what `--public-policy show` prints",
        )
        error.retry = answered.status >= 500 or answered.status == 429
        return error

    def _signed(self, method: str, what: str, body: bytes) -> dict[str, str]:
        now = time.gmtime()
        day, moment = time.strftime("%Y%m%d", now), time.strftime("%Y%m%dT%H%M%SZ", now)
        parts = urlsplit(self._url)
        payload = hashlib.sha256(body).hexdigest()
        headers = {"host": parts.netloc, "x-amz-content-sha256": payload, "x-amz-date": moment}
        if self._token:
            headers["x-amz-security-token"] = self._token
        names = ";".join(sorted(headers))
        listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        asked = "\n".join([method, parts.path, f"{what}=", listed, names, payload])
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
            headers["content-type"] = "application/octet-stream"  # or urllib calls it a form
            headers["content-md5"] = b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(
                "ascii"
            )
        del headers["host"]  # urllib sends it
        return headers


def _by_keys(environ: Mapping[str, str], place: Location) -> bool:
    return (
        bool(environ.get("AWS_ACCESS_KEY_ID"))
        and "profile" not in place.options
        and not environ.get("AWS_PROFILE")
    )
