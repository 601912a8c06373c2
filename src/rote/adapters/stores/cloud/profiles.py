"""The files in which AWS's own tools keep credentials and settings: `~/.aws/credentials` and `~/.aws/config`."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rote.errors import StoreUnavailable, UsageError
from rote.words.ids import nearest, shown

_ELSEWHERE = ("sso_session", "sso_start_url", "role_arn", "credential_process", "login_session")


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile says. `keys` are arguments for the S3 client; `provider` gives fresh credentials when asked."""

    region: str | None = None
    endpoint: str | None = None
    keys: dict[str, str] = {}
    provider: Callable[[], Any] | None = None

    def __repr__(self) -> str:
        return f"Profile(region={self.region!r})"  # a traceback shows no key


def read(name: str | None, environ: Mapping[str, str]) -> Profile:
    """The profile called `name`, or the one the environment names, or `default`.

    Raises UsageError if a profile that was named is not there; StoreUnavailable if it needs boto3 and that is missing.
    """
    wanted = name or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    config, secrets = _files(environ)
    title = wanted or "default"
    section = "default" if title == "default" else f"profile {title}"
    said = {**_section(config, section), **_section(secrets, title)}
    if not said:
        if wanted is None:
            return Profile()
        known = [s.removeprefix("profile ") for s in (*config.sections(), *secrets.sections())]
        meant = nearest(wanted, known)
        raise UsageError(
            f"there is no AWS profile {shown(wanted)}",
            next=f"did you mean {meant}?" if meant else f"aws configure --profile {wanted}",
        )
    keys = {}
    if "aws_access_key_id" in said and "aws_secret_access_key" in said:
        keys = {
            "access_key_id": said["aws_access_key_id"],
            "secret_access_key": said["aws_secret_access_key"],
        }
        if "aws_session_token" in said:
            keys["token"] = said["aws_session_token"]
    provider = _provider(title) if not keys and any(k in said for k in _ELSEWHERE) else None
    return Profile(region=said.get("region"), endpoint=said.get("endpoint_url"), keys=keys, provider=provider)


def _files(environ: Mapping[str, str]) -> tuple[configparser.RawConfigParser, configparser.RawConfigParser]:
    home = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".aws")
    return (
        _parsed(environ.get("AWS_CONFIG_FILE") or os.path.join(home, "config")),
        _parsed(environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(home, "credentials")),
    )


def _parsed(path: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section="\0")
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError, configparser.Error) as e:
        # The parser's own message quotes the line, and the line may be a key.
        reason = e.strerror if isinstance(e, OSError) else "it is not in the form that AWS's tools write"
        raise UsageError(
            f"cannot read the AWS settings: {reason}", where=path, next="aws configure"
        ) from None
    return parser


def _section(parser: configparser.RawConfigParser, name: str) -> dict[str, str]:
    return dict(parser.items(name)) if parser.has_section(name) else {}


def _provider(profile: str) -> Callable[[], Any]:
    """Single sign-on, roles and credential processes are AWS's own business: boto3 does it, where it is installed."""
    try:
        # only such profiles need boto3, which is no part of rote
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        error = StoreUnavailable(
            f"the AWS profile {shown(profile)} gets its credentials by a role, a process or single sign-on, which "
            "rote leaves to boto3",
            next=f'pip install boto3; or: eval "$(aws configure export-credentials --profile {profile} --format env)"',
        )
        error.retry = False
        raise error from None
    provider: Callable[[], Any] = Boto3CredentialProvider(boto3.Session(profile_name=profile))
    return provider
