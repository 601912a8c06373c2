"""A version of a model from wherever it lies into a folder, without a project."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from rote.adapters.landing.folder import Folder
from rote.errors import Missing, Untrusted
from rote.laws.models import versions
from rote.laws.publishing import accepting, trust
from rote.ports import Progress, Silence
from rote.services.models.channels import key
from rote.services.models.delivery import Fetched
from rote.services.models.plainly import Brought
from rote.services.models.vouching import Vouching
from rote.wiring import identities, origins
from rote.wiring.origins import Origin
from rote.words.signatory import Signatory


def receive(
    address: str,
    model_version: str,
    to: str,
    *,
    keys: Sequence[str] = (),
    signatory: Signatory | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Bring the files of `MODEL@VERSION` (or `MODEL@ALIAS`) from a store or a target into the folder `to`, verified.
    With `keys` only an alias can be asked for, whose channel one of them has signed; with `signatory` a version whose
    files it has signed.

    Raises Missing, Unsaved, Corrupt, Untrusted, StoreUnavailable, UsageError, MissingExtra.
    """
    vouching = identities.vouching(signatory)
    model, ref = versions.named(model_version)
    trusted = trust.checked(keys)
    progress = progress or Silence()
    origin = origins.at(address)
    if versions.is_version(ref):
        if trusted:
            raise Untrusted(
                f"{model}@{ref} cannot be held against a key: only the channels of aliases are signed",
                where=origin.url,
                safe="nothing was fetched",
                next=f"fetch an alias, such as {model}@prod, or leave out --key",
            )
        return _numbered(origin, model, ref, to, vouching=vouching, progress=progress)
    return _named(origin, model, ref, to, trusted=trusted, vouching=vouching, progress=progress)


def _named(
    origin: Origin,
    model: str,
    alias: str,
    to: str,
    *,
    trusted: Sequence[str],
    vouching: Vouching | None,
    progress: Progress,
) -> Fetched:
    where = f"{origin.url}: {key(model, alias)}"
    told = origin.channel(model, alias, None)
    assert told is not None, "nothing was said of what is known"
    channel = origin.decoded(model, alias, told)
    trust.verify(told.data, channel, trusted, where)
    if accepting.is_stale(channel, time.time(), where):
        progress.say(f"what is said of {model}@{alias} expired at {channel.expires}: it may be old")
    if vouching is not None:
        name, ref = f"{model}@{channel.version}", channel.manifest
        manifest = origin.manifest(model, channel.version, ref, channel.snapshot) if ref else None
        origin.hold_against(vouching, name, manifest)
    folder = Folder(os.path.abspath(to))
    brought = origin.bring(channel, folder, progress)
    return _fetched(model, channel.version, to, folder, brought)


def _numbered(
    origin: Origin, model: str, version: str, to: str, *, vouching: Vouching | None, progress: Progress
) -> Fetched:
    folder = Folder(os.path.abspath(to))
    manifest = record = None
    try:
        manifest = origin.manifest(model, version)
    except Missing:
        record = origin.version(model, version)
        if record is None:
            raise
    if vouching is not None:
        origin.hold_against(vouching, f"{model}@{version}", manifest)
    if record is not None:
        brought = origin.bring_stored(record.snapshot, folder, progress)
    else:
        assert manifest is not None, "it is one or the other"
        brought = origin.bring_plain(manifest, folder, progress)
    return _fetched(model, version, to, folder, brought)


def _fetched(model: str, version: str, to: str, folder: Folder, brought: Brought) -> Fetched:
    files = folder.fetched()
    size = sum(file.size for file in files)
    return Fetched(model, version, to, files, size, written=brought.written, kept=brought.kept)
