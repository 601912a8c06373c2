"""What makes a target public: nothing more than what is published, and what else is in a policy stays."""

from __future__ import annotations

import pytest

from rote.adapters.stores import locations
from rote.adapters.stores.cloud import corsrules
from rote.adapters.stores.cloud.policy import BucketPolicy
from rote.errors import Corrupt, UsageError
from rote.laws.publishing import crossread
from rote.laws.publishing.publicread import bucket_policy, merged, steps
from rote.laws.publishing.targetnames import TargetName, parsed

MINE = {"Sid": "Mine", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/x/*"}


def test_a_policy_allows_reading_below_the_prefix_and_nothing_else():
    statement = bucket_policy("b", "p/q")
    assert statement["Resource"] == ["arn:aws:s3:::b/p/q/models/*", "arn:aws:s3:::b/p/q/releases/*"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "s3:GetObject")
    assert bucket_policy("b", "")["Resource"] == ["arn:aws:s3:::b/models/*", "arn:aws:s3:::b/releases/*"]
    assert bucket_policy("b", "p")["Sid"] != bucket_policy("b", "q")["Sid"]


def test_what_is_in_a_policy_stays():
    one, two = bucket_policy("b", "p"), bucket_policy("b", "q")
    assert merged(None, one) == {"Version": "2012-10-17", "Statement": [one]}
    both = merged({"Version": "2012-10-17", "Id": "x", "Statement": MINE}, one)
    assert both == {"Version": "2012-10-17", "Id": "x", "Statement": [MINE, one]}
    assert merged(both, one) is None
    assert merged(both, two)["Statement"] == [MINE, one, two]
    as_a_server_tells = {
        **one,
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": one["Resource"][::-1],
    }
    assert merged({"Statement": [MINE, as_a_server_tells]}, one) is None
    denied = {**one, "Effect": "Deny"}
    assert merged({"Version": "2012-10-17", "Statement": [denied]}, one)["Statement"] == [one]


@pytest.mark.parametrize(
    ("scheme", "endpoint", "word"),
    [("gs", None, "gcloud storage buckets"), ("az", None, "az storage container"), ("file", None, "web server"),
     ("s3", "https://id.r2.cloudflarestorage.com", "R2"), ("webdav", None, "settings of that service"),
     ("s3", None, "s3:GetObject")],
)  # fmt: skip
def test_every_kind_of_target_has_its_way(scheme, endpoint, word):
    assert word in " ".join(steps("x", scheme, bucket="b", prefix="p", endpoint=endpoint, account="me").steps)


@pytest.mark.parametrize(
    ("scheme", "endpoint", "word"),
    [("gs", None, "--cors-file=cors.json"), ("az", None, "az storage cors add"), ("file", None, "Access-Control-Allow-Origin"),
     ("s3", "https://id.r2.cloudflarestorage.com", '"AllowedOrigins"'), ("s3", None, "aws s3api put-bucket-cors")],
)  # fmt: skip
def test_every_kind_of_target_says_what_pages_of_other_hosts_need(scheme, endpoint, word):
    assert word in " ".join(steps("x", scheme, bucket="b", prefix="p", endpoint=endpoint, account="me").steps)


def test_the_rules_of_a_bucket_stay():
    """As servers give them: with a namespace or without, with a declaration, with values in another order."""
    fresh = corsrules.merged(None, "here")
    assert b"<AllowedOrigin>*</AllowedOrigin>" in fresh
    assert b"PUT" not in fresh
    assert corsrules.merged(fresh, "here") is None
    theirs = (
        b'<?xml version="1.0" encoding="UTF-8"?><CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<CORSRule><AllowedOrigin>https://mine.example.org</AllowedOrigin><AllowedMethod>PUT</AllowedMethod></CORSRule>"
        b"</CORSConfiguration>"
    )
    both = corsrules.merged(theirs, "here")
    assert both.index(b"mine.example.org") < both.index(crossread.ID.encode())
    assert corsrules.merged(both, "here") is None
    assert corsrules.merged(both.replace(b"GET", b"get").replace(b' xmlns="', b' x="'), "here") is None
    older = both.replace(b"3600", b"60")
    assert corsrules.merged(older, "here") == both


@pytest.mark.parametrize(
    "rules",
    [b"", b"no xml", b"<Error/>", '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
     b'<!DOCTYPE a [<!ENTITY b "c">]><CORSConfiguration/>'],
    ids=["empty", "text", "error", "utf-16", "entities"],
)  # fmt: skip
def test_what_are_no_rules_is_not_replaced(rules):
    with pytest.raises(Corrupt, match="no rules"):
        corsrules.merged(rules, "here")


def test_only_s3_and_only_with_keys():
    with pytest.raises(UsageError):
        BucketPolicy(locations.parse("gs://b/p"), {})
    with pytest.raises(UsageError) as caught:
        BucketPolicy(locations.parse("s3://b/p"), {"HOME": "/nowhere"})
    assert "--public-policy show" in (caught.value.next or "")
    held = BucketPolicy(
        locations.parse("s3://b/p"), {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}
    )
    assert "secret" not in repr(held)
    assert "AKIA" not in repr(held)


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [("site", "store", "site"), ("./a:b", "store", "./a:b"), ("/srv/x", "store", "/srv/x"), ("s3://b/p", "store", "s3://b/p"),
     ("github:o/r", "github", "o/r"), ("GitHub:o/r", "github", "o/r"), ("hf:o/r", "hf", "o/r"),
     ("github:https://ghe.example.org/o/r", "github", "https://ghe.example.org/o/r"), ("file:///srv/x", "store", "file:///srv/x")],
)  # fmt: skip
def test_addresses(text, kind, rest):
    assert parsed(text) == TargetName(kind, rest)


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "foo:bar", "hf:x", "hf:../..", "hf:a/b/c", "s3:bucket"])
def test_what_is_no_address(text):
    with pytest.raises(UsageError):
        parsed(text)
