from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rote.laws.pipeline.redaction import MASK, redact, redact_values, says_secret, secret_values, secrets_in


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://bob:hunter22@host/x", "git clone https://bob:***@host/x"),
        ("postgres://u:p@ss@h/db", "postgres://u:***@h/db"),
        ("https://tok123@host/x", "https://***@host/x"),
        ("https://h/x?a=1&token=abc&b=2", "https://h/x?a=1&token=***&b=2"),
        ("https://h/x?X-Amz-Signature=abc&b=1", "https://h/x?X-Amz-Signature=***&b=1"),
        ("train --password hunter2 --epochs 3", "train --password *** --epochs 3"),
        ("train --db-password='a b' x", "train --db-password=*** x"),
        ("train --API-KEY \"a b\"", "train --API-KEY ***"),
        ("AWS_SECRET_ACCESS_KEY=abcd/1234+x run", "AWS_SECRET_ACCESS_KEY=*** run"),
        ("key AKIAIOSFODNN7EXAMPLE.", "key ***."),
        ("ghp_" + "a1" * 18, MASK),
        ("github_pat_" + "a1" * 30, MASK),
        ("glpat-" + "a1" * 10, MASK),
        ("hf_" + "a1" * 15, MASK),
        ("{\"password\": \"hunter2\"}", "{\"password\": \"***\"}"),
        ("+  db_password = 'hunter2'", "+  db_password = '***'"),
        ("password: hunter22x", "password: ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
        ("-----BEGIN PRIVATE KEY-----\ncut", MASK),
    ],
)  # fmt: skip
def test_what_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@host/x",
        "git@host:a/b.git",
        "rote run --n-tokens 5 -S train.max_tokens=512",
        "def login(password: str, token: int = 5) -> None:",
        "+    api_key = os.environ['API']",
        "tokenizer=bert-base-uncased",
        "export TOKEN=$OTHER",
        "metrics.accuracy > 0.9",
        "password",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_values_of_the_environment() -> None:
    env = {
        "GITHUB_TOKEN": "tokenvalue", "DB_PASSWORD": "pass", "HOME": "/home/x", "PWD": "/home/x", "API_KEY": "longer-tokenvalue",
        "TOKENIZERS_PARALLELISM": "false-false",
    }  # fmt: skip
    secrets = secret_values(env)
    assert secrets == ("longer-tokenvalue", "tokenvalue")
    assert secret_values({"DB_URL": "postgres://u:hunter22@h/x", "WEB": "https://h/x@y"}) == ("hunter22",)
    assert redact("a longer-tokenvalue b tokenvalue in /home/x", secrets) == f"a {MASK} b {MASK} in /home/x"


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "dbPassword", "api_key", "MYSECRET"]
)
def test_names_that_say_secret(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize(
    "name", ["PWD", "OLDPWD", "max_tokens", "TOKENIZERS_PARALLELISM", "AWS_ACCESS_KEY_ID", "secretary", "lr"]
)
def test_names_that_do_not(name: str) -> None:
    assert not says_secret(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("python a.py --password hunter22 --lr 0.1", {"hunter22"}),
        ("curl -H 'Authorization: Bearer abcdefgh12345678' https://me:hunter22@host/x", {"abcdefgh12345678", "hunter22"}),
        ("TOKEN='a b c d e' run", {"a b c d e"}),
        ("python train.py --tokens 50", set()),
        ("run --password x", set()),
    ],
)  # fmt: skip
def test_secrets_of_a_command(text: str, found: set[str]) -> None:
    assert secrets_in(text) == found


def test_decoded_values() -> None:
    given = {
        "db": {"password": "x", "port": 5},
        "secret": {"deep": ["y"]},
        "url": "https://a:b@c",
        "n": None,
        "lr": 0.5,
    }
    assert redact_values(given) == {
        "db": {"password": MASK, "port": 5},
        "secret": {"deep": [MASK]},
        "url": f"https://a:{MASK}@c",
        "n": None,
        "lr": 0.5,
    }


pieces = st.sampled_from(
    [
        "password",
        "token",
        "=",
        ": ",
        "'",
        '"',
        "--",
        " ",
        "\n",
        "https://",
        "a:b@c",
        "x1y2z3",
        "_",
        "-",
        "AKIA",
        "?",
        "&",
        "***",
        "ü",
    ]
)


@given(st.lists(pieces, max_size=30).map("".join))
def test_masking_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(max_size=50), st.text("abcdef123", min_size=6, max_size=12), st.text(max_size=50))
def test_a_known_secret_is_never_left(before: str, secret: str, after: str) -> None:
    assert secret not in redact(before + secret + after, [secret])


@pytest.mark.parametrize(
    "piece",
    ["a_", "x", "password", "https://", "-", "token.", "a:", "'", "? ", "-----BEGIN PRIVATE KEY-----", "eyJ"],
)
def test_a_long_text_of_any_kind_takes_time_in_proportion(piece: str) -> None:
    # the test's own limit of minutes catches a pattern whose cost explodes: these would take hours
    text = piece * (250_000 // len(piece))
    assert isinstance(redact(text), str)
