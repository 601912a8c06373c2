"""What makes the objects of a target readable by everybody, and nothing else of its bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

SID = "RotePublished"
"""How the statement in a bucket's policy is called; another prefix gets another one."""


class PublicRead(msgspec.Struct, frozen=True):
    """What is to be done for one target: a `statement` for the bucket's policy where there are policies, and `steps` in
    words and commands."""

    target: str
    steps: list[str]
    statement: dict[str, Any] | None = None


def bucket_policy(bucket: str, prefix: str) -> dict[str, Any]:
    """The statement of an S3 bucket's policy by which everybody may read (not list) the objects below `prefix`."""
    below = f"{prefix}/models/*" if prefix else "models/*"
    return {
        "Sid": SID + "".join(c for c in prefix.title() if c.isalnum()),
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/{below}",
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
        and all(_listed(one.get(key)) == _listed(other.get(key)) for key in keys)
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
                 f"let applications read https://THAT-ADDRESS/{prefix}".rstrip("/")],
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
                ],
                statement,
            )
        case "gs":
            return PublicRead(
                target,
                ["everybody may read every object of the bucket then, so that it should be one of its own:",
                 f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=allUsers "
                 "--role=roles/storage.legacyObjectReader"],
            )  # fmt: skip
        case "az":
            named = f" --account-name {account}" if account else ""
            return PublicRead(
                target,
                ["everybody may read every blob of the container then, so that it should be one of its own:",
                 f"az storage container set-permission --name {bucket} --public-access blob{named}"],
            )  # fmt: skip
        case "file":
            return PublicRead(
                target,
                ["the files are readable for everybody who reaches the folder: let a web server serve it"],
            )
    return PublicRead(target, [f"what is at {scheme}:// is shared by the settings of that service"])
