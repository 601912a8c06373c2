"""The secret keys of a user, each a file that nobody else may read; or of a job, in the environment."""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from rote.errors import BadName, Missing, MissingExtra, Refused, RoteError
from rote.laws.publishing.trust import key_id, key_text, public_key
from rote.words.encoding import with_check, without_check
from rote.words.ids import name as parse_name
from rote.words.ids import nearest, shown

VARIABLE: Final = "ROTE_SECRET_KEY"
"""One or several secrets, as `rote key show NAME --secret` prints them, with white space between them."""
SECRET: Final = "ed25519-secret:"
_SUFFIX: Final = ".key"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a key. `replaces` are the public keys that it took the place of, newest first."""

    format: int = 1
    name: str
    secret: str
    public: str
    made: str
    replaces: list[str] = []


class HeldKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is here, without its secret. `where` is a file or the environment; `retired` that another took its
    place."""

    name: str
    public: str
    id: str
    made: str
    where: str
    retired: bool = False


class KeyRing:
    """A signers.Signer: the files `NAME.key` of a folder, and the secrets of `ROTE_SECRET_KEY`."""

    def __init__(self, environ: Mapping[str, str], folder: str | None = None) -> None:
        """`folder` is by default `rote/keys` in the user's configuration. Nothing is read yet."""
        home = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
        self.folder = folder or environ.get("ROTE_KEYS") or os.path.join(home, "rote", "keys")
        self._environ = environ

    # ---- for signing

    def held(self, wanted: Sequence[str]) -> list[str]:
        """See signers.Signer."""
        here = {key.public: key for key, _ in self._all()}
        found = [key for key in wanted if key in here]
        former = [old for key in found for old in here[key].replaces if old in here]
        loose = [key.public for key, where in self._all() if where == VARIABLE and found]
        return list(dict.fromkeys([*found, *former, *loose]))

    def sign(self, public: str, message: bytes) -> bytes:
        """See signers.Signer."""
        for key, _ in self._all():
            if key.public == public:
                signed: bytes = _private(_seed(key.secret, key.name)).sign(message)
                return signed
        raise Missing(
            f"the key {key_id(public_key(public))} is not here", where=self.folder, next="rote key show"
        )

    # ---- for `rote key`

    def all(self) -> list[HeldKey]:
        """Every key that is here, by name."""
        retired = {old for key, _ in self._all() for old in key.replaces}
        return [
            HeldKey(name=key.name, public=key.public, id=key_id(public_key(key.public)), made=key.made, where=where,
                    retired=key.public in retired)
            for key, where in self._all()
        ]  # fmt: skip

    def create(self, name: str, made: str) -> HeldKey:
        """A new key. Raises Refused if there is one of this name, BadName, MissingExtra."""
        if os.path.exists(self._path(name)):
            raise Refused(
                f"there is a key {name} already",
                where=self._path(name),
                safe="it is as it was",
                next=f"rote key show {name}, or rote key rotate {name}",
            )
        return self._make(name, made, [])

    def rotate(self, name: str, made: str) -> HeldKey:
        """A new key under a name; the former one stays as `NAME.ID`, and goes on to sign beside it. Raises Missing,
        BadName, MissingExtra."""
        old = self._named(name)
        aside = f"{name}.{key_id(public_key(old.public))}"
        _seed_of_new()  # before anything is touched: the package may be missing
        self._write(msgspec.structs.replace(old, name=aside), self._path(aside))
        return self._make(name, made, [old.public, *old.replaces])

    def secret(self, name: str) -> str:
        """The secret, to be put where a job's secrets are kept. Raises Missing, BadName."""
        return self._named(name).secret

    # ---- private

    def _make(self, name: str, made: str, replaces: list[str]) -> HeldKey:
        seed, public = _seed_of_new()
        key = StoredKey(
            name=name, secret=SECRET + b64encode(seed).decode("ascii"), public=key_text(public), made=made,
            replaces=replaces,
        )  # fmt: skip
        path = self._path(name)
        self._write(key, path)
        return HeldKey(name=name, public=key.public, id=key_id(public), made=made, where=path)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, parse_name(name, "key name") + _SUFFIX)

    def _write(self, key: StoredKey, path: str) -> None:
        aside = f"{path}.{os.getpid()}"
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "wb") as file:
                file.write(with_check(key))
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except OSError as e:
            raise RoteError(
                f"the key cannot be written: {e.strerror}",
                where=path,
                safe="keys that were here are as they were",
            ) from e

    def _named(self, name: str) -> StoredKey:
        path = self._path(name)
        if not os.path.exists(path):
            names = [key.name for key, _ in self._all()]
            near = nearest(name, names)
            raise Missing(
                f"there is no key {shown(name)}",
                where=self.folder,
                next=f"is it {near}?" if near else f"rote key create {name}",
            )
        return self._read(path)

    def _all(self) -> Iterator[tuple[StoredKey, str]]:
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            names = []
        for name in names:
            if name.endswith(_SUFFIX):
                path = os.path.join(self.folder, name)
                yield self._read(path), path
        for number, text in enumerate(re.split(r"[\s,]+", self._environ.get(VARIABLE, "").strip()), 1):
            if text:
                public = _private(_seed(text, VARIABLE)).public_key().public_bytes_raw()
                yield (
                    StoredKey(name=f"{VARIABLE}.{number}", secret=text, public=key_text(public), made=""),
                    VARIABLE,
                )

    def _read(self, path: str) -> StoredKey:
        try:
            with open(path, "rb") as file:
                return without_check(file.read(), StoredKey, path)
        except OSError as e:
            raise RoteError(f"the key cannot be read: {e.strerror}", where=path, next=f"ls -l {path}") from e


def _seed(secret: str, where: str) -> bytes:
    try:
        seed = b64decode(secret.removeprefix(SECRET), validate=True)
    except ValueError:
        seed = b""
    if len(seed) != 32 or not secret.startswith(SECRET):
        # The text itself is not shown: it may be a secret that was cut or mistyped.
        raise BadName(
            f"not a secret key: it does not read `{SECRET}` and 44 characters",
            where=where,
            next="rote key show NAME --secret prints one",
        )
    return seed


def _seed_of_new() -> tuple[bytes, bytes]:
    key = _ed25519().Ed25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


def _private(seed: bytes) -> Any:
    return _ed25519().Ed25519PrivateKey.from_private_bytes(seed)


def _ed25519() -> Any:
    try:
        # An extra, and loaded only by what signs.
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as e:
        raise MissingExtra("signing needs the package cryptography", next='pip install "rote[sign]"') from e
    return ed25519
