"""The models of a project: the public API, reached as `project.models`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rote.errors import Refused, UsageError
from rote.laws.models import remarks
from rote.laws.models import versions as law
from rote.wiring.modelwiring import ModelWiring
from rote.wiring.parts import Wiring
from rote.words.channel import AliasMove, Channel
from rote.words.ids import name, nearest, shown
from rote.words.pipeline import Model
from rote.words.verdict import GateVerdict
from rote.words.version import Version

if TYPE_CHECKING:
    from rote.laws.models.links import Verified
    from rote.laws.models.remarks import Told
    from rote.laws.publishing.publicread import PublicRead
    from rote.services.models.delivery import Fetched
    from rote.services.models.registry import ModelSummary
    from rote.services.releases.releasing import Released
    from rote.services.releases.versiondiff import VersionsDiffer
    from rote.wiring.appbudget import AppBudget
    from rote.wiring.reverting import Reverted
    from rote.wiring.tagwalk import Followed
    from rote.wiring.targeting import At


class Models:
    """Models, their versions and their aliases. Made by `Project.models`."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._parts = ModelWiring(wiring)
        self._cwd = cwd

    def all(self) -> list[ModelSummary]:
        """Every model, its versions (newest first) and its aliases. Raises StoreError."""
        return self._w.registry.models()

    def versions(self, model: str) -> list[Version]:
        """The versions of a model, newest first. Raises Missing."""
        return self._w.registry.versions(model)

    def aliases(self, model: str) -> dict[str, str]:
        """Alias -> the version that it names, of every alias of a model. Raises BadName."""
        return self._w.registry.aliases(model)

    def show(self, model_version: str) -> Version:
        """Everything that is known of `MODEL@VERSION` (or `MODEL@ALIAS`). Raises Missing, BadName, UsageError."""
        return self._w.registry.get(*law.named(model_version))

    def diff(self, before: str, after: str) -> VersionsDiffer:
        """What differs between two versions, each `MODEL@VERSION` or `MODEL@ALIAS`; of the second the model may be left
        out. Raises Missing, BadName, UsageError, Corrupt."""
        from rote.services.releases.versiondiff import compare  # only this call needs it

        old = self.show(before)
        new = self.show(after if "@" in after else f"{old.model}@{after}")
        described = self._w.pipeline.models.get(new.model)
        files = described.files if described else ()
        return compare(old, new, self._parts.provenance, self._w.snapshots, files)

    def history(self, model: str, alias: str) -> list[AliasMove]:
        """Who moved an alias, when and why; newest first. Raises Missing."""
        return self._w.registry.history(model, alias)

    def release(
        self,
        model: str,
        *,
        run: str | None = None,
        version: str | None = None,
        bump: str | None = None,
        note: str = "",
        recorded: bool = False,
    ) -> Released:
        """Make a version of a model out of a run (default: the one that `run` reported last).

        A version that a gate compares it with is evaluated as the run was, if its figures were measured otherwise;
        with `recorded` it counts with the figures that it was released with.

        Raises GateRefused with the verdicts, Refused, Missing, BadName, UsageError.
        """
        described = self._described(model)
        chosen = self._w.runs.named(run or self._last_reported())
        return self._parts.releasing.release(
            described, chosen, version=version, bump=bump, note=note, recorded=recorded
        )

    def release_tags(self, model: str | None = None, *, dry_run: bool = False) -> list[Followed]:
        """Do what git tags ask for that is not done: `MODEL@v1.2.3` releases a run of that commit, `MODEL#prod` moves
        an alias; of one model, or of all in rote.yaml. With `dry_run` only say it. A tag that cannot be followed is in
        what is returned, and the others go on. Raises UsageError."""
        from rote.wiring.runsofcommits import RunsOfCommits  # only this call needs it
        from rote.wiring.tagwalk import Doing, TagWalk  # the same

        if not self._w.git.present:
            raise UsageError(
                "this is no git repository, so there are no tags to follow",
                where=self._w.root,
                next="rote release MODEL",
            )
        if model is not None:
            self._described(model)
        runs = RunsOfCommits(self._w, self._parts.provenance, self._last_reported())
        doing = Doing(
            release=lambda name, run, number: self.release(name, run=run.id, version=number).version,
            promote=lambda name, number, alias, why: self.promote(f"{name}@{number}", alias, why=why),
            run_of=lambda name, commit: runs.find(self._described(name), commit),
            counts=runs.counts,
        )
        return TagWalk(self._w, doing).follow(model, dry_run=dry_run)

    def judge(self, model: str, *, run: str | None = None, recorded: bool = False) -> list[GateVerdict]:
        """What the gates of a model say of a run (default: the one that `run` reported last). No version is made.

        Raises Refused, Missing, UsageError.
        """
        described = self._described(model)
        chosen = self._w.runs.named(run or self._last_reported())
        return self._parts.releasing.judge(described, chosen, recorded=recorded)

    def promote(self, model_version: str, alias: str, *, why: str = "") -> Channel:
        """Point an alias at `MODEL@VERSION`, in the store and then at the targets in `models.NAME.publish`. Raises
        Missing, BadName, UsageError; NotEverywhere for targets that could not be reached."""
        model, version = law.named(model_version)
        return self._delivered(self._w.registry.promote(model, version, alias, why))

    def rollback(self, model: str, alias: str = "prod", *, to: str | None = None, why: str = "") -> Channel:
        """Point an alias back at the version it named before, or at `to`. Versions that are deprecated or gone are
        passed over. Raises Missing, Refused."""
        say = self._w.progress.say
        return self._delivered(self._w.registry.rollback(model, alias, to=to, why=why, say=say))

    def rollback_to_commit(self, model: str, rev: str, alias: str = "prod", *, why: str = "") -> Reverted:
        """Point an alias back at the newest version it named that was made from the data of a commit, and from its code
        if there is one. Where it is at such a version, nothing is changed. Raises Missing, Refused, UsageError."""
        from rote.wiring.reverting import Reverted, Reverting  # only this call needs it
        from rote.wiring.runsofcommits import RunsOfCommits  # the same

        runs = RunsOfCommits(self._w, self._parts.provenance, None)
        chosen = Reverting(self._w, self._parts.provenance, runs).choose(model, alias, rev)
        if chosen.there:
            return chosen
        told = why or f"back to the data of {chosen.commit[:12]}"
        self.rollback(model, alias, to=chosen.version, why=told)
        return Reverted(chosen.version, chosen.commit, chosen.same_code, there=False)

    def renew(self, model: str, alias: str = "prod", *, why: str = "") -> Channel:
        """Say anew that an alias names what it names: signed by the keys in rote.yaml, and good for another
        `models.NAME.expires`. Raises Missing, Refused."""
        return self._delivered(self._w.registry.renew(model, alias, why))

    def budget(
        self,
        model: str,
        alias: str = "prod",
        *,
        apps: int = 1000,
        every: float | str = "5m",
        updates: float = 4.0,
    ) -> AppBudget:
        """What `apps` applications that follow an alias cost in a month: each looks `every` so often, and takes so many
        `updates`, of the size of the last one. Raises Missing, UsageError."""
        from rote.wiring.appbudget import budget  # only this call needs it

        return budget(self._w, model, alias, apps=apps, every=every, updates=updates)

    # what is said of a version

    def remarks(self, model_version: str) -> Told:
        """What was said of `MODEL@VERSION` (or `MODEL@ALIAS`) since it was made: `.notes`, `.tags`, `.deprecated`.

        Raises Missing, BadName, UsageError.
        """
        return self._w.registry.remarks.of(*self._number(model_version))

    def said(self, model: str) -> dict[str, Told]:
        """Version -> what was said of it, of those versions of a model of which something was."""
        of = self._w.registry.remarks
        return {str(number): of.of(model, str(number)) for number in of.versions(model)}

    def note(self, model_version: str, text: str) -> Told:
        """Add a note, one line, to `MODEL@VERSION`. Raises Missing, BadName, UsageError."""
        if not text.strip():
            raise UsageError("an empty note says nothing")
        return self._said(model_version, remarks.NOTE, text=text)

    def tag(self, model_version: str, **tags: str) -> Told:
        """Put tags on `MODEL@VERSION`; an empty value takes one away. Raises Missing, BadName, UsageError."""
        told = self.remarks(model_version)
        for key, value in tags.items():
            told = self._said(model_version, remarks.TAG, key=name(key, "tag"), text=value)
        return told

    def deprecate(self, model_version: str, why: str, *, instead: str | None = None) -> Told:
        """Say that nobody should begin to use `MODEL@VERSION`: no alias is moved to it any more.

        Raises Missing, BadName, UsageError.
        """
        if not why.strip():
            raise UsageError("say why, for those who use it", next="--why TEXT")
        model, number = self._number(model_version)
        key = self._w.registry.get(model, instead).version if instead else ""
        if key == number:
            raise UsageError(f"{model}@{number} cannot stand in for itself")
        return self._said(model_version, remarks.DEPRECATE, key=key, text=why)

    def restore(self, model_version: str) -> Told:
        """Take `deprecate` back. Raises Missing, BadName, UsageError."""
        told = self.remarks(model_version)
        return self._said(model_version, remarks.RESTORE) if told.deprecated else told

    def delete(self, model_version: str, *, why: str = "") -> Version:
        """Remove `MODEL@VERSION`, which no alias may name; its number is not given again. `undelete` brings it back
        until the next collection. Raises Refused, Missing, BadName, UsageError."""
        model, ref = law.named(model_version)
        return self._parts.deleting.delete(model, ref, why)

    def undelete(self, model_version: str) -> Version:
        """Bring a version back that was deleted. Raises Missing if a collection has emptied the trash since."""
        model, ref = law.named(model_version)
        return self._parts.deleting.undo(model, ref)

    def _said(self, model_version: str, kind: str, *, key: str = "", text: str = "") -> Told:
        model, number = self._number(model_version)
        return self._w.registry.remarks.say(model, number, kind, key=key, text=text)

    def _number(self, model_version: str) -> tuple[str, str]:
        """The model, and the number of a version that is there."""
        version = self.show(model_version)
        return version.model, version.version

    # publishing

    def publish(
        self, model_version: str, *targets: str, alias: str | None = None, fresh: bool = False
    ) -> list[At]:
        """Publish the files of `MODEL@VERSION` (or `MODEL@ALIAS`) at targets: those in `models.NAME.publish` if none is
        given. With an alias, or of `MODEL@ALIAS`, its channel is brought there as well.

        Each target is tried. What is there already is not sent again. `fresh` removes first what an unfinished attempt
        left. Raises NotEverywhere with all outcomes, Missing, Refused, BadName, UsageError.
        """
        from rote.wiring.targeting import Targeting  # only this call needs it

        model, ref = law.named(model_version)
        version = self._w.registry.get(model, ref)
        named = alias or (None if law.is_version(ref) else ref)
        if named is not None:
            held = self._w.registry.get(model, named).version
            if held != version.version:
                raise Refused(
                    f"{model}@{named} names {held}, not {version.version}",
                    safe="nothing was published",
                    next=f"rote promote {model}@{version.version} {named}",
                )
        targeting = Targeting(self._w, self._cwd)
        return targeting.publish(version, targeting.chosen(model, targets), alias=named, fresh=fresh)

    def public_read(self, model: str, *targets: str, apply: bool = False) -> list[PublicRead]:
        """What makes targets (those in `models.NAME.publish` if none is given) readable by everybody: `.steps`, and for
        S3 the `.statement` of a bucket policy. With `apply` it is added to the bucket's policy. Raises UsageError,
        Refused, StoreUnavailable."""
        from rote.wiring.targeting import Targeting  # as above

        targeting = Targeting(self._w, self._cwd)
        return [targeting.public(where, apply=apply) for where in targeting.chosen(model, targets)]

    def _delivered(self, channel: Channel) -> Channel:
        """The channel, once the targets in `models.NAME.publish` have it. Raises NotEverywhere."""
        described = self._w.pipeline.models.get(channel.model)
        if described is not None and described.publish:
            from rote.wiring.targeting import Targeting  # as above

            for at in Targeting(self._w, self._cwd).deliver(channel.model, channel.alias):
                for line in at.lines():
                    self._w.progress.say(line)
        return channel

    def fetch(self, model_version: str, to: str) -> Fetched:
        """Bring the files of `MODEL@VERSION` (or `MODEL@ALIAS`) into the folder `to`, verified. Of one that is
        deprecated, progress says so.

        Raises Missing, Unsaved, Corrupt, UsageError.
        """
        model, ref = law.named(model_version)
        fetched = self._parts.delivery.fetch(model, ref, os.path.join(self._cwd, to), self._w.progress)
        deprecated = self._w.registry.remarks.of(model, fetched.version).deprecated
        if deprecated is not None:
            instead = f" (instead: {deprecated.key})" if deprecated.key else ""
            self._w.progress.say(
                f"warning: {model}@{fetched.version} is deprecated: {deprecated.text}{instead}"
            )
        return fetched

    def card(self, model_version: str) -> str:
        """The card of `MODEL@VERSION` (or `MODEL@ALIAS`): Markdown with the front matter of the Hugging Face Hub. Equal
        records give equal bytes. Raises Missing, BadName, UsageError."""
        from rote.wiring.carding import Carding  # only this call needs it

        return Carding(self._w).card(model_version)

    def verify(
        self, what: str, *, read_data: bool = False, identity: str = "", issuer: str = "", trust: str = ""
    ) -> Verified:
        """Walk from `MODEL@VERSION` (or `MODEL@ALIAS`, or a folder in which a version lies) back to its data, up to the
        first broken link; with `read_data` every byte of the data is read. A broken link is in what is returned.
        With `identity` and its `issuer` the files of a published folder must be signed by that, as Sigstore says, whose
        trust root is in the file `trust` (default: the public one).

        Raises Missing, BadName, UsageError, Corrupt, StoreUnavailable, MissingExtra.
        """
        from rote.wiring.verification import Verification  # the same
        from rote.words.signatory import named  # only this call needs it

        signatory = named(identity, issuer, trust)
        return Verification(self._w, self._cwd).named(what, read_data=read_data, signatory=signatory)

    def _described(self, model: str) -> Model:
        """What rote.yaml says of a model."""
        known = self._w.pipeline.models
        if model not in known:
            meant = nearest(model, list(known))
            raise UsageError(
                f"rote.yaml describes no model {shown(model)}",
                where="rote.yaml: models",
                next=f"did you mean {meant}?"
                if meant
                else f"describe it: models: {{{model}: {{files: […]}}}}",
            )
        return known[model]

    def _last_reported(self) -> str:
        """The run that `rote run` reported last in this tree."""
        try:
            with open(os.path.join(self._w.cache, "run"), encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            return "last"
