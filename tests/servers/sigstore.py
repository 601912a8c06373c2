"""A Sigstore of one's own on loopback: a certificate authority, a transparency log and whoever hands out tokens.

It keeps what `sigstore` verifies: the token is checked, a certificate carries the identity and a signed certificate
timestamp, and an entry of the log comes with its inclusion proof, a signed checkpoint and a signed promise.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ISSUER = "https://issuer.example"
ISSUED_BY = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUED_BY_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
SHA256 = ec.ECDSA(hashes.SHA256())
_SECRET = "a secret of the issuer, which signs its tokens"


class PrivateSigstore:
    """The keys of the instance, and what it answers. `refuse` makes the authority answer with that status."""

    def __init__(self) -> None:
        self.url = ""
        self.refuse = 0
        self.entries: list[bytes] = []
        self.root, self.ct, self.rekor = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self._authority = self._self_signed()

    # ---- what others need

    def token(self, identity: str, *, issuer: str = ISSUER, seconds: float = 600) -> str:
        """A token as a CI system hands it out. An identity with an `@` and no scheme is an address."""
        now = int(time.time())
        claims = {
            "iss": issuer,
            "sub": identity,
            "aud": "sigstore",
            "iat": now,
            "nbf": now - 5,
            "exp": int(now + seconds),
        }
        return jwt.encode(claims, _SECRET, algorithm="HS256")

    def trust(self, path: Path) -> Path:
        """The client trust configuration of this instance, written to a file."""
        always = {"start": "2020-01-01T00:00:00Z"}

        def log(url: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            public = {
                "rawBytes": _text(_der(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": always,
            }
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": public,
                "logId": {"keyId": _text(_id(key))},
            }

        service = {"url": self.url, "majorApiVersion": 1, "validFor": always, "operator": "test"}
        authority = {
            "subject": {"organization": "test", "commonName": "test"},
            "uri": self.url,
            "certChain": {"certificates": [{"rawBytes": _text(self._authority.public_bytes(Encoding.DER))}]},
            "validFor": always,
        }
        config = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.url, self.rekor)],
                "certificateAuthorities": [authority],
                "ctlogs": [log(f"{self.url}/ct", self.ct)],
                "timestampAuthorities": [],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "tsaUrls": [],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaConfig": {"selector": "ANY"},
            },
        }
        path.write_text(json.dumps(config))
        return path

    # ---- the authority

    def _self_signed(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        subject = x509.SubjectKeyIdentifier.from_public_key(self.root.public_key())
        return (
            _certificate(name, name, self.root.public_key(), timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(subject, critical=False)
            .sign(self.root, hashes.SHA256())
        )

    def certify(self, request: dict[str, Any], authorization: str) -> dict[str, Any]:
        """What Fulcio answers: a certificate of a few minutes for whoever has the token."""
        claims = jwt.decode(
            authorization.removeprefix("Bearer "), _SECRET, algorithms=["HS256"], audience="sigstore"
        )
        wanted = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
        assert wanted.is_signature_valid
        who, issuer = claims["sub"], claims["iss"]
        is_address = "@" in who and "://" not in who
        name = x509.RFC822Name(who) if is_address else x509.UniformResourceIdentifier(who)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        authority = self.root.public_key()
        utf8 = b"\x0c" + bytes([len(issuer)]) + issuer.encode()
        leaf = (
            _certificate(x509.Name([]), self._authority.subject, wanted.public_key(), timedelta(minutes=10))
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUED_BY, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUED_BY_V2, utf8), critical=False)
        )
        before = leaf.sign(self.root, hashes.SHA256())
        listed = x509.UnrecognizedExtension(TIMESTAMPS, self._timestamp(before))
        made = leaf.add_extension(listed, critical=False).sign(self.root, hashes.SHA256())
        chain = [c.public_bytes(Encoding.PEM).decode() for c in (made, self._authority)]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _timestamp(self, before: x509.Certificate) -> bytes:
        """The list with one signed certificate timestamp (RFC 6962, 3.2 and 3.3), as DER."""
        millis = int(time.time()) * 1000
        tbs = before.tbs_certificate_bytes
        entry = hashlib.sha256(_der(self.root)).digest() + len(tbs).to_bytes(3, "big") + tbs
        signed = struct.pack("!BBQH", 0, 0, millis, 1) + entry + struct.pack("!H", 0)
        signature = self.ct.sign(signed, SHA256)
        timestamp = b"\0" + _id(self.ct) + struct.pack("!QH", millis, 0)
        timestamp += struct.pack("!BBH", 4, 3, len(signature)) + signature
        listed = struct.pack("!HH", len(timestamp) + 2, len(timestamp)) + timestamp
        assert len(listed) < 0x80 or len(listed) < 0x100
        size = bytes([len(listed)]) if len(listed) < 0x80 else bytes([0x81, len(listed)])
        return b"\x04" + size + listed

    # ---- the log

    def enter(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """What Rekor answers: the entry as it was taken, with the proof that it is in the log."""
        assert proposed["kind"] == "dsse"
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = base64.b64decode(envelope["payload"])
        spec = {
            "envelopeHash": {
                "algorithm": "sha256",
                "value": hashlib.sha256(content["envelope"].encode()).hexdigest(),
            },
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [
                {"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}
            ],
        }
        body = json.dumps(
            {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}, separators=(",", ":")
        ).encode()
        self.entries.append(body)
        index, log, now = len(self.entries) - 1, _id(self.rekor).hex(), int(time.time())
        root, proof = _tree([_leaf(entry) for entry in self.entries])
        promise = {"body": _text(body), "integratedTime": now, "logID": log, "logIndex": index}
        note = f"log.example - 1\n{len(self.entries)}\n{_text(root)}\n"
        line = _text(_id(self.rekor)[:4] + self.rekor.sign(note.encode(), SHA256))
        return {
            f"{index:064x}": {
                "body": _text(body), "integratedTime": now, "logID": log, "logIndex": index,
                "verification": {
                    "signedEntryTimestamp": _text(self.rekor.sign(rfc8785.dumps(promise), SHA256)),
                    "inclusionProof": {
                        "logIndex": index, "rootHash": root.hex(), "treeSize": len(self.entries),
                        "hashes": [found.hex() for found in proof],
                        "checkpoint": f"{note}\n\u2014 log.example {line}\n",
                    },
                },
            }
        }  # fmt: skip


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: Any, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1)).not_valid_after(now + lasts)
    )  # fmt: skip


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _leaf(body: bytes) -> bytes:
    return hashlib.sha256(b"\0" + body).digest()


def _tree(leaves: list[bytes]) -> tuple[bytes, list[bytes]]:
    """The root of a Merkle tree (RFC 6962, 2.1), and the proof of its last leaf."""
    if len(leaves) == 1:
        return leaves[0], []
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    (left, _), (right, proof) = _tree(leaves[:half]), _tree(leaves[half:])
    return hashlib.sha256(b"\1" + left + right).digest(), [*proof, left]


@contextmanager
def private_sigstore() -> Iterator[PrivateSigstore]:
    """A running instance."""
    here = PrivateSigstore()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, answer = self._answer(asked)
            except jwt.PyJWTError as e:
                status, answer = 401, {"code": 16, "message": f"the token is no good: {e}"}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _answer(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if here.refuse:
                return here.refuse, {"code": 14, "message": "not now"}
            if self.path == "/api/v2/signingCert":
                return 200, here.certify(asked, self.headers["Authorization"])
            if self.path == "/api/v1/log/entries":
                return 201, here.enter(asked)
            return 404, {"code": 5, "message": "no such place"}

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    here.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
