"""What a forge answers, and what is said of it when that is not what was hoped for."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from rote.adapters.forges.tokens import Token
from rote.adapters.forges.wire import Cut
from rote.errors import Refused, RoteError, StoreUnavailable
from rote.laws.pipeline.redaction import redact
from rote.words.ids import shown

BUSY = frozenset([408, 425, 429, 500, 502, 503, 504])
"""Statuses of a server that may well do the same a moment later."""
SAFE = "what was published or fetched before is as it was"


class Answer(msgspec.Struct, frozen=True):
    """An answer that was read whole."""

    status: int
    data: bytes
    headers: Mapping[str, str]

    def header(self, name: str) -> str:
        """A header's value, or nothing."""
        return self.headers.get(name.lower(), "")


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """A forge, and how its troubles are told."""

    name: str
    where: str
    """The repository, as it is shown."""
    missing: str
    """How to come by a token."""
    scope: str
    """What a token must be allowed to do."""
    token: Token | None = None

    def looped(self) -> Refused:
        """It leads on and on."""
        return Refused(f"{self.name} leads from one address to the next without end", where=self.where)

    def unreachable(self, e: Cut) -> StoreUnavailable:
        """The connection failed."""
        if e.trust:
            error = StoreUnavailable(
                f"{self.name} cannot prove who it is: {e.why}",
                where=self.where,
                safe="no token was sent",
                next="SSL_CERT_FILE names the certificates of a server of your own",
            )
            error.retry = False
            return error
        error = StoreUnavailable(
            f"the connection to {self.name} failed: {e.why}",
            where=self.where,
            safe=SAFE,
            next="check the network, then type the same again: it goes on where it was",
        )
        error.reached = e.known
        return error

    def busy(self, status: int, limited: float | None) -> StoreUnavailable:
        """The forge does not want to serve now."""
        if limited is None:
            return StoreUnavailable(
                f"{self.name} is in trouble or busy ({status})",
                where=self.where,
                safe=SAFE,
                next="try again in a minute: it goes on where it was",
            )
        minutes = max(1, round(limited / 60))
        token = "" if self.token else f"; with a token the limit is far higher: {self.missing}"
        error = StoreUnavailable(
            f"{self.name}'s limit of requests is used up for {minutes} more minute{'s'[: minutes > 1]} "
            f"({status})",
            where=self.where,
            safe=SAFE,
            next=f"the same again after that goes on where it was{token}",
        )
        error.retry_after = limited
        return error

    def need_token(self) -> None:
        """Raises Refused if there is no token to write with."""
        if self.token is None:
            raise Refused(
                f"publishing at {self.name} needs a token", where=self.where, safe=SAFE, next=self.missing
            )

    def refused(self, answer: Answer) -> RoteError:
        """What an answer means that is not what was hoped for."""
        name, where = self.name, self.where
        told = self.words(answer)
        if answer.status == 401:
            source = f"the token (from {self.token.source})" if self.token else "a request without a token"
            return Refused(
                f"{name} does not accept {source}: it is wrong, expired or revoked ({answer.status}){told}",
                where=where,
                safe=SAFE,
                next=self.missing,
            )
        if answer.status in (403, 404):
            if self.token is None:
                return Refused(
                    f"{name} knows no such repository, or it is private ({answer.status}){told}",
                    where=where,
                    safe=SAFE,
                    next=f"check how it is spelled; for a private one: {self.missing}",
                )
            doubt = "" if answer.status == 403 else "knows no such repository, or "
            source = f"the token (from {self.token.source}) may not {'do' if answer.status == 403 else 'see'}"
            return Refused(
                f"{name}{' says:' if not doubt else ''} {doubt}{source} {'this' if not doubt else 'it'} "
                f"({answer.status}){told}",
                where=where,
                safe=SAFE,
                next=f"{'check how it is spelled; ' if doubt else ''}the token needs {self.scope}",
            )
        if answer.status in BUSY:
            return self.busy(answer.status, None)
        return Refused(
            f"{name} refuses ({answer.status}){told}",
            where=where,
            safe=SAFE,
            next="what it says tells what to change; then the same again",
        )

    def words(self, answer: Answer) -> str:
        """What the forge itself says, fit to be shown: `: '…'`, or nothing."""
        try:
            told = msgspec.json.decode(answer.data[:65536])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""
        if not isinstance(told, dict):
            return ""
        said = told.get("message", told.get("error"))
        text = said if isinstance(said, str) else json.dumps(said) if said else ""
        errors = told.get("errors")
        for error in errors[:5] if isinstance(errors, list) else []:
            if isinstance(error, dict):
                text += " " + " ".join(str(error[k]) for k in ("field", "code", "message") if k in error)
            elif isinstance(error, str):
                text += " " + error
        secrets = [self.token.secret] if self.token else []
        return f": {shown(redact(text, secrets), 300)}" if text.strip() else ""
