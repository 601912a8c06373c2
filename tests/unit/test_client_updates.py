"""Updates that somebody tampers with, or that are no good: what is in use stays in use, and the message says why."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from base64 import b64encode

import check_module
import msgspec
import pytest
from modelbench import CHANNEL, noise, tree
from targetbench import Published

from rote.adapters.signing.keyring import KeyRing
from rote.adapters.stores.folder import FolderStore
from rote.client import Model
from rote.errors import Corrupt, Missing, RoteError, Stale, StoreUnavailable, Unfit, Untrusted, UsageError
from rote.laws.publishing import polling
from rote.laws.publishing.trust import key_id, public_key
from rote.services.models.channels import decoded
from rote.testing.faults import Fault, FaultyStore
from rote.words.channel import Signature
from rote.words.encoding import signed_part, with_check
from rote.words.publication import MANIFEST

NET = noise(6 << 20)
ONE = {"m": {"net": NET, "labels": b"one", "kept": b"kept"}}
TWO = {
    "m": {
        "net": NET[: 3 << 20] + noise(300_000, 1) + NET[(3 << 20) + 300_000 :],
        "labels": b"two",
        "kept": b"kept",
    }
}
THREE = {"m": {"net": noise(200_000, 2), "labels": b"three", "tool": b"#!/bin/sh\n"}}
SMALL = [{"m": {"net": noise(2000, n), "labels": str(n).encode()}} for n in range(6)]


def served(model):
    return tree(model.path() / "m")


@pytest.fixture
def bench(tmp_path):
    made = Published(tmp_path / "keys")
    made.ship(ONE)
    return made


@pytest.fixture
def follow(bench, tmp_path):
    """Makes the application anew, on one cache, as after a restart."""
    return lambda **rest: Model(
        rest.pop("store", bench.target),
        "digits",
        cache=tmp_path / "c",
        keys=rest.pop("keys", bench.keys),
        **rest,
    )


class TestAtATarget:
    def test_the_files_come_from_where_they_lie_plainly(self, bench, follow):
        model = follow()
        assert served(model) == ONE["m"]
        assert (model.version, model.problem, model.stale) == ("1.0.0", None, False)
        assert set(model.files) == {"m/kept", "m/labels", "m/net"}
        assert model.files["m/labels"].read_bytes() == b"one"
        size = sum(map(len, ONE["m"].values()))
        assert size <= bench.target.bytes.total() < size * 1.01

    def test_a_poll_is_one_request_without_a_body_also_after_a_restart(self, bench, follow):
        model = follow()
        model.path()
        for again in (model, follow()):
            bench.target.reset()
            assert not again.refresh()
            assert bench.target.journal == [("head", CHANNEL)]
            assert bench.target.bytes.total() == 0

    def test_an_update_of_5_percent_reads_8_percent_at_most(self, bench, follow):
        model = follow()
        model.path()
        bench.ship(TWO)
        assert model.refresh()
        assert served(model) == TWO["m"]
        size = sum(map(len, TWO["m"].values()))
        # a stretch of 5 percent touches at most two chunks more than it is long, of at most 1 MiB
        assert bench.target.bytes.total() < 300_000 + 2 * (1 << 20) + 20_000
        assert bench.target.bytes.total() < size / 3
        assert len(bench.target.journal) <= 6

    def test_changes_all_over_a_file_are_asked_for_at_once(self, bench, follow):
        large = noise(20 << 20)
        bench.ship({"m": {"net": large}})
        model = follow()
        model.path()
        changed = bytearray(large)
        for start in range(1 << 20, len(large), 4 << 20):
            changed[start : start + 1000] = noise(1000, start)
        bench.ship({"m": {"net": bytes(changed)}})
        assert model.refresh()
        assert served(model) == {"net": bytes(changed)}
        assert [kind for kind, _ in bench.target.journal] == ["head", "get", "get_ranges", "get_ranges"]
        assert bench.target.bytes.total() < 11 << 20

    def test_a_chunk_that_was_damaged_here_is_read_anew(self, bench, follow):
        model = follow()
        net = model.path() / "m" / "net"
        bench.ship(TWO)
        net.chmod(0o644)
        with net.open("r+b") as file:
            file.seek(5 << 20)
            file.write(b"rot")
        bench.target.reset()
        assert model.refresh()
        assert served(model) == TWO["m"]
        assert bench.target.bytes.total() < 4 << 20, "the others were taken from here"

    def test_files_in_parts_are_joined(self, bench, follow):
        bench.ship(TWO, largest=1 << 20)
        model = follow()
        assert served(model) == TWO["m"]
        bench.ship(ONE, largest=700_001)
        bench.target.reset()
        assert model.refresh()
        assert served(model) == ONE["m"]
        assert bench.target.bytes.total() < 3 << 20

    def test_a_rollback_reads_the_document_only(self, bench, follow):
        model = follow()
        model.path()
        bench.ship(TWO)
        assert model.refresh()
        bench.registry.rollback("digits")
        bench.publish()
        bench.target.reset()
        assert model.refresh()
        assert served(model) == ONE["m"]
        assert bench.target.journal == [("head", CHANNEL), ("get", CHANNEL)]

    @pytest.mark.parametrize(
        "address", ["hf:owner", "gitlob:a/b", "ftp://x/y", " ", "github:x", "https://u:p@h/x"]
    )
    def test_where_no_model_can_be(self, address, tmp_path):
        with pytest.raises(UsageError) as caught:
            Model(address, "digits", cache=tmp_path / "c").path()
        assert caught.value.next
        assert ":p@" not in str(caught.value)

    def test_a_version_that_is_gone(self, bench, follow):
        model = follow()
        model.path()
        bench.ship(TWO)
        bench.target.inner.delete(f"models/digits/published/1.0.1/{MANIFEST}")
        with pytest.raises(Missing, match=r"digits@1\.0\.1 is not published here, or no longer"):
            model.refresh()
        assert served(model) == ONE["m"]


HOSTILE_PATHS = [
    "../x",
    "/etc/passwd",
    "a/../../x",
    "C:\\x",
    "a\\b",
    "m/net/below",
    "x\0y",
    ".git/config",
    "M/NET",
    "con",
    "a//b",
    "",
    ".",
]


def tree_or(error, model):
    """The files, or None after this error; another one is raised."""
    try:
        return served(model)
    except error:
        return None


class TestHostileTargets:
    @pytest.mark.parametrize("path", HOSTILE_PATHS)
    def test_paths(self, bench, follow, tmp_path, path):
        def change(manifest):
            files = sorted(
                [*manifest.files, msgspec.structs.replace(manifest.files[0], path=path)],
                key=lambda f: f.path.encode(),
            )
            return msgspec.structs.replace(manifest, files=files)

        bench.publish(change=change)
        before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
        with pytest.raises(Corrupt):
            follow().path()
        after = sorted(
            p.relative_to(tmp_path) for p in tmp_path.rglob("*") if "c" not in p.relative_to(tmp_path).parts
        )
        assert [p for p in before if "c" not in p.parts] == after

    @pytest.mark.parametrize(
        "change",
        [
            {"size": 1 << 50},
            {"size": -1},
            {"digest": "0" * 64},
            {"digest": "zz"},
            {"chunks": [("0" * 64, 1 << 40)]},
            {"chunks": [("0" * 64, 3)] * 2},
            {"assets": []},
            {"executable": True},
        ],
        ids=str,
    )
    def test_figures(self, bench, follow, change):
        bench.publish(
            change=lambda m: msgspec.structs.replace(
                m, files=[msgspec.structs.replace(m.files[0], **change), *m.files[1:]]
            )
        )
        started = bench.target.bytes.total()
        with pytest.raises(Corrupt):
            follow().path()
        assert bench.target.bytes.total() - started < 100_000, "refused before a file was read"

    def test_a_manifest_that_is_not_the_one_that_was_signed(self, bench, follow):
        bench.put(
            f"models/digits/published/1.0.0/{MANIFEST}",
            b"x" * len(bench.target.inner.get(f"models/digits/published/1.0.0/{MANIFEST}").data),
        )
        with pytest.raises(Corrupt, match="not the one that the channel document names"):
            follow().path()

    def test_a_version_too_large_for_the_disk_is_refused_before_it_is_read(self, bench, follow, monkeypatch):
        monkeypatch.setattr("rote.adapters.landing.disk.free", lambda path: 5_000_000)
        bench.target.reset()
        with pytest.raises(RoteError, match="are to be written, and 5,000,000 are free"):
            follow().path()
        assert bench.target.bytes.total() < 100_000

    @pytest.mark.parametrize("harm", ["flip", "cut", "longer", "swap", "gone"])
    def test_a_file_that_is_not_what_it_was(self, bench, follow, harm):
        model = follow()
        model.path()
        bench.ship(THREE)
        key = "models/digits/published/1.0.1/m/net"
        data = THREE["m"]["net"]
        other = {
            "flip": data[:1000] + bytes([data[1000] ^ 1]) + data[1001:], "cut": data[:-1], "longer": data + b"x",
            "swap": data[::-1],
        }.get(harm)  # fmt: skip
        if other is None:
            bench.target.inner.delete(key)
        else:
            bench.put(key, other)
        if harm == "longer":
            assert model.refresh(), "what lies behind the end is not read"
            assert served(model) == THREE["m"]
            return
        with pytest.raises(RoteError) as caught:
            model.refresh()
        assert ("somebody deleted it" if other is None else "damaged, cut or swapped") in caught.value.what
        assert caught.value.safe == "nothing was installed"
        assert "ask who publishes it" in caught.value.next
        assert served(model) == ONE["m"]
        assert served(follow()) == ONE["m"]
        bench.put(key, data)
        assert model.refresh()
        assert served(model) == THREE["m"]

    def test_every_object_rotten_once(self, bench, follow, tmp_path):
        model = follow()
        model.path()
        bench.ship(TWO)
        number, ended = 0, False
        while not ended:
            store = FaultyStore(
                bench.target.inner,
                lambda n, kind, key, at=number: Fault.ROT if n == at and kind != "head" else None,
            )
            again = Model(store, "digits", cache=tmp_path / f"x{number}", keys=bench.keys)
            ended = tree_or(Corrupt, again) == TWO["m"] and not store.met
            number += 1
        assert number > 3


class TestSigned:
    def test_a_document_that_nobody_signed(self, bench, follow):
        model = follow()
        model.path()
        forged = msgspec.structs.replace(
            decoded("digits", "prod", bench.document()), seq=9, signatures=msgspec.UNSET
        )
        bench.put(CHANNEL, with_check(forged))
        with pytest.raises(Untrusted, match="not signed"):
            model.refresh()
        assert isinstance(model.problem, Untrusted)
        assert served(model) == ONE["m"]
        with pytest.raises(Untrusted):
            Model(bench.target, "digits", cache=model.path().parents[4] / "fresh", keys=bench.keys).path()

    def test_one_that_somebody_else_signed(self, bench, follow, tmp_path):
        model = follow()
        model.path()
        bench.ring = KeyRing({}, str(tmp_path / "others"))
        bench.resign(keys=(bench.ring.create("digits", "now").public,))
        bench.ship(TWO)
        with pytest.raises(Untrusted, match="is signed by"):
            model.refresh()
        assert served(model) == ONE["m"]

    def test_every_byte_of_it_flipped(self, bench, follow):
        model = follow()
        model.path()
        bench.ship(TWO)
        document = bench.document()
        chance = random.Random(1)
        for at in [*range(0, len(document), 7)]:
            changed = bytearray(document)
            changed[at] ^= 1 << chance.randrange(8)
            bench.put(CHANNEL, bytes(changed))
            with pytest.raises(RoteError):
                model.refresh()
            assert model.version == "1.0.0"
        bench.put(CHANNEL, document)
        assert model.refresh()

    @pytest.mark.parametrize(
        "change", [{"expires": "soon"}, {"keys": ["x"]}, {"keys": ["ed25519:"] * 9}], ids=str
    )
    def test_one_that_is_signed_and_makes_no_sense(self, bench, follow, change):
        model = follow()
        model.path()
        channel = msgspec.structs.replace(
            decoded("digits", "prod", bench.document()), seq=2, signatures=msgspec.UNSET, **change
        )
        message = signed_part(with_check(channel), "")
        key = bench.keys[0]
        signature = Signature(
            key=key_id(public_key(key)), signature=b64encode(bench.ring.sign(key, message)).decode()
        )
        bench.put(CHANNEL, with_check(msgspec.structs.replace(channel, signatures=[signature])))
        with pytest.raises(RoteError, match=r"not a time|not a public key"):
            model.refresh()
        assert served(model) == ONE["m"]
        assert not follow().stale
        assert model.version == "1.0.0"

    def test_without_keys_every_document_is_good(self, bench, follow, tmp_path):
        assert served(Model(bench.target, "digits", cache=tmp_path / "u")) == ONE["m"]

    def test_an_application_learns_of_a_new_key_and_forgets_the_old_one(self, bench, follow, tmp_path):
        shipped = bench.keys
        old = Model(bench.target, "digits", cache=tmp_path / "c", keys=shipped)
        old.path()
        new = bench.ring.rotate("digits", "later")
        bench.resign(keys=(new.public,))
        bench.ship(TWO)
        assert old.refresh()
        # From now on the former key opens nothing here, should it be in wrong hands.
        thief = KeyRing({}, str(tmp_path / "keys"))
        os.unlink(new.where)
        retired = next(k for k in thief.all())
        assert [retired.public] == shipped
        bench.ring = thief
        bench.resign(keys=tuple(shipped))
        bench.ship(THREE)
        again = Model(bench.target, "digits", cache=tmp_path / "c", keys=shipped)
        with pytest.raises(Untrusted):
            again.refresh()
        assert served(again) == TWO["m"]

    def test_an_application_that_slept_through_it_learns_it_too(self, bench, tmp_path):
        shipped = bench.keys
        for n in range(3):
            new = bench.ring.rotate("digits", f"later {n}")
            bench.resign(keys=(new.public,))
            bench.ship(SMALL[n])
        model = Model(bench.target, "digits", cache=tmp_path / "c", keys=shipped)
        assert served(model) == SMALL[2]["m"]

    def test_other_shipped_keys_count_again(self, bench, tmp_path):
        model = Model(bench.target, "digits", cache=tmp_path / "c")
        model.path()
        other = KeyRing({}, str(tmp_path / "others")).create("x", "now").public
        strict = Model(bench.target, "digits", cache=tmp_path / "c", keys=[other])
        with pytest.raises(Untrusted):
            strict.refresh()
        assert served(strict) == ONE["m"], "what was verified before is served"
        right = Model(bench.target, "digits", cache=tmp_path / "c", keys=bench.keys)
        assert not right.refresh()
        assert right.problem is None

    def test_a_key_that_is_none(self, tmp_path):
        with pytest.raises(UsageError, match="not a public key"):
            Model("/x", "digits", keys=["hello"])


class TestReplayed:
    @pytest.mark.parametrize(
        "seeds", [range(6), pytest.param(range(6, 46), marks=pytest.mark.heavy)], ids=["everyday", "full"]
    )
    def test_every_older_state_is_refused_in_any_order(self, bench, follow, tmp_path, seeds):
        states = [bench.document()]
        for outs in SMALL:
            bench.ship(outs)
            states.append(bench.document())
        bench.registry.rollback("digits")
        bench.publish()
        states.append(bench.document())
        newest = decoded("digits", "prod", states[-1])
        for seed in seeds:
            chance = random.Random(seed)
            model = Model(bench.target, "digits", cache=tmp_path / f"r{seed}", keys=bench.keys)
            reached = 0
            for _ in range(12):
                state = chance.choice(states)
                bench.put(CHANNEL, state)
                offered = decoded("digits", "prod", state).seq
                if chance.random() < 0.3:
                    model = Model(bench.target, "digits", cache=tmp_path / f"r{seed}", keys=bench.keys)
                model.refresh()
                reached = max(reached, offered)
                assert model._cache.current().seq == reached
                if offered < reached:
                    assert "an old state of the store" in str(model.problem)
        assert newest.seq == 8

    def test_a_state_that_was_seen_counts_also_if_it_could_not_be_installed(self, bench, follow):
        model = follow()
        model.path()
        bench.ship(SMALL[0])
        between = bench.document()
        bench.ship(SMALL[1])
        bench.target.inner.delete(f"models/digits/published/1.0.2/{MANIFEST}")
        with pytest.raises(Missing):
            model.refresh()
        bench.put(CHANNEL, between)
        model = follow()
        assert not model.refresh()
        assert "move 2 of digits@prod (1.0.1), but move 3 (1.0.2) was seen already" in str(model.problem)
        assert model.version == "1.0.0"

    def test_another_state_with_a_known_number(self, bench, follow):
        model = follow()
        model.path()
        channel = decoded("digits", "prod", bench.document())
        bench.release(TWO)
        there = bench.registry.find("digits", "1.0.1")
        forged = msgspec.structs.replace(channel, version="1.0.1", snapshot=there.snapshot)
        bench.put(CHANNEL, with_check(bench.sealing.seal(forged)))
        assert not model.refresh()
        assert "not the store that it was" in str(model.problem)
        assert served(model) == ONE["m"]

    def test_a_document_of_another_model_or_alias(self, bench, follow):
        model = follow()
        model.path()
        channel = decoded("digits", "prod", bench.document())
        for change in ({"model": "letters"}, {"alias": "staging"}):
            other = bench.sealing.seal(msgspec.structs.replace(channel, seq=5, **change))
            bench.put(CHANNEL, with_check(other))
            with pytest.raises(Corrupt, match="belongs to"):
                model.refresh()

    def test_an_enormous_document(self, bench, follow):
        model = follow()
        model.path()
        bench.put(CHANNEL, b"x" * 5000)
        with pytest.raises(Corrupt, match="larger than 4096"):
            model.refresh()

    @pytest.mark.parametrize("document", [b"", b"hello", b"x" * 5000], ids=["empty", "words", "enormous"])
    def test_what_is_no_document_is_told_to_somebody_who_can_only_read(self, bench, follow, document):
        model = follow()
        model.path()
        bench.put(CHANNEL, document)
        with pytest.raises(Corrupt) as caught:
            model.refresh()
        assert caught.value.where == f"{bench.target.url}: {CHANNEL}"
        assert caught.value.safe == "nothing was installed"
        assert caught.value.next.startswith("ask who publishes it")
        assert served(model) == ONE["m"]


class TestOffline:
    def test_nothing_is_asked_of_anybody(self, bench, follow, monkeypatch):
        with pytest.raises(StoreUnavailable, match="this application is offline"):
            follow(offline=True).path()
        follow().path()
        bench.ship(TWO)
        asleep = follow(offline=True)
        monkeypatch.setenv("ROTE_OFFLINE", "1")
        for model in (asleep, follow()):
            assert not model.refresh()
            assert served(model) == ONE["m"]
            assert not model.stale
        assert bench.target.journal == []
        monkeypatch.setenv("ROTE_OFFLINE", "0")
        assert follow().refresh()

    def test_a_cache_of_before_serves_and_is_noted(self, bench, follow, tmp_path):
        model = follow()
        model.path()
        (tmp_path / "c" / "seen").unlink()
        before = os.stat(tmp_path / "c" / "current").st_mtime_ns
        assert not follow().refresh()
        assert os.stat(tmp_path / "c" / "current").st_mtime_ns == before
        bench.target.reset()
        assert not follow().refresh()
        assert bench.target.journal == [("head", CHANNEL)]


class TestExpired:
    @pytest.fixture
    def expiring(self, bench):
        # The bench's clock stands still in November 2026; these documents expired before anybody reads them, or never do.
        bench.resign(expires=3600.0)
        bench.registry.renew("digits", "prod")
        bench.publish()
        return bench

    def test_what_is_in_use_goes_on_and_says_so(self, bench, follow, monkeypatch):
        model = follow()
        model.path()
        bench.resign(expires=3600.0)
        bench.registry.renew("digits", "prod")
        bench.publish()
        channel = decoded("digits", "prod", bench.document())
        moment = time.mktime(time.strptime(channel.expires, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        now = [moment - 10]
        monkeypatch.setattr(model._updater, "_now", lambda: now[0])
        assert not model.refresh()
        assert (model.stale, model.problem) == (False, None)
        now[0] = moment
        assert model.stale
        assert not model.refresh()
        assert isinstance(model.problem, Stale)
        assert "rote model renew digits prod" in model.problem.next
        assert served(model) == ONE["m"]
        bench.registry.renew("digits", "prod")
        bench.publish()
        bench.clock.sleep(7200)
        bench.registry.renew("digits", "prod")
        bench.publish()
        assert not model.refresh()
        assert (model.stale, model.problem) == (False, None)

    def test_offline_it_is_stale_as_well(self, bench, follow, monkeypatch):
        bench.resign(expires=3600.0)
        bench.registry.renew("digits", "prod")
        bench.publish()
        model = follow()
        monkeypatch.setattr(model._updater, "_now", lambda: 0.0)
        model.path()
        offline = follow(store=FaultyStore(bench.target.inner, lambda n, kind, key: Fault.UNAVAILABLE))
        monkeypatch.setattr(offline._updater, "_now", lambda: 4e9)
        assert served(offline) == ONE["m"]
        assert offline.stale
        assert isinstance(offline.problem, StoreUnavailable)

    def test_a_first_version_that_expired_is_refused(self, expiring, follow, monkeypatch):
        model = follow()
        monkeypatch.setattr(model._updater, "_now", lambda: 4e9)
        with pytest.raises(Stale, match="expired at"):
            model.path()
        monkeypatch.setattr(model._updater, "_now", lambda: 0.0)
        assert served(model) == ONE["m"]


class TestChecked:
    def test_a_good_one_is_put_in_use(self, bench, follow):
        assert served(follow(check=check_module.good)) == ONE["m"]

    @pytest.mark.parametrize(
        ("check", "why"),
        [
            (check_module.no, "it said no"),
            (check_module.dies, "SIGSEGV"),
            (check_module.Suite.inner, "RuntimeError: from within"),
            (check_module.talks, "xxx"),
            ([sys.executable, "-c", "import sys; sys.exit('no ' + sys.argv[1][:1])"], "no /"),
            ("false", "it ended with 1"),
        ],
        ids=["a no", "a signal", "an exception", "much talk", "a command", "another command"],
    )
    def test_a_bad_one_is_not(self, bench, follow, check, why):
        with pytest.raises(Unfit, match=r"digits@1\.0\.0 failed here once: the check failed: ") as caught:
            follow(check=check).path()
        assert why in caught.value.what
        assert len(caught.value.what) < 500

    def test_one_that_hangs_is_ended_with_its_children(self, bench, follow):
        with pytest.raises(Unfit, match=r"longer than 0\.5 seconds"):
            follow(check=check_module.hangs, check_timeout=0.5).path()

    def test_what_fails_stays_out_and_is_left_alone_until_something_newer(self, bench, follow):
        model = follow(check=check_module.not_two, failures=2)
        model.path()
        bench.ship(TWO)
        assert not model.refresh()
        assert "digits@1.0.1 failed here once: the check failed: ValueError: class 7 is missing" in str(
            model.problem
        )
        assert model.problem.safe == "1.0.0 is in use"
        assert not follow(check=check_module.not_two, failures=2).refresh()
        bench.target.reset()
        model = follow(check=check_module.not_two, failures=2)
        assert not model.refresh()
        assert "2 times" in str(model.problem)
        assert bench.target.journal == [("head", CHANNEL)], "it is not tried again"
        assert served(model) == ONE["m"]
        bench.resign(expires=1e9)
        bench.registry.renew("digits", "prod")
        bench.publish()
        assert not model.refresh(), "a renewal does not lift it"
        assert isinstance(model.problem, Unfit)
        bench.ship(THREE)
        assert model.refresh()
        assert model.problem is None
        assert served(model) == THREE["m"]

    def test_promoted_again_it_is_tried_again(self, bench, follow):
        model = follow(check=check_module.not_two, failures=1)
        model.path()
        bench.ship(TWO)
        assert not model.refresh()
        bench.registry.rollback("digits")
        bench.publish()
        assert not model.refresh()
        assert model.problem is None
        bench.registry.promote("digits", "1.0.1", "prod")
        bench.publish()
        assert follow(failures=1).refresh(), "without the check"

    @pytest.mark.parametrize("check", [lambda folder: True, [], [1]])
    def test_what_cannot_be_a_check(self, follow, check):
        with pytest.raises(UsageError):
            follow(check=check)

    def test_a_command_that_is_not_there(self, bench, follow):
        with pytest.raises(UsageError, match="cannot be started"):
            follow(check=["/nowhere/check"]).path()

    def test_a_check_of_a_script_is_found_by_another_process(self, bench, tmp_path):
        import subprocess

        store = FolderStore(str(tmp_path / "target"))
        for meta in bench.target.inner.list("models/"):
            store.create(meta.key, bench.target.inner.get(meta.key).data)
        script = tmp_path / "app.py"
        script.write_text(
            "from rote.client import Model\n"
            "def check(folder):\n    assert (folder / 'm' / 'labels').read_bytes() == b'one'\n"
            "if __name__ == '__main__':\n"
            f"    print(Model('target', 'digits', cache='c', keys={bench.keys}, check=check).version)\n"
        )
        told = subprocess.run(
            [sys.executable, str(script)],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (told.stdout, told.stderr) == ("1.0.0\n", "")


class TestReverted:
    def test_said_to_fail_often_enough_it_gives_way(self, bench, follow):
        model = follow(failures=2)
        first = model.path()
        bench.ship(TWO)
        model.refresh()
        assert not model.failed("nonsense")
        model = follow(failures=2)
        assert model.version == "1.0.1"
        assert model.failed("nonsense again")
        assert (model.version, model.path()) == ("1.0.0", first)
        assert "digits@1.0.1 failed here 2 times: nonsense again" in str(model.problem)
        assert not model.refresh()
        again = follow(failures=2)
        assert not again.refresh()
        assert again.version == "1.0.0"
        bench.ship(THREE)
        assert again.refresh()
        assert served(again) == THREE["m"]

    def test_with_nothing_before_it_stays(self, bench, follow):
        model = follow(failures=1)
        assert not model.failed("nonsense")
        assert model.version == "1.0.0"
        assert isinstance(model.problem, Unfit)

    def test_the_one_before_that_failed_as_well_is_not_taken(self, bench, follow):
        model = follow(failures=1)
        model.path()
        bench.ship(TWO)
        model.refresh()
        assert model.failed("bad")
        bench.ship(THREE)
        assert model.refresh()
        assert model.failed("bad")
        assert model.version == "1.0.0"
        assert not model.failed("bad, too"), "what came before is not there or failed"

    def test_what_cannot_be_loaded_gives_way(self, bench, follow):
        model = follow()
        assert model.load(lambda folder: (folder / "m" / "labels").read_bytes()) == b"one"
        bench.ship(TWO)
        model.refresh()
        tried = []

        def loader(folder):
            tried.append((folder / "m" / "labels").read_bytes())
            if tried[-1] == b"two":
                raise ValueError("an operator is missing")
            return tried[-1]

        assert model.load(loader) == b"one"
        assert tried == [b"two"] * 3 + [b"one"]
        assert "ValueError: an operator is missing" in str(model.problem)

    def test_a_loader_that_never_works_is_told(self, bench, follow):
        model = follow(failures=2)
        with pytest.raises(ZeroDivisionError):
            model.load(lambda folder: 1 / 0)
        with pytest.raises(KeyboardInterrupt):
            model.load(lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))


class TestWatched:
    def test_the_callback_hears_of_every_change(self, bench, follow):
        model = follow()
        model.path()
        heard = []
        came = threading.Event()

        def callback(model):
            heard.append(model.version)
            came.set()

        watch = model.watch(callback, every=0.01)
        try:
            for n, outs in enumerate(SMALL[:3], 1):
                came.clear()
                bench.ship(outs)
                assert came.wait(60)
                assert heard[-1] == f"1.0.{n}"
        finally:
            watch.stop()
        count = len(bench.target.journal)
        bench.ship(SMALL[4])
        assert heard == ["1.0.1", "1.0.2", "1.0.3"]
        assert count

    def test_a_callback_that_fails_makes_way_for_the_version_before(self, bench, follow):
        model = follow(failures=2)
        model.path()
        heard = []
        done = threading.Event()

        def callback(model):
            heard.append(model.version)
            if model.version == "1.0.1":
                raise ValueError("cannot load it")
            done.set()

        watch = model.watch(callback, every=0.01)
        try:
            bench.ship(SMALL[0])
            assert done.wait(60)
        finally:
            watch.stop()
        assert heard == ["1.0.1", "1.0.1", "1.0.0"]
        assert model.version == "1.0.0"

    def test_path_is_not_held_up_by_a_look(self, bench, follow):
        asked, go = threading.Event(), threading.Event()

        def plan(n, kind, key):
            if kind == "head" and n:
                asked.set()
                assert go.wait(60)
            return None

        model = follow(store=FaultyStore(bench.target.inner, plan))
        model.path()
        thread = threading.Thread(target=model.refresh)
        thread.start()
        assert asked.wait(60)
        assert served(model) == ONE["m"]
        go.set()
        thread.join()

    def test_waits(self):
        chance = random.Random(0)
        waits = [polling.pause(300, 0, chance.random()) for _ in range(1000)]
        assert min(waits) >= 240
        assert max(waits) <= 360
        assert 290 < sum(waits) / len(waits) < 310
        assert [polling.pause(300, n, 0.5) for n in range(6)] == [300, 600, 1200, 2400, 3600, 3600]
        assert polling.pause(300, 1000, 0.5) == 3600
        assert polling.pause(7200, 5, 0.5) == 7200
        assert polling.pause(300, 1, 0.5, asked=5000) == 5000

    @pytest.mark.parametrize(
        ("text", "seconds"), [("5m", 300), ("1h", 3600), ("90", 90), ("1.5h", 5400), ("2 d", 172800), (7, 7)]
    )
    def test_times(self, text, seconds):
        assert polling.seconds(text) == seconds

    @pytest.mark.parametrize(
        "text", ["", "x", "0", "-5m", 0, -1, float("inf"), float("nan"), "5 minutes", True]
    )
    def test_what_is_no_time(self, text):
        with pytest.raises(UsageError):
            polling.seconds(text)


class TestShared:
    def test_two_applications_and_two_threads_on_one_cache(self, bench, tmp_path):
        store = FolderStore(str(tmp_path / "target"))
        both = [Model(store, "digits", cache=tmp_path / "c", keys=bench.keys) for _ in range(2)]

        def put(key, data):
            try:
                store.replace(key, data, store.head(key).etag)
            except RoteError:
                store.create(key, data)

        problems = []
        for n, outs in enumerate(SMALL):
            bench.ship(outs)
            for meta in sorted(bench.target.inner.list("models/"), key=lambda m: "aliases" in m.key):
                put(meta.key, bench.target.inner.get(meta.key).data)
            start = threading.Barrier(4)

            def look(model):
                try:
                    start.wait()
                    model.refresh()
                    assert served(model)["labels"] == str(n).encode()
                except Exception as e:  # noqa: BLE001 - told below, outside of the thread
                    problems.append(e)

            threads = [threading.Thread(target=look, args=(model,)) for model in both * 2]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert problems == []
        assert len(list((tmp_path / "c" / "versions").iterdir())) == 2

    def test_a_cache_that_may_only_be_read_serves(self, bench, follow, tmp_path, monkeypatch):
        follow().path()

        def refuse(*_, **__):
            raise PermissionError(30, "Read-only file system")

        monkeypatch.setattr("rote.adapters.landing.cache.os.open", refuse)
        monkeypatch.setattr("rote.adapters.landing.cache.os.makedirs", refuse)
        model = follow()
        assert not model.refresh()
        assert model.problem is None
        bench.ship(TWO)
        with pytest.raises(RoteError, match="Read-only file system"):
            model.refresh()
        assert served(model) == ONE["m"]
        assert "what was in use before is untouched" in model.problem.safe
