"""Files that an identity signed: the statement, the notary against a Sigstore of one's own, and applications."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest
from modelbench import noise
from targetbench import Published

from rote.adapters.signing import sigstore
from rote.adapters.signing.sigstore import TOKEN, Sigstore
from rote.client import Model
from rote.errors import ConfigError, MissingExtra, Refused, StoreUnavailable, Untrusted, UsageError
from rote.laws.publishing import statements
from rote.wiring import identities
from rote.words.publication import SIGNATURE
from rote.words.signatory import Signatory, named
from servers.sigstore import ISSUER, private_sigstore

WHO = "https://git.example/team/digits/.ci/train.yaml@refs/heads/main"
FILES = {"model.onnx": hashlib.sha256(b"1").hexdigest(), "words/ä b.txt": hashlib.sha256(b"2").hexdigest()}
BYTES = {"m": {"net": noise(3000), "labels": b"one"}}
OTHERS = {"m": {"net": noise(3000, 1), "labels": b"two"}}


@pytest.fixture(scope="module")
def running():
    with private_sigstore() as found:
        yield found


@pytest.fixture(scope="module")
def trust(running, tmp_path_factory):
    return str(running.trust(tmp_path_factory.mktemp("trust") / "trust.json"))


@pytest.fixture
def notary(running, trust):
    return Sigstore(trust, {TOKEN: running.token(WHO)})


class TestTheStatement:
    def test_it_says_which_version_consists_of_which_files(self):
        data = statements.encoded("digits@1.0.0", FILES)
        assert statements.decoded(data) == ("digits@1.0.0", FILES)
        whole = json.loads(data)
        joined = b"".join(bytes.fromhex(digest) for _, digest in sorted(FILES.items()))
        assert whole["subject"] == [
            {"name": "digits@1.0.0", "digest": {"sha256": hashlib.sha256(joined).hexdigest()}}
        ]
        assert whole["predicate"]["serialization"]["hash_type"] == "blake3"

    @pytest.mark.parametrize(
        ("name", "files", "why"),
        [
            ("digits@1.0.0", FILES, None),
            ("digits@1.0.1", FILES, "not digits@1.0.1"),
            ("digits@1.0.0", {**FILES, "more": "00" * 32}, "'more' is not among the files that were signed"),
            (
                "digits@1.0.0",
                {"model.onnx": FILES["model.onnx"]},
                "'words/ä b.txt' was signed, and is not there",
            ),
            (
                "digits@1.0.0",
                {**FILES, "model.onnx": "00" * 32},
                "'model.onnx' is not the file that was signed",
            ),
        ],
        ids=["the same", "another version", "a file more", "a file less", "another file"],
    )
    def test_it_is_held_against_files(self, name, files, why):
        found = statements.why_not(statements.decoded(statements.encoded("digits@1.0.0", FILES)), name, files)
        assert (found is None) if why is None else (why in found)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda s: "no", "no statement"),
            (lambda s: {**s, "predicateType": "https://slsa.dev/provenance/v1"}, "of another kind"),
            (lambda s: {**s, "subject": []}, "of another kind"),
            (lambda s: {**s, "subject": s["subject"] * 2}, "of another kind"),
            (lambda s: _with(s, resources=s["predicate"]["resources"] * 2), "twice"),
            (lambda s: _with(s, serialization={"method": "shards", "hash_type": "blake3"}), "other digests"),
            (
                lambda s: _with(s, resources=[{"name": "a", "algorithm": "md5", "digest": "00"}]),
                "other digests",
            ),
        ],
        ids=["no object", "provenance", "no subject", "two subjects", "doubled", "shards", "md5"],
    )
    def test_one_that_says_something_else_is_refused(self, change, why):
        whole = json.loads(statements.encoded("digits@1.0.0", FILES))
        with pytest.raises(ValueError, match=why):
            statements.decoded(json.dumps(change(whole)).encode())


def _with(statement, **changes):
    return {**statement, "predicate": {**statement["predicate"], **changes}}


class TestTheNotary:
    def test_what_it_signed_opens_for_the_signatory_and_for_nobody_else(self, notary, trust):
        statement = statements.encoded("digits@1.0.0", FILES)
        bundle = notary.sign(statement)
        reader = Sigstore(trust, {})
        assert reader.opened(bundle, Signatory(WHO, ISSUER), "there", "nothing") == statement
        for other in (Signatory("eve@example.org", ISSUER), Signatory(WHO, "https://accounts.google.com")):
            with pytest.raises(Untrusted, match=r"this is no signature by .*: Certificate's") as caught:
                reader.opened(bundle, other, "there", "nothing")
            assert (caught.value.where, caught.value.safe) == ("there", "nothing")

    def test_a_bare_trust_root_is_enough_to_verify_and_not_to_sign(self, notary, trust, tmp_path):
        root = tmp_path / "root.json"
        root.write_text(json.dumps(json.loads(Path(trust).read_text())["trustedRoot"]))
        bundle = notary.sign(statements.encoded("digits@1.0.0", FILES))
        alone = Sigstore(str(root), notary._environ)
        assert alone.opened(bundle, Signatory(WHO, ISSUER), "", "")
        with pytest.raises(ConfigError, match="to sign takes a client trust configuration"):
            alone.sign(b"{}")

    def test_another_instance_vouches_for_nobody_here(self, notary, tmp_path):
        bundle = notary.sign(statements.encoded("digits@1.0.0", FILES))
        with private_sigstore() as other:
            elsewhere = Sigstore(str(other.trust(tmp_path / "t")), {})
        with pytest.raises(Untrusted, match="no signature by"):
            elsewhere.opened(bundle, Signatory(WHO, ISSUER), "", "")

    @pytest.mark.parametrize("seed", range(40))
    def test_a_bundle_that_was_changed_is_refused(self, notary, seed):
        bundle = bytearray(notary.sign(statements.encoded("digits@1.0.0", FILES)))
        whole = json.loads(bundle)
        kept = json.dumps(whole)
        at = list(_leaves(whole))
        where, key = at[seed % len(at)]
        where[key] = _changed(where[key])
        assert json.dumps(whole) != kept
        try:
            opened = notary.opened(json.dumps(whole).encode(), Signatory(WHO, ISSUER), "", "")
        except Untrusted:
            return
        assert opened == statements.encoded("digits@1.0.0", FILES), "a part that decides nothing"

    @pytest.mark.parametrize(
        "bundle", [b"", b"{}", b"[]", b"\xff\0", b'{"mediaType": 1}', b"[" * 100_000], ids=range(6)
    )
    def test_what_is_no_bundle_is_refused_in_a_line(self, trust, bundle):
        with pytest.raises(Untrusted) as caught:
            Sigstore(trust, {}).opened(bundle, Signatory(WHO, ISSUER), "there", "nothing")
        assert "\n" not in caught.value.what

    def test_a_bundle_without_end_is_not_read(self, trust, monkeypatch):
        monkeypatch.setattr(sigstore, "MAX_BUNDLE", 10)
        with pytest.raises(Untrusted, match="more than any has"):
            Sigstore(trust, {}).opened(b"x" * 11, Signatory(WHO, ISSUER), "", "")

    def test_tokens_that_are_no_good(self, running, trust):
        for token, why in [
            ("", "there is no identity token here"),
            ("nonsense", "the identity token is no good: Not enough segments"),
            (running.token(WHO, seconds=-60), "the identity token is no good: Signature has expired"),
        ]:
            with pytest.raises(Refused, match=why) as caught:
                Sigstore(trust, {TOKEN: token}).sign(b"{}")
            assert "sigstore get-identity-token" in caught.value.next
            assert not token or token not in str(caught.value.lines())

    @pytest.mark.parametrize(
        ("status", "kind"), [(403, Refused), (503, StoreUnavailable)], ids=["refused", "down"]
    )
    def test_an_instance_that_says_no(self, running, notary, monkeypatch, status, kind):
        monkeypatch.setattr(running, "refuse", status)
        with pytest.raises(kind, match=str(status)) as caught:
            notary.sign(statements.encoded("digits@1.0.0", FILES))
        assert caught.value.safe == "nothing was signed"
        assert notary._environ[TOKEN] not in str(caught.value.lines())

    def test_an_instance_that_never_answers_is_left_alone(self, running, trust, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as mute:
            text = Path(trust).read_text().replace(running.url, f"http://127.0.0.1:{mute.getsockname()[1]}")
            (tmp_path / "mute.json").write_text(text)
            notary = Sigstore(str(tmp_path / "mute.json"), {TOKEN: running.token(WHO)}, seconds=0.2)
            with pytest.raises(StoreUnavailable, match="did not answer"):
                notary.sign(statements.encoded("digits@1.0.0", FILES))

    @pytest.mark.parametrize(
        ("text", "why"),
        [(None, "No such file"), ("{", "this is no trust root"), ("{}", "this is no trust root"), ('{"mediaType": "x"}', "this is no")],
        ids=["absent", "cut", "empty", "another kind"],
    )  # fmt: skip
    def test_trust_files_that_are_none(self, tmp_path, text, why):
        path = tmp_path / "trust.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigError, match=why) as caught:
            Sigstore(str(path), {}).opened(b"{}", Signatory(WHO, ISSUER), "", "")
        assert caught.value.where == str(path)

    def test_without_the_package_it_is_named(self, monkeypatch):
        monkeypatch.setattr(sigstore, "is_installed", lambda: False)
        with pytest.raises(MissingExtra) as caught:
            identities.vouching(Signatory(WHO, ISSUER))
        assert caught.value.next == 'pip install "rote[sigstore]"'

    def test_half_a_signatory_is_none(self):
        assert named("", "", "") is None
        for half in [(WHO, "", ""), ("", ISSUER, ""), ("", "", "trust.json")]:
            with pytest.raises(UsageError, match="one of them is missing"):
                named(*half)


def _leaves(value):
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(each, (dict, list)):
            yield from _leaves(each)
        else:
            yield value, key


def _changed(value):
    if isinstance(value, str) and value:
        middle = len(value) // 2
        return value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    return "x"


class TestAnApplication:
    @pytest.fixture
    def bench(self):
        made = Published()
        made.ship(BYTES)
        return made

    @pytest.fixture
    def sign(self, bench, running, trust, monkeypatch):
        """Signs what is published under a number, as somebody; under the number `into`, if that is another."""

        def signed(version="1.0.0", who=WHO, into=None):
            monkeypatch.setenv(TOKEN, running.token(who))
            vouching = identities.vouching(Signatory(who, ISSUER, trust))
            name = f"digits@{version}"
            bundle = vouching.sign(name, bench.manifest(version).files, "")
            bench.put(f"models/digits/published/{into or version}/{SIGNATURE}", bundle)

        return signed

    @pytest.fixture
    def follow(self, bench, trust, tmp_path):
        return lambda **rest: Model(
            rest.pop("store", bench.target), "digits", cache=tmp_path / "c",
            **{"identity": WHO, "issuer": ISSUER, "trust": trust, **rest},
        )  # fmt: skip

    def test_what_the_identity_signed_is_installed(self, bench, sign, follow):
        sign()
        assert follow().version == "1.0.0"

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda sign: None, "digits@1.0.0 is not signed by"),
            (lambda sign: sign(who="eve@example.org"), "this is no signature by"),
        ],
        ids=["nobody", "another"],
    )
    def test_a_first_version_that_it_did_not_sign_is_not(self, bench, sign, follow, tmp_path, spoil, why):
        spoil(sign)
        bench.target.reset()
        with pytest.raises(Untrusted, match=why) as caught:
            follow().path()
        assert (caught.value.safe, not list(tmp_path.glob("c/versions/*"))) == ("nothing was installed", True)
        assert not any("/m/" in key for _, key in bench.target.journal), "not one file was read"

    def test_a_later_one_leaves_the_one_in_use(self, bench, sign, follow):
        sign()
        model = follow()
        assert model.version == "1.0.0"
        bench.ship(OTHERS)
        sign("1.0.0", into="1.0.1")  # an older signature, under the new number
        with pytest.raises(Untrusted, match=r"what was signed is 'digits@1\.0\.0', not digits@1\.0\.1"):
            model.refresh()
        assert (model.version, (model.path() / "m" / "labels").read_bytes()) == ("1.0.0", b"one")
        assert isinstance(model.problem, Untrusted)
        sign("1.0.1")
        assert model.refresh()
        assert (model.version, model.problem) == ("1.0.1", None)

    def test_once_it_was_looked_at_nobody_is_asked_again(self, bench, sign, follow, monkeypatch):
        sign()
        follow().path()
        monkeypatch.setattr(Sigstore, "opened", None)
        bench.target.reset()
        again = follow()
        assert (again.version, again.problem) == ("1.0.0", None)
        assert follow(offline=True).version == "1.0.0"
        assert [name for name, _ in bench.target.journal] == ["head"]

    def test_another_identity_is_looked_for_anew_in_what_is_here(self, bench, sign, follow, tmp_path):
        sign()
        follow(identity="", issuer="", trust="").path()  # somebody who does not ask shares the cache
        assert not list(tmp_path.glob("c/versions/*/signed"))
        with pytest.raises(StoreUnavailable, match="offline"):
            follow(offline=True).path()
        bench.target.reset()
        assert follow().version == "1.0.0"
        assert not any("/m/" in key for _, key in bench.target.journal), "the files were here"
        with pytest.raises(Untrusted):
            follow(identity="eve@example.org").path()
        assert follow(identity="", issuer="", trust="").version == "1.0.0"

    def test_it_does_not_go_back_to_one_that_was_not_looked_at(self, bench, sign, follow):
        follow(identity="", issuer="", trust="").path()
        bench.ship(OTHERS)
        sign("1.0.1")
        model = follow(failures=1)
        assert model.version == "1.0.1"
        assert not model.failed("no good")
        assert model.version == "1.0.1"

    def test_in_a_store_nobody_signs(self, bench, follow):
        with pytest.raises(Untrusted, match="this is a store"):
            follow(store=bench.inner).path()

    def test_a_manifest_that_says_other_files_than_were_signed(self, bench, sign, follow):
        """Whoever can write at the target, and has no key to sign the channel, makes a whole version of his own."""
        sign()
        old = bench.target.inner.get(f"models/digits/published/1.0.0/{SIGNATURE}").data
        other = Published()
        other.ship(OTHERS)
        other.put(f"models/digits/published/1.0.0/{SIGNATURE}", old)
        with pytest.raises(Untrusted, match="'m/labels' is not the file that was signed"):
            follow(store=other.target).path()
