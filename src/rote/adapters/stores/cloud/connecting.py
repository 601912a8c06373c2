"""From a location to a vendor's client: settings, credentials and time limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from rote.adapters.stores.cloud import profiles
from rote.adapters.stores.locations import Location
from rote.errors import UsageError

Backend: TypeAlias = S3Store | GCSStore | AzureStore | HTTPStore
Connect: TypeAlias = Callable[[Mapping[str, str]], Backend]
"""Headers to send with every request -> a client."""

CONNECT_TIMEOUT = timedelta(seconds=10)
READ_TIMEOUT = timedelta(seconds=60)
"""How long a server may say nothing."""
TIMEOUT = timedelta(minutes=10)
"""For one request in all: a pack of 32 MiB needs no more than 0.5 Mbit/s."""


def connector(place: Location, environ: Mapping[str, str]) -> Connect:
    """Clients for a location. Raises UsageError (a profile or a setting that cannot be meant), StoreUnavailable."""
    make = {"s3": _s3, "gs": _gs, "az": _az, "https": _https, "http": _https}[place.scheme](place, environ)

    def connect(headers: Mapping[str, str]) -> Backend:
        # Trying again is decided in one place for all stores, so that nothing is tried ten times ten times.
        rest: dict[str, Any] = {
            "client_options": _client(environ, place, headers),
            "retry_config": {"max_retries": 0},
        }
        try:
            return make(rest)
        except ValueError as e:
            # The vendor's text may quote what it did not understand.
            raise UsageError("this address cannot be used", where=place.url, next="see docs/stores.md") from (
                e if place.scheme in ("https", "http") else None
            )

    return connect


def endpoint(place: Location, environ: Mapping[str, str]) -> str | None:
    """The server that is asked, where it is not the vendor's own."""
    said = place.options.get("endpoint")
    if said is None and place.scheme == "s3":
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
            said = said or environ.get(name)
    return said


def _client(environ: Mapping[str, str], place: Location, headers: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "timeout": TIMEOUT,
        "user_agent": "rote",
        "allow_http": place.scheme == "http" or (endpoint(place, environ) or "").startswith("http://"),
    }
    if headers:
        options["default_headers"] = dict(headers)
    bundle = environ.get("AWS_CA_BUNDLE") or environ.get("SSL_CERT_FILE")
    if bundle:
        try:
            with open(bundle, "rb") as file:
                options["root_certificate"] = file.read()
        except OSError as e:
            raise UsageError(
                f"cannot read the certificates that AWS_CA_BUNDLE or SSL_CERT_FILE names: {e.strerror}",
                where=bundle,
            ) from e
    return options


def _s3(place: Location, environ: Mapping[str, str]) -> Callable[[dict[str, Any]], Backend]:
    options = place.options
    config: dict[str, Any] = {"disable_bulk_delete": True}
    if place.switch("unsigned"):
        profile, config["skip_signature"] = profiles.Profile(), True
    elif "profile" in options or not _by_environment(environ):
        profile = profiles.read(options.get("profile"), environ)
        config.update(profile.keys)
    else:
        profile = profiles.Profile()
        given = {
            a: environ.get(f"AWS_{a.upper()}")
            for a in ("access_key_id", "secret_access_key", "session_token")
        }
        config.update({a: value for a, value in given.items() if value})
    server = endpoint(place, environ) or profile.endpoint
    if server:
        config["endpoint"] = server.rstrip("/")
    region = options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    config["region"] = region or profile.region or "us-east-1"
    path_style = place.switch("path-style")
    config["virtual_hosted_style_request"] = not (bool(server) if path_style is None else path_style)
    if server and config["virtual_hosted_style_request"]:
        scheme, _, host = server.rstrip("/").partition("://")
        config["endpoint"] = f"{scheme}://{place.bucket}.{host}"
    if profile.provider is not None:
        config["credential_provider"] = profile.provider
    return lambda rest: S3Store(place.bucket, prefix=place.prefix or None, **config, **rest)


def _by_environment(environ: Mapping[str, str]) -> bool:
    """Whether the environment gives credentials: keys, OIDC of a CI, or a container's role."""
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    return not environ.get("AWS_PROFILE") and any(environ.get(n) for n in names)


def _gs(place: Location, environ: Mapping[str, str]) -> Callable[[dict[str, Any]], Backend]:
    config: dict[str, Any] = {}
    if "endpoint" in place.options:
        config["base_url"] = place.options["endpoint"]
    if place.switch("unsigned"):
        config["skip_signature"] = True
    return lambda rest: GCSStore(place.bucket, prefix=place.prefix or None, **config, **rest)


def _az(place: Location, environ: Mapping[str, str]) -> Callable[[dict[str, Any]], Backend]:
    config: dict[str, Any] = {}
    for option, argument in (("account", "account_name"), ("endpoint", "endpoint")):
        if option in place.options:
            config[argument] = place.options[option]
    if "account_name" not in config and not environ.get("AZURE_STORAGE_ACCOUNT_NAME"):
        raise UsageError(
            "the Azure storage account is not named",
            where=place.url,
            next=f"az://{place.bucket}/{place.prefix}?account=NAME, or set AZURE_STORAGE_ACCOUNT_NAME",
        )
    if place.switch("unsigned"):
        config["skip_signature"] = True
    return lambda rest: AzureStore(place.bucket, prefix=place.prefix or None, **config, **rest)


def _https(place: Location, environ: Mapping[str, str]) -> Callable[[dict[str, Any]], Backend]:
    base = f"{place.scheme}://{place.bucket}/{place.prefix}"
    return lambda rest: HTTPStore(base, **rest)
