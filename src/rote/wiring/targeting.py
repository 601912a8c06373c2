"""The targets of a project: from an address to a host, and a version with its channel brought to each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from rote.adapters.stores import address, locations
from rote.errors import NotFound, Refused, RoteError, Unsupported, UsageError
from rote.laws.models import versions
from rote.laws.publishing import releasetags, targetnames
from rote.laws.publishing.publicread import PublicRead, hosted, merged, steps
from rote.ports.hosting import ReleaseHost
from rote.services.runs.warming import same_project
from rote.wiring.parts import Wiring
from rote.words.ids import counted
from rote.words.publication import ManifestRef
from rote.words.version import Version

if TYPE_CHECKING:
    from rote.services.publishing.delivering import Delivered
    from rote.services.publishing.publishing import Published

STORE_MARK = "rote.json"


class At(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a version at one target: what was published, what the alias's channel says there, or the error."""

    target: str
    published: Published | None = None
    channel: Delivered | None = None
    error: str = ""

    def lines(self) -> list[str]:
        """The same for people; nothing of a target that failed, for the error tells."""
        told = []
        made = self.published
        if made is not None:
            name = f"{made.model}@{made.version}"
            if made.created:
                sent = f"{counted(made.sent, 'file')}, {counted(made.bytes, 'byte')}"
                told.append(f"published {name} at {made.page or self.target}: {sent}")
            elif made.repaired:
                told.append(f"{name} at {self.target} had lost {', '.join(made.repaired[:5])}: sent again")
            else:
                told.append(f"{name} was published already at {self.target}")
            if made.signed:
                told.append(f"{name} there is signed now")
        if self.channel is not None:
            word = "names" if self.channel.moved else "named already"
            told.append(f"{self.channel.alias} there {word} {self.channel.version} (move {self.channel.seq})")
        return told


class NotEverywhere(RoteError):
    """Some targets did not get what they should; `outcomes` tells of all of them."""

    def __init__(self, what: str, outcomes: list[At], errors: list[RoteError], command: str) -> None:
        failed = [at for at in outcomes if at.error]
        told = "; ".join(f"{at.target}: {at.error}" for at in failed)
        first = errors[0]
        alone = len(outcomes) == 1
        super().__init__(
            f"{what} not published at {told}",
            safe=(first.safe if alone else None) or _served(len(outcomes) - len(failed), len(outcomes)),
            next=first.next if len(failed) == 1 and first.next else f"{command}, once that is mended",
        )
        self.retry = any(error.retry for error in errors)
        self.outcomes = outcomes


class Targeting:
    """Publishes at targets. `cwd` is where relative folders begin that people type; those in rote.yaml begin at the
    project's root."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd

    def configured(self, model: str) -> list[str]:
        """The addresses in `models.NAME.publish`."""
        described = self._w.pipeline.models.get(model)
        return [self._absolute(text, self._w.root) for text in described.publish] if described else []

    def chosen(self, model: str, typed: Sequence[str]) -> list[str]:
        """The addresses that were typed, or else those in rote.yaml. Raises UsageError if there are none."""
        found = [self._absolute(text, self._cwd) for text in typed] or self.configured(model)
        if not found:
            raise UsageError(
                f"nobody said where {model} is published",
                next=f"rote publish {model}@VERSION TARGET, or models.{model}.publish: [TARGET] in rote.yaml",
            )
        return list(dict.fromkeys(found))

    def _absolute(self, text: str, base: str) -> str:
        name = targetnames.parsed(text)
        return address.canonical(text, base) if name.kind == "store" else text

    def host(self, where: str) -> ReleaseHost:
        """The host at an address, to be written to. Raises UsageError, Refused for the address of a store."""
        name = targetnames.parsed(where)
        if name.kind in targetnames.FORGES:
            from rote.adapters.forges import opening  # only who publishes there needs it

            return opening.host(where, clock=self._w.clock, environ=os.environ)
        if name.kind == targetnames.HUB:
            from rote.adapters.targets import hub  # as above; and it needs an extra

            return hub.host(name.address, os.environ, card=self._card)
        if locations.scheme_of(name.address) in locations.READ_ONLY:
            raise UsageError(
                "a target at this kind of address can only be read",
                where=name.address,
                next="publish to the bucket by its own address, such as s3://BUCKET/PREFIX",
            )
        from rote.adapters.targets.bucket import BucketHost  # only who publishes needs it

        store = self._w.at(name.address, create=True)
        try:
            store.head(STORE_MARK)
        except NotFound:
            return BucketHost(store)
        raise Refused(
            "a store lies there, and a target must not be one: its aliases would be in the way of the store's own",
            where=store.url,
            safe="nothing was written",
            next=f"publish below it: {_below(store.url)}",
        )

    def _card(self, tag: str) -> str:
        """The card of the version that has this tag."""
        from rote.wiring.carding import Carding  # only what becomes the first page of a repository needs it

        model, version = releasetags.parse(tag)
        return Carding(self._w).card(f"{model}@{version}")

    def publish(
        self, version: Version, targets: Sequence[str], *, alias: str | None = None, fresh: bool = False
    ) -> list[At]:
        """Publish a version at each target, and bring it the channel of `alias`. Every target is tried. Raises what a
        single target raised, NotEverywhere for several."""
        name = f"{version.model}@{version.version}"
        outcomes, errors = self._each(targets, lambda host: self._at(host, version, alias, fresh))
        if errors and len(targets) == 1:
            raise errors[0]
        if errors:
            raise NotEverywhere(
                f"{name} is", outcomes, errors, f"rote publish {version.model}@{alias or version.version}"
            )
        return outcomes

    def deliver(self, model: str, alias: str) -> list[At]:
        """Bring the channel of an alias that was moved in the store, and the version it names, to every target in
        `models.NAME.publish`. Raises NotEverywhere."""
        targets = self.configured(model)
        version = self._w.registry.get(model, alias)
        outcomes, errors = self._each(targets, lambda host: self._at(host, version, alias, False))
        if errors:
            what = f"{alias} points at {model}@{version.version} in the store, which is"
            raise NotEverywhere(what, outcomes, errors, f"rote publish {model}@{alias}")
        return outcomes

    def _each(
        self, targets: Sequence[str], work: Callable[[ReleaseHost], At]
    ) -> tuple[list[At], list[RoteError]]:
        outcomes, errors = [], []
        for where in targets:
            try:
                outcomes.append(work(self.host(where)))
            except RoteError as e:
                outcomes.append(At(target=where, error=e.what if e.where == where else str(e)))
                errors.append(e)
        return outcomes, errors

    def public(self, where: str, *, apply: bool = False) -> PublicRead:
        """What makes a target readable by everybody; with `apply` it is done, where rote can. Raises UsageError
        where it cannot, Refused, StoreUnavailable."""
        name = targetnames.parsed(where)
        if name.kind != "store":
            return hosted(where, name.kind == targetnames.HUB)
        if not locations.is_cloud(name.address):
            return steps(where, "file")
        place = locations.parse(name.address)
        options = place.options
        found = steps(
            place.url, place.scheme, bucket=place.bucket, prefix=place.prefix,
            endpoint=options.get("endpoint"), account=options.get("account"),
        )  # fmt: skip
        if not apply:
            return found
        if found.statement is None:
            raise UsageError(
                "rote cannot make this target public by itself", where=place.url, next="; ".join(found.steps)
            )
        return PublicRead(place.url, [self._open(place, found.statement), self._open_to_pages(place)])

    def _open(self, place: locations.Location, statement: Mapping[str, Any]) -> str:
        """Let everybody read what is published; what was done, in words."""
        from rote.adapters.stores.cloud.policy import BucketPolicy  # only who applies one signs one

        policy = BucketPolicy(place, os.environ)
        wanted = merged(policy.get(), statement)
        if wanted is None:
            return "everybody may read it already"
        policy.put(wanted)
        return "everybody may read what is published there from now on, and list nothing"

    def _open_to_pages(self, place: locations.Location) -> str:
        """Let pages of other hosts read what everybody may read; what was done, in words."""
        from rote.adapters.stores.cloud import corsrules  # as above
        from rote.adapters.stores.cloud.cors import BucketCors  # as above

        cors = BucketCors(place, os.environ)
        try:
            wanted = corsrules.merged(cors.get(), place.url)
            if wanted is not None:
                cors.put(wanted)
        except Unsupported:
            return "this server keeps no CORS rules: whether pages of other hosts may read it is set where it is run"
        except RoteError as e:
            e.safe = "everybody may read what is published there; only pages of other hosts cannot"
            raise
        return (
            "pages of other hosts may read it already"
            if wanted is None
            else "and so may pages of other hosts"
        )

    def _at(self, host: ReleaseHost, version: Version, alias: str | None, fresh: bool) -> At:
        from rote.services.publishing.delivering import Delivering  # only who publishes needs it
        from rote.services.publishing.publishing import Publishing, Stored, content_of  # as above
        from rote.wiring import identities  # as above

        described = self._w.pipeline.models.get(version.model)
        vouching = identities.vouching(described.identity if described else None, self._w.root)
        publishing = Publishing(host, progress=self._w.progress, vouching=vouching)
        done: dict[str, Published] = {}

        def publish(one: Version) -> Published:
            source = Stored(self._w.snapshots, one.snapshot)
            found = publishing.publish(
                content_of(one),
                source,
                notes=lambda: self._notes(one),
                commit=self._commit(host, one),
                fresh=fresh,
            )
            done[one.version] = found
            return found

        def manifest_of(number: str) -> ManifestRef:
            found = done.get(number) or publish(self._w.registry.get(version.model, number))
            return found.manifest

        published = publish(version)
        channel = None
        if alias is not None:
            delivering = Delivering(self._w.registry, host, self._w.sealing.seal)
            channel = delivering.deliver(version.model, alias, manifest_of)
        return At(target=host.url, published=published, channel=channel)

    def _commit(self, host: ReleaseHost, version: Version) -> str | None:
        """The commit that the version's tag is put on: its run's, at a forge that has this very repository. Elsewhere
        nobody knows that commit, and the forge chooses."""
        name = targetnames.parsed(host.url)
        if name.kind not in targetnames.FORGES or version.commit is None:
            return None
        from rote.adapters.forges import address as forges  # only who publishes there needs it

        here, there = same_project(self._w.git.origin()), same_project(forges.parse(host.url).page)
        return version.commit if here.lower() == there.lower() else None

    def _notes(self, version: Version) -> str:
        from rote.laws.publishing.releasenotes import notes  # only a new version needs them

        mine = versions.release(version.version)
        return notes(version, self._w.registry.highest(version.model, below=mine))


def _served(good: int, of: int) -> str:
    return f"{good} of {of} targets have it; nothing is half public"


def _below(url: str) -> str:
    place, mark, options = url.partition("?")
    return f"{place.rstrip('/')}/published{mark}{options}"
