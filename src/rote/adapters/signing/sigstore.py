"""A notary at a Sigstore instance: it signs as whoever an issuer vouches for, with keys that nobody keeps."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from rote.errors import ConfigError, MissingExtra, Refused, RoteError, StoreUnavailable, Untrusted
from rote.laws.publishing.statements import MAX_BUNDLE
from rote.words.ids import shown
from rote.words.signatory import ASK, Signatory

if TYPE_CHECKING:
    from sigstore.models import ClientTrustConfig, TrustedRoot
    from sigstore.oidc import IdentityToken

# In-function imports below have one reason: `sigstore` is an extra, and takes half a second to load.

TOKEN: Final = "SIGSTORE_ID_TOKEN"
_SECONDS: Final = 120.0
_TOKENS: Final = (
    "in a job of GitHub Actions `permissions: {id-token: write}`, in one of GitLab `id_tokens: {SIGSTORE_ID_TOKEN: "
    f"{{aud: sigstore}}}}`; elsewhere export {TOKEN}=$(sigstore get-identity-token)"
)
_ROOT: Final = "application/vnd.dev.sigstore.trustedroot"
_T = TypeVar("_T")


class Sigstore:
    """A signers.Notary. Safe to share between threads."""

    def __init__(self, trust: str, environ: Mapping[str, str], *, seconds: float = _SECONDS) -> None:
        """`trust` is the path of a trust root or a client trust configuration; empty: the public instance, whose trust
        root is brought up to date by its own update framework. An instance that does not answer within `seconds` is
        left alone. Raises MissingExtra."""
        if not is_installed():
            raise MissingExtra(
                "signatures by an identity need the package sigstore", next='pip install "rote[sigstore]"'
            )
        self._trust = trust
        self._environ = environ
        self._seconds = seconds

    def sign(self, statement: bytes) -> bytes:
        """See signers.Notary."""
        from sigstore.dsse import Statement  # see above
        from sigstore.sign import SigningContext

        token = self._token()

        def work() -> bytes:
            context = SigningContext.from_trust_config(self._config())
            with context.signer(token) as signer:
                return signer.sign_dsse(Statement(statement)).to_json().encode()

        with _translated("nothing was signed", self._where):
            return _in_time(work, self._seconds, self._where)

    def opened(self, bundle: bytes, signatory: Signatory, where: str, safe: str) -> bytes:
        """See signers.Notary."""
        from sigstore.models import Bundle  # see above
        from sigstore.verify import Verifier, policy

        if len(bundle) > MAX_BUNDLE:
            raise _untrusted(f"it has {len(bundle):,} bytes, more than any has", signatory, where, safe)
        with _translated(safe, self._where):
            root = _in_time(self._root, self._seconds, self._where)
        try:
            wanted = policy.Identity(identity=signatory.name, issuer=signatory.issuer)
            kind, statement = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(bundle), wanted)
        except Exception as e:
            # Whatever a bundle makes the library raise, it is none that was verified.
            raise _untrusted(_words(e), signatory, where, safe) from e
        if kind != "application/vnd.in-toto+json":
            raise _untrusted(f"it signs something else: {shown(kind)}", signatory, where, safe)
        return statement

    # ---- private

    @property
    def _where(self) -> str:
        return self._trust or "the public Sigstore"

    def _token(self) -> IdentityToken:
        """What says who is here: a variable, or what the CI system gives."""
        from sigstore.oidc import IdentityError, IdentityToken, detect_credential  # see above

        typed = self._environ.get(TOKEN, "").strip()
        try:
            found = typed or _in_time(detect_credential, self._seconds, "the identity of this job")
            if found:
                return IdentityToken(found)
        except IdentityError as e:
            raise Refused(
                f"the identity token is no good: {_words(e.__cause__ or e)}",
                where=TOKEN if typed else None,
                safe="nothing was signed",
                next=_TOKENS,
            ) from e
        raise Refused(
            "nobody vouches for whoever is to sign: there is no identity token here",
            safe="nothing was signed",
            next=_TOKENS,
        )

    def _config(self) -> ClientTrustConfig:
        from sigstore.models import ClientTrustConfig  # see above

        if not self._trust:
            return ClientTrustConfig.production()
        text = _read(self._trust)
        if _kind(text, self._trust).startswith(_ROOT):
            raise ConfigError(
                "this is a trust root, with which one can verify; to sign takes a client trust configuration",
                where=self._trust,
            )
        with _sound(self._trust):
            return ClientTrustConfig.from_json(text)

    def _root(self) -> TrustedRoot:
        from sigstore.models import ClientTrustConfig, TrustedRoot  # see above

        if not self._trust:
            return ClientTrustConfig.production().trusted_root
        text = _read(self._trust)
        with _sound(self._trust):
            if _kind(text, self._trust).startswith(_ROOT):
                return TrustedRoot.from_file(self._trust)
            return ClientTrustConfig.from_json(text).trusted_root


def is_installed() -> bool:
    """Whether the package is here; it is not loaded."""
    from importlib.util import find_spec  # only who uses an identity asks

    return find_spec("sigstore") is not None


class _Kind(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as e:
        why = e.strerror if isinstance(e, OSError) else "it is no text"
        raise ConfigError(
            f"what Sigstore is to be trusted by cannot be read: {why}",
            where=path,
            next="the trust configuration of the instance, as its operator gives it out",
        ) from e


def _kind(text: str, path: str) -> str:
    with _sound(path):
        return msgspec.json.decode(text, type=_Kind).media_type


@contextmanager
def _sound(path: str) -> Iterator[None]:
    """What keeps a file from being a trust root, in words."""
    try:
        yield
    except RoteError:
        raise
    except Exception as e:
        # The library's own checks raise of many kinds.
        raise ConfigError(
            f"this is no trust root or client trust configuration of Sigstore: {_words(e)}", where=path
        ) from e


@contextmanager
def _translated(safe: str, where: str) -> Iterator[None]:
    """What goes wrong at an instance of Sigstore, in words. The token stands in none of them."""
    try:
        yield
    except RoteError:
        raise
    except Exception as e:
        # Its clients raise errors without a common base, some without a word.
        status = _status(e)
        if status is None or status >= 500:
            raise StoreUnavailable(
                f"Sigstore cannot be asked: {_words(e)}",
                where=where,
                safe=safe,
                next="try again later; to verify without asking, give a file with the trust root (--trust-config)",
            ) from e
        raise Refused(
            f"Sigstore refused: {_words(e)}",
            where=where,
            safe=safe,
            next="ask who runs this Sigstore whom it certifies",
        ) from e


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error; 0 for one that the instance was not asked for; None: nobody answered."""
    from requests import RequestException  # which sigstore needs
    from sigstore.errors import NetworkError, TUFError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RequestException):
            return seen.response.status_code if seen.response is not None else None
        if isinstance(seen, (NetworkError, TUFError)):
            return None
        seen = seen.__cause__ or seen.__context__
    return 0


def _words(error: BaseException) -> str:
    """What an error says first, or what is behind it; fit to be shown."""
    seen: BaseException | None = error
    while seen is not None:
        lines = str(seen).strip().splitlines()
        if lines:
            return "".join(c for c in lines[0] if c.isprintable())[:300]
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def _untrusted(why: str, signatory: Signatory, where: str, safe: str) -> Untrusted:
    return Untrusted(
        f"this is no signature by {signatory}: {why}",
        where=where,
        safe=safe,
        next=ASK,
    )


def _in_time(work: Callable[[], _T], seconds: float, where: str) -> _T:
    """What `work` gives. The library's clients wait for ever, so they are left waiting."""
    done: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as e:  # noqa: BLE001 - it is raised below, in the thread that asked
            failed.append(e)

    thread = threading.Thread(target=run, name="rote-sigstore", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise StoreUnavailable(
            f"Sigstore did not answer within {seconds:.0f} seconds", where=where, next="try again later"
        )
    return done[0]


def trusted_by(signatory: Signatory) -> str:
    """Which trust root counts: the digest of its file, or nothing for the public instance."""
    if not signatory.trust:
        return ""
    from rote.words.encoding import digest_of  # only who has a file needs it

    return digest_of(_read(signatory.trust).encode())


def absolute(signatory: Signatory, base: str) -> Signatory:
    """The same, with the trust root's file found from `base`."""
    if not signatory.trust:
        return signatory
    return msgspec.structs.replace(signatory, trust=os.path.join(base, signatory.trust))
