"""What a vendor refuses, told in rote's errors. Nothing else leaves this package, and no secret with it.

A vendor's own text is never shown: it may quote signed addresses, tokens and headers. What is taken from it is the
HTTP status and the vendor's short code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions as vendor

from rote.adapters.stores.cloud.forking import alive
from rote.adapters.stores.locations import Location
from rote.errors import (
    Conflict,
    Corrupt,
    NotFound,
    RoteError,
    StoreError,
    StoreFull,
    StoreUnavailable,
    Unknown,
)

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([A-Za-z][A-Za-z0-9_.]{0,63})\s*</Code>")
_REGION = re.compile(r"<Region>\s*([a-z0-9-]{1,40})\s*</Region>")
_NO_BUCKET = frozenset(["NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "ResourceNotFound"])
_EXPIRED = frozenset(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"])
_UNKNOWN_KEY = frozenset(
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed"]
)
_REGIONS = frozenset(
    ["AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"]
)
_FULL = frozenset(
    ["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "StorageQuotaExceeded"]
)
_BUSY = frozenset(["SlowDown", "ServiceUnavailable", "ServerBusy", "TooManyRequests", "RequestLimitExceeded"])
_CREDENTIALS = re.compile(
    r"169\.254\.169\.254|metadata\.google\.internal|metadata/identity|latest/api/token|sts\.|"
    r"[Cc]redential provider|AssumeRoleWithWebIdentity|oauth2|login\.microsoftonline|az account get-access-token"
)
_HOW = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or type: aws configure",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or type: gcloud auth application-default login",
    "az": "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or type: az login",
    "https": "check that the address is public",
    "http": "check that the address is public",
}


@contextmanager
def told(place: Location, doing: str, key: str, *, write: bool = False) -> Iterator[None]:
    """Translate what a vendor refuses while `doing` (`writing txns/…`). With `write` a lost reply is Unknown. Raises
    StoreUnavailable at once in a process that was forked from one with a connection."""
    alive(place.url)
    try:
        yield
    except RoteError:
        raise
    except (vendor.BaseError, OSError, ValueError) as e:
        raise refusal(e, place, doing, key, write=write) from None


def refusal(e: Exception, place: Location, doing: str, key: str, *, write: bool) -> StoreError:
    """The error of rote's that says what `e` means."""
    text = str(e)
    status, code = _first(_STATUS, text), _first(_CODE, text)
    if status is None and "redirect without LOCATION" in text:
        status = "301"
    elif status is None and "Wanted range starting at" in text:
        status = "416"  # found out on this side
    about = f"{doing}: {' '.join(x for x in (status, code) if x)}" if status or code else doing
    if isinstance(e, vendor.GenericError) and _CREDENTIALS.search(text.partition("Debug source")[0]):
        return final(
            StoreUnavailable(
                f"no credentials were found, or they could not be renewed ({doing})",
                where=place.url,
                safe="nothing was changed",
                next=_HOW[place.scheme],
            )
        )
    refused = _access(place, about, status, code, _first(_REGION, text))
    if refused is not None:
        return refused
    if isinstance(e, FileNotFoundError) or status in ("404", "410"):
        return _nowhere(place, about) if doing.startswith("listing") else NotFound(key, where=place.url)
    if isinstance(e, vendor.AlreadyExistsError | vendor.PreconditionError) or status in ("409", "412"):
        return Conflict(key, where=place.url)
    if status == "416":
        return Corrupt(
            f"the object {key} ends earlier than it should", where=place.url, next="rote store check"
        )
    busy = code in _BUSY or status in ("429", "503")
    early = status is None and "kind: Connect" in text  # before a byte of the request was sent
    trouble = _trouble(place, about, status, busy=busy, early=early)
    return (
        Unknown(key, where=place.url)
        if write and trouble is None
        else trouble
        or StoreUnavailable(
            f"the store did not answer as it should ({about})",
            where=place.url,
            safe=None if write else "nothing was changed",
            next="try again; if it stays so, check the endpoint in the address",
        )
    )


def _nowhere(place: Location, about: str) -> StoreUnavailable:
    """A listing that is not found: the server has no such bucket, or is none for objects at all."""
    return final(
        StoreUnavailable(
            f"the server knows nothing at this address ({about})",
            where=place.url,
            safe="nothing was changed",
            next="check the bucket's name and the endpoint in the address",
        )
    )


def _access(
    place: Location, about: str, status: str | None, code: str | None, region: str | None
) -> StoreError | None:
    """The store is not there, is full, or does not let us in."""
    what = hint = None
    if code in _NO_BUCKET:
        what = f"there is no {'container' if place.scheme == 'az' else 'bucket'} {place.bucket} here"
        hint = "check its name, the account or endpoint, and the region; or create it with the vendor's tools"
    elif code in _FULL or status == "507":
        return StoreFull(
            f"the store takes no more ({about})",
            where=place.url,
            safe="everything committed before is untouched, and nothing half-written counts",
            next="raise the quota or make room, then type the same command again",
        )
    elif code in _EXPIRED:
        what, hint = "the credentials have expired", f"get new ones, then try again: {_HOW[place.scheme]}"
    elif code == "RequestTimeTooSkewed":
        what, hint = (
            "this machine's clock is off by more than the store accepts",
            "set the clock, then try again",
        )
    elif code in _REGIONS or status in ("301", "307"):
        there = f" It is in {region}." if region else ""
        what = f"the bucket {place.bucket} is not in the region that was asked.{there}"
        hint = f"s3://{place.bucket}/{place.prefix}?region={region or 'REGION'}, or set AWS_REGION"
    elif code in _UNKNOWN_KEY or status == "401":
        what, hint = "the store does not accept these credentials", _HOW[place.scheme]
    elif status == "403":
        what = "the credentials are known, but do not allow this"
        hint = "give this user read, write, list and delete in the bucket (docs/stores.md), or use other credentials"
        if place.scheme in ("https", "http"):
            what, hint = "the server does not let everybody read this", _HOW["https"]
    if what is None:
        return None
    return final(
        StoreUnavailable(f"{what} ({about})", where=place.url, safe="nothing was changed", next=hint)
    )


def _trouble(
    place: Location, about: str, status: str | None, *, busy: bool, early: bool
) -> StoreUnavailable | None:
    """Something went wrong before the request was applied. None if it may have been."""
    if busy:
        return StoreUnavailable(
            f"the store asks to slow down ({about})", where=place.url, next="try again in a minute"
        )
    if early:
        unreached = StoreUnavailable(
            f"the store cannot be reached ({about})",
            where=place.url,
            safe="nothing was changed",
            next="check the network, the endpoint in the address, and that it speaks https or http as written",
        )
        unreached.reached = False
        return unreached
    # 501, 505: it will not learn what it does not understand.
    if status in ("501", "505") or (
        status is not None and status.startswith("4") and status not in ("408", "499")
    ):
        return final(
            StoreUnavailable(
                f"the server does not understand this store's requests ({about})",
                where=place.url,
                safe="nothing was changed",
                next="check the endpoint in the address; rote store probe says what this store can do",
            )
        )
    return None


def final(error: StoreUnavailable) -> StoreUnavailable:
    """The same error, saying that waiting does not help."""
    error.retry = False
    return error


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1] if match else None
