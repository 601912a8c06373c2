"""What makes what a target holds readable by everybody, and by pages of other hosts, and nothing else of its bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rote.laws.publishing import crossread

SID = "RotePublished"
"""How the statement in a bucket's policy is called; another prefix gets another one."""


PAGES = "for pages of other hosts, which browsers keep from reading it (CORS):"


class PublicRead(msgspec.Struct, frozen=True):
    """What is to be done for one target: a `statement` for the bucket's policy where there are policies, and `steps` in
    words and commands."""

    target: str
    steps: list[str]
    statement: dict[str, Any] | None = None


def bucket_policy(bucket: str, prefix: str) -> dict[str, Any]:
    """The statement of an S3 bucket's policy by which everybody may read, not list, what is published there."""
    at = f"arn:aws:s3:::{bucket}/{prefix}/" if prefix else f"arn:aws:s3:::{bucket}/"
    return {
        "Sid": SID + "".join(c for c in prefix.title() if c.isalnum()),
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": [f"{at}models/*", f"{at}releases/*"],
    }


def merged(policy: Mapping[str, Any] | None, statement: Mapping[str, Any]) -> dict[str, Any] | None:
    """A bucket's policy with this statement in it, all others kept; None if it says that already."""
    found = dict(policy or {"Version": "2012-10-17"})
    statements = found.get("Statement") or []
    kept = list(statements) if isinstance(statements, list) else [statements]
    if any(_same(each, statement) for each in kept):
        return None
    kept = [each for each in kept if each.get("Sid") != statement["Sid"]]
    found["Statement"] = [*kept, dict(statement)]
    return found


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    keys = ("Effect", "Action", "Resource")
    return (
        one.keys() == other.keys()
        and all(sorted(_listed(one.get(key))) == sorted(_listed(other.get(key))) for key in keys)
        and one.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def steps(
    target: str,
    scheme: str,
    *,
    bucket: str = "",
    prefix: str = "",
    endpoint: str | None = None,
    account: str | None = None,
) -> PublicRead:
    """What to do for a target. `scheme` is that of its address, `file` for a folder."""
    match scheme:
        case "s3" if endpoint and "r2.cloudflarestorage.com" in endpoint:
            return PublicRead(
                target,
                [f"R2 has no bucket policies: give the bucket {bucket} a public address (Settings, Public access), and "
                 f"let applications read https://THAT-ADDRESS/{prefix}".rstrip("/"),
                 f"{PAGES} put this there under Settings, CORS policy:", crossread.r2_rules()],
            )  # fmt: skip
        case "s3":
            statement = bucket_policy(bucket, prefix)
            text = msgspec.json.format(
                msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement]}), indent=2
            )
            server = f" --endpoint-url {endpoint}" if endpoint else ""
            return PublicRead(
                target,
                [
                    "a bucket policy by which everybody may read what is published, and list nothing:",
                    text.decode(),
                    "`--public-policy apply` adds it to the bucket's policy; by hand, if the bucket has none yet:",
                    f"aws s3api put-bucket-policy --bucket {bucket} --policy file://policy.json{server}",
                    f"{PAGES} this rule:",
                    crossread.s3_rules(),
                    "`--public-policy apply` adds it behind those that the bucket has; by hand, if it has none yet:",
                    f"aws s3api put-bucket-cors --bucket {bucket} --cors-configuration file://cors.json{server}",
                ],
                statement,
            )
        case "gs":
            return PublicRead(
                target,
                ["everybody may read every object of the bucket then, so that it should be one of its own:",
                 f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=allUsers "
                 "--role=roles/storage.legacyObjectReader",
                 f"{PAGES} this in cors.json, which takes the place of the bucket's rules:", crossread.gs_rules(),
                 f"gcloud storage buckets update gs://{bucket} --cors-file=cors.json"],
            )  # fmt: skip
        case "az":
            named = f" --account-name {account}" if account else ""
            return PublicRead(
                target,
                ["everybody may read every blob of the container then, so that it should be one of its own:",
                 f"az storage container set-permission --name {bucket} --public-access blob{named}",
                 f"{PAGES} this, which counts for all containers of the account:",
                 f"az storage cors add --services b --methods {' '.join(crossread.METHODS)} --origins '*' "
                 f"--allowed-headers {','.join(crossread.ASKED)} --exposed-headers {','.join(crossread.TOLD)} "
                 f"--max-age {crossread.SECONDS}{named}"],
            )  # fmt: skip
        case "file":
            return PublicRead(
                target,
                [
                    "the files are readable for everybody who reaches the folder: let a web server serve it",
                    f"{PAGES} a header that the server adds, in nginx: add_header Access-Control-Allow-Origin *;",
                ],
            )
    return PublicRead(target, [f"what is at {scheme}:// is shared by the settings of that service"])


def hosted(target: str, hub: bool) -> PublicRead:
    """The same of the releases of a forge, or of a model repository at the Hub."""
    pages = (
        "pages of other hosts may read what is public at the Hub"
        if hub
        else "pages of other hosts cannot read it, for forges send no CORS headers with files: publish to a bucket, too"
    )
    return PublicRead(target, ["who may read it is who may read its repository", pages])
