"""Signing by an identity as people do it: publish in a job, verify and fetch elsewhere, with other people's tools too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import model_signing
import pytest
from place import Place, Told
from test_publish import PIPELINE

import rote
from rote.errors import Refused, Untrusted
from rote.wiring.receiving import receive
from rote.wiring.targeting import At
from rote.words.signatory import Signatory
from servers.sigstore import ISSUER, PrivateSigstore, private_sigstore

WHO = "https://git.example/team/digits/.ci/train.yaml@refs/heads/main"
VERSION = "site/models/m/published/1.0.0"


@pytest.fixture(scope="module")
def running() -> Iterator[PrivateSigstore]:
    with private_sigstore() as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, running: PrivateSigstore) -> Path:
    """A project with a version that is not published yet."""
    place = Place(tmp_path_factory.mktemp("made") / "project")
    place.git("init", "-q", "-b", "main", ".")
    place.rote("init")
    running.trust(place.root / "trust.json")
    identity = f"    identity:\n      name: {WHO}\n      issuer: {ISSUER}\n      trust: trust.json\n"
    place.write("rote.yaml", f"{PIPELINE}{identity}    publish: [site]\n")
    place.write(".gitignore", "site\n")
    place.write("weights", os.urandom(4000))
    place.write("labels.txt", "a\nb\n")
    place.commit()
    place.rote("run")
    place.rote("release", "m")
    return place.root


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "project")
    return Place(tmp_path / "project")


@pytest.fixture
def job(place: Place, running: PrivateSigstore):
    """Types a command where a token says who is here."""

    def typed(*args: str, who: str = WHO, code: int = 0) -> Told:
        token = running.token(who)
        told = place.rote(*args, code=code, SIGSTORE_ID_TOKEN=token)
        assert token not in told.out + told.err
        return told

    return typed


def asking(place: Place, who: str = WHO) -> list[str]:
    return ["--identity", who, "--issuer", ISSUER, "--trust-config", str(place.root / "trust.json")]


def asked(place: Place, who: str = WHO) -> dict[str, str]:
    return {"identity": who, "issuer": ISSUER, "trust": str(place.root / "trust.json")}


def test_it_is_signed_and_everybody_can_tell_by_whom(place: Place, job, tmp_path: Path) -> None:
    told = job("promote", "m@1.0.0", "prod")
    assert "m@1.0.0 there is signed now" in told.err + told.out

    elsewhere = Place(tmp_path / "elsewhere")
    there, site = str(place.root / VERSION), str(place.root / "site")
    assert "--identity NAME --issuer URL tells whose it is" in elsewhere.rote("verify", there).out
    assert f"signed by {WHO}" in elsewhere.rote("verify", there, *asking(place)).out
    told = elsewhere.rote(
        "fetch", "m@prod", "--from", site, "--to", "x", *asking(place, "eve@example.org"), code=1
    )
    assert "this is no signature by eve@example.org" in told.err
    assert not (elsewhere.root / "x").exists()
    by = Signatory(WHO, ISSUER, str(place.root / "trust.json"))
    for name in ("m@prod", "m@1.0.0"):
        assert receive(site, name, str(elsewhere.root / name), signatory=by).version == "1.0.0"

    config = model_signing.verifying.Config().use_sigstore_verifier(
        identity=WHO, oidc_issuer=ISSUER, trust_config=place.root / "trust.json"
    )
    config.set_ignore_unsigned_files(True)
    config.verify(elsewhere.root / "m@prod", Path(there) / "model.sig")
    (elsewhere.root / "m@prod" / "labels.txt").chmod(0o644)
    (elsewhere.root / "m@prod" / "labels.txt").write_text("other")
    with pytest.raises(ValueError, match=r"labels\.txt"):
        config.verify(elsewhere.root / "m@prod", Path(there) / "model.sig")


def test_whoever_is_not_the_identity_publishes_nothing(place: Place, job) -> None:
    told = place.rote("publish", "m@1.0.0", code=1)
    assert "there is no identity token here" in told.err
    assert "id-token: write" in told.err
    assert not place.files("site"), "it was asked before anything was sent"
    told = job("publish", "m@1.0.0", who="mallory@example.org", code=1)
    assert "mallory@example.org" in told.err
    assert "models.NAME.identity" in told.err
    assert not place.files("site")


def test_what_was_published_unsigned_is_signed_later_and_once(
    place: Place, running: PrivateSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "")

    def publish() -> At:
        (done,) = rote.open(str(place.root)).models.publish("m@1.0.0")
        return done

    there, signature = str(place.root / VERSION), place.root / VERSION / "model.sig"
    text = place.read("rote.yaml")
    place.write("rote.yaml", f"{PIPELINE}    publish: [site]\n")
    assert publish().published.created
    before = place.files(VERSION)
    place.write("rote.yaml", text)
    assert "nobody's signature lies there" in rote.verify(there, **asked(place)).why
    links = rote.open(str(place.root)).models.verify(there).links
    assert links[-1].left == ["nobody has signed them; rote publish m@1.0.0 TARGET signs as rote.yaml says"]
    with pytest.raises(Refused, match="no identity token"):
        publish()
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", running.token(WHO))
    assert publish().published.signed
    after = place.files(VERSION)
    assert {name: after[name] for name in before} == before
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "")
    assert not publish().published.signed, "no token is needed for what is signed"
    assert signature.read_bytes() == after["model.sig"]
    assert rote.verify(there, **asked(place)).broken is None
    signature.chmod(0o644)
    signature.write_bytes(after["model.sig"].replace(b"A", b"B"))
    with pytest.raises(Untrusted) as caught:
        publish()
    assert "delete model.sig there, then publish again" in (caught.value.next or "")
    assert "no signature by" in rote.verify(there, **asked(place)).why
    signature.unlink()
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", running.token(WHO))
    assert publish().published.signed


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["verify", "m@1.0.0", "--identity", WHO, "--issuer", ISSUER], "is said where it is published"),
        (["verify", ".", "--identity", WHO], "one of them is missing"),
        (["fetch", "m@1.0.0", "--to", "x", "--identity", WHO, "--issuer", ISSUER], "--identity needs --from"),
    ],
    ids=["a version in the store", "no issuer", "in a project"],
)
def test_what_cannot_be_asked(place: Place, args: list[str], why: str) -> None:
    assert why in place.rote(*args, code=2).err
