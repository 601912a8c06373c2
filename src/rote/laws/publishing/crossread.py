"""What lets a page of another host read a target in a visitor's browser: CORS rules (https://fetch.spec.whatwg.org/#http-cors-protocol).

They concern what everybody may read anyway: a rule gives nobody a right, it tells browsers not to keep the answer from
the page. All rules of a bucket count for the whole of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

ID: Final = "rote-published"
METHODS: Final = ("GET", "HEAD")
ASKED: Final = ("range", "if-none-match", "if-modified-since")
"""Headers of a request that a page may send."""
TOLD: Final = ("ETag", "Content-Length", "Content-Range", "Accept-Ranges")
"""Headers of an answer that a page may see."""
SECONDS: Final = 3600
"""For so long a browser need not ask again."""


def s3_rules() -> str:
    """The rule as the AWS command line takes it."""
    return _json({"CORSRules": [_rule()]})


def r2_rules() -> str:
    """The rule as R2's settings take it."""
    return _json([{key: value for key, value in _rule().items() if key != "ID"}])


def gs_rules() -> str:
    """The rule as gcloud takes it."""
    return _json(
        [
            {
                "origin": ["*"],
                "method": list(METHODS),
                "responseHeader": [*ASKED, *TOLD],
                "maxAgeSeconds": SECONDS,
            }
        ]
    )


def _rule() -> dict[str, object]:
    return {
        "ID": ID,
        "AllowedOrigins": ["*"],
        "AllowedMethods": list(METHODS),
        "AllowedHeaders": list(ASKED),
        "ExposeHeaders": list(TOLD),
        "MaxAgeSeconds": SECONDS,
    }


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
