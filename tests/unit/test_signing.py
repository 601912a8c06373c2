"""Keys, signatures and what of a channel document they cover; the law that verifies, held against another one's."""

from __future__ import annotations

import os
import random

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelbench import CHANNEL, Bench

from rote.adapters.signing.keyring import VARIABLE, KeyRing
from rote.errors import BadName, Corrupt, Missing, Refused, Untrusted
from rote.laws.publishing import ed25519, trust
from rote.services.models.channels import Channels, decoded
from rote.services.models.registry import Registry
from rote.services.models.sealing import Sealing
from rote.words.channel import Channel
from rote.words.encoding import canonical, signed_part, with_check
from rote.words.pipeline import Model

ONE, TWO = {"m": b"one"}, {"m": b"two"}
# RFC 8032, section 7.1: secret, public, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard(public, message, signature):
    public, message, signature = map(bytes.fromhex, (public, message, signature))
    assert ed25519.verify(public, signature, message)
    assert not ed25519.verify(public, signature, message + b"x")
    assert not ed25519.verify(public, signature[:-1], message)


def test_it_says_what_another_one_says():
    chance = random.Random(5)
    for n in range(60):
        key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), chance.randbytes(n)
        signature = key.sign(message)
        assert ed25519.verify(public, signature, message)
        bad = bytearray(signature)
        bad[chance.randrange(64)] ^= 1 << chance.randrange(8)
        assert not ed25519.verify(public, bytes(bad), message)
        other = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32)).public_key().public_bytes_raw()
        assert not ed25519.verify(other, signature, message)
        assert not ed25519.verify(chance.randbytes(32), signature, message)


def test_a_second_signature_is_not_made_of_the_first():
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    larger = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert not ed25519.verify(key.public_key().public_bytes_raw(), signature[:32] + larger, b"m")


@pytest.mark.parametrize(
    "text", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 43 + "=", "A" * 43 + "=", "ed25519:" + "é" * 44]
)
def test_what_is_no_key(text):
    with pytest.raises(BadName):
        trust.public_key(text)


class Signed(Bench):
    """A bench whose channels are signed with the keys in `keys`."""

    def __init__(self, folder, environ=None):
        super().__init__()
        self.ring = KeyRing(environ or {}, str(folder))
        self.model = Model(name="digits", files=("m",))
        self.resign()

    def resign(self, **changes):
        self.model = msgspec.structs.replace(self.model, **changes)
        self.sealing = Sealing(lambda name: self.model if name == "digits" else None, lambda: self.ring)
        self.registry = Registry(self.store, self.roots, self.clock, "ada@lab", self.sealing.seal)

    def document(self):
        return self.inner.get(CHANNEL).data


@pytest.fixture
def bench(tmp_path):
    return Signed(tmp_path / "keys")


def good(document, *keys):
    channel = decoded("digits", "prod", document)
    trust.verify(document, channel, keys, "there")
    return channel


def test_a_document_without_keys_has_the_bytes_it_always_had(bench):
    bench.release(ONE, promote="prod")
    assert b"signatures" not in bench.document()
    assert b"expires" not in bench.document()
    assert msgspec.json.decode(canonical(decoded("digits", "prod", bench.document()))).keys() == {
        "format", "model", "alias", "seq", "version", "snapshot", "issued", "by", "why", "history",
    }  # fmt: skip


def test_a_move_is_signed(bench):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,), expires=3600.0)
    bench.release(ONE, promote="prod")
    channel = good(bench.document(), key.public)
    assert [s.key for s in channel.signatures] == [key.id]
    assert channel.keys == [key.public]
    assert channel.expires > channel.issued
    assert len(bench.document()) <= 4096


def test_every_bit_of_a_signed_document_counts(bench):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,))
    bench.release(ONE, promote="prod")
    body = bench.document().rpartition(b"\nblake3:")[0]
    refused = 0
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= 1
        try:
            value = msgspec.json.decode(bytes(changed))
        except msgspec.DecodeError:
            continue
        document = with_check(value)
        try:
            channel = decoded("digits", "prod", document)
            if signed_part(document, "there") == signed_part(bench.document(), "there"):
                continue  # it says where the record lies, which is not signed
        except Corrupt:
            continue
        with pytest.raises((Untrusted, Corrupt)):
            trust.verify(document, channel, [key.public], "there")
        refused += 1
    assert refused > 100


def test_the_same_content_in_another_spelling_is_refused(bench):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,))
    bench.release(ONE, promote="prod")
    body = bench.document().rpartition(b"\nblake3:")[0]
    spelled = body.replace(b'"seq":1', b'"seq": 1', 1)
    from blake3 import blake3

    document = spelled + b"\nblake3:" + blake3(spelled).hexdigest().encode() + b"\n"
    with pytest.raises(Corrupt, match="canonical"):
        good(document, key.public)
    twice = body[:-1] + b',"why":"x"}'
    document = twice + b"\nblake3:" + blake3(twice).hexdigest().encode() + b"\n"
    with pytest.raises(Corrupt, match="canonical"):
        signed_part(document, "there")


def test_nobody_else_is_trusted(bench, tmp_path):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,))
    bench.release(ONE, promote="prod")
    other = KeyRing({}, str(tmp_path / "others")).create("x", "now")
    with pytest.raises(Untrusted, match=f"signed by .{key.id}., and this application trusts only {other.id}"):
        good(bench.document(), other.public)
    plain = Bench()
    plain.release(ONE, promote="prod")
    with pytest.raises(Untrusted, match="not signed"):
        good(plain.inner.get(CHANNEL).data, key.public)


def test_whoever_has_no_secret_does_not_move_a_signed_alias(bench, tmp_path):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,))
    bench.release(ONE, promote="prod")
    before = bench.document()
    bench.release(TWO)
    bench.ring = KeyRing({}, str(tmp_path / "empty"))
    bench.resign()
    with pytest.raises(Refused, match=f"signed with the key {key.id}, and its secret is not on this machine"):
        bench.registry.promote("digits", "1.0.1", "prod")
    bench.resign(keys=None)
    with pytest.raises(Refused, match=r"rote\.yaml names no keys"):
        bench.registry.promote("digits", "1.0.1", "prod")
    assert bench.document() == before
    bench.resign(keys=())
    bench.registry.promote("digits", "1.0.1", "prod")
    assert b"signatures" not in bench.document()


def test_the_secret_of_a_job_signs_as_well(bench, tmp_path):
    key = bench.ring.create("digits", "now")
    secret = bench.ring.secret("digits")
    bench.ring = KeyRing({VARIABLE: f"\n {secret}\n"}, str(tmp_path / "empty"))
    bench.resign(keys=(key.public,))
    bench.release(ONE, promote="prod")
    good(bench.document(), key.public)
    bench.ring = KeyRing({VARIABLE: secret[:-3]}, str(tmp_path / "empty"))
    bench.resign()
    bench.release(TWO)
    with pytest.raises(BadName) as caught:
        bench.registry.promote("digits", "1.0.1", "prod")
    assert secret[20:40] not in "\n".join(caught.value.lines())


def test_rotation_signs_with_both(bench):
    old = bench.ring.create("digits", "now")
    bench.resign(keys=(old.public,))
    bench.release(ONE, promote="prod")
    new = bench.ring.rotate("digits", "later")
    bench.resign(keys=(new.public,))
    bench.registry.renew("digits", "prod")
    assert good(bench.document(), old.public).keys == [new.public]
    assert good(bench.document(), new.public).seq == 2
    third = bench.ring.rotate("digits", "latest")
    bench.resign(keys=(third.public,))
    bench.registry.renew("digits", "prod")
    for key in (old, new, third):
        good(bench.document(), key.public)
    assert [k.retired for k in bench.ring.all()].count(True) == 2


def test_keys_are_the_users_own(bench, tmp_path):
    key = bench.ring.create("digits", "now")
    assert os.stat(key.where).st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "keys").st_mode & 0o077 == 0
    with pytest.raises(Refused, match="already"):
        bench.ring.create("digits", "again")
    with pytest.raises(Missing, match="there is no key"):
        bench.ring.rotate("digit", "now")
    with pytest.raises(BadName):
        bench.ring.create("../x", "now")
    assert len(os.listdir(tmp_path / "keys")) == 1


def test_a_renewal_is_a_move_that_changes_nothing_else(bench):
    bench.release(ONE, promote="prod")
    bench.release(TWO, promote="prod")
    bench.resign(expires=7200.0)
    renewed = bench.registry.renew("digits", "prod")
    assert (renewed.seq, renewed.version, renewed.history[0].to) == (3, "1.0.1", 2)
    bench.registry.renew("digits", "prod")
    assert bench.registry.rollback("digits").version == "1.0.0"
    with pytest.raises(Missing, match="nobody holds"):
        bench.registry.renew("digits", "staging")


def test_a_long_history_of_signed_moves_stays_small(bench):
    keys = [bench.ring.create(f"k{n}", "now").public for n in range(8)]
    bench.resign(keys=tuple(keys), expires=7200.0)
    bench.release(ONE, promote="prod")
    for n in range(25):
        bench.registry.renew("digits", "prod", "w" * 400)
        assert len(bench.document()) <= 4096
        good(bench.document(), keys[n % 8])
    assert [m.seq for m in Channels(bench.store).history("digits", "prod")] == list(range(26, 0, -1))


def test_a_document_with_all_it_can_have_reads_back(bench):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,), expires=7200.0)
    bench.release(ONE, promote="prod")
    channel = decoded("digits", "prod", bench.document())
    assert msgspec.json.decode(canonical(channel), type=Channel) == channel


def test_a_signature_stays_good_where_a_store_moves_its_objects(bench):
    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,))
    bench.release(ONE, promote="prod")
    channel = decoded("digits", "prod", bench.document())
    elsewhere = msgspec.structs.replace(channel.snapshot, txn="20270101T000000-0123456789abcdef")
    good(with_check(msgspec.structs.replace(channel, snapshot=elsewhere)), key.public)
    for change in ({"id": "0" * 64}, {"size": 1}, {"files": 9}):
        other = msgspec.structs.replace(channel.snapshot, **change)
        with pytest.raises(Untrusted, match="not valid"):
            good(with_check(msgspec.structs.replace(channel, snapshot=other)), key.public)


def test_whoever_reads_the_format_alone_can_verify(bench):
    """docs/format.md, 10.8, with nothing of rote's: JSON of the standard library, Ed25519 of another package."""
    import base64
    import json

    from blake3 import blake3
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = bench.ring.create("digits", "now")
    bench.resign(keys=(key.public,), expires=7200.0)
    bench.release(ONE)
    bench.registry.promote("digits", "1.0.0", "prod", "größer – schöner 日本")
    text, _, check = bench.document().decode().partition("\nblake3:")
    assert check.strip() == blake3(text.encode()).hexdigest()
    document = json.loads(text)
    (signature,) = document.pop("signatures")
    del document["snapshot"]["txn"]
    message = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    public = base64.b64decode(key.public.removeprefix("ed25519:"))
    assert signature["key"] == blake3(public).hexdigest()[:16]
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature["signature"]), message)
