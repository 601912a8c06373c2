"""Every way rote can fail, as one tree.

RoteError                      what happened, where, what is safe, what to type next; exit code 1
├── UsageError                 the request itself is wrong; exit code 2
│   ├── BadName                a name, digest, id or version that no grammar accepts
│   ├── BadPath                a path that may not stand in a snapshot
│   ├── ConfigError            rote.yaml, params or a setting: file, line, key, nearest valid name
│   ├── NotAProject            no rote project here
│   └── MissingExtra           an optional part is not installed; `next` is the exact pip line
├── StoreError                 the store could not do what was asked
│   ├── NotFound               no such object
│   ├── Conflict               a conditional write met something else (the caller re-reads and decides)
│   ├── Unknown                a write whose reply was lost: neither success nor failure until read back
│   ├── Corrupt                bytes are not what their digest says
│   ├── Untrusted              signed by nobody who is trusted, or not at all
│   ├── TooNew                 written by a newer rote
│   ├── StoreFull              no space left; what was committed before is untouched
│   ├── Unsupported            this kind of store cannot do it at all
│   └── StoreUnavailable       cannot be reached or refused access; `retry` says whether waiting can help
├── Missing                    a snapshot, run, model or version that the store does not hold
├── SourceUnavailable          a source of data outside is not there, cannot be reached or refused access
├── Unsaved                    local changes would be lost
├── Changed                    a file changed while it was being read
├── Locked                     another process works in this tree
├── StageFailed                a stage ended badly
├── Refused                    a gate or a rule of the registry said no
├── Stale                      what a channel says has expired: nobody knows whether it is still the newest
├── Unfit                      a version of a model that failed at this application, and is not put in use
└── Stopped                    interrupted by the user; exit code 130
"""

from __future__ import annotations


class RoteError(Exception):
    """Something that a person has to know about.

    `what` says what happened; `where` names the place (file:line, key, store); `safe` says what has not been
    harmed; `next` is the next command to type or thing to do. `retry` is true where doing the same again can help.
    """

    exit_code = 1
    retry = False

    def __init__(
        self, what: str, *, where: str | None = None, safe: str | None = None, next: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.safe = safe
        self.next = next

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def lines(self) -> list[str]:
        """The message as it is shown: what (with where), then what is safe, then what to do next."""
        shown = [str(self)]
        if self.safe:
            shown.append(f"safe: {self.safe}")
        if self.next:
            shown.append(f"next: {self.next}")
        return shown


class UsageError(RoteError):
    """The request itself is wrong: nothing was tried."""

    exit_code = 2


class BadName(UsageError):
    """A name, digest, id or version that its grammar does not accept."""


class BadPath(UsageError):
    """A path that may not stand in a snapshot."""


class ConfigError(UsageError):
    """A configuration, pipeline or params file says something that cannot be meant."""


class NotAProject(UsageError):
    """There is no rote project at or above the folder."""


class MissingExtra(UsageError):
    """An optional part of rote is not installed."""


class StoreError(RoteError):
    """The store could not do what was asked."""


class NotFound(StoreError):
    """There is no such object in the store."""

    def __init__(self, key: str, **rest: str | None) -> None:
        super().__init__(f"the store has no object {key}", **rest)
        self.key = key


class Conflict(StoreError):
    """A conditional write met something else than it expected."""

    def __init__(self, key: str, **rest: str | None) -> None:
        super().__init__(f"the object {key} is not as it was expected to be", **rest)
        self.key = key


class Unknown(StoreError):
    """The reply to a write was lost; only reading back tells what happened."""

    retry = True

    def __init__(self, key: str, **rest: str | None) -> None:
        super().__init__(f"the reply to writing {key} was lost", **rest)
        self.key = key


class Corrupt(StoreError):
    """Bytes in the store, or in a file of rote's own, are not what their digest says."""


class Untrusted(StoreError):
    """A document is signed by nobody who is trusted, or not signed at all."""


class TooNew(StoreError):
    """Something was written in a newer format than this rote reads."""


class StoreFull(StoreError):
    """There is no space left where the store is."""

    retry = True


class Unsupported(StoreError):
    """This kind of store cannot do what was asked, or not safely; nothing was changed."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or refused access. A write that met it was not applied.

    `retry_after` is for how many seconds the store asked to be left alone, where it did; `reached` whether it answered.
    """

    retry = True
    retry_after: float | None = None
    reached = True


class Missing(RoteError):
    """The store does not hold what was named."""


class SourceUnavailable(RoteError):
    """A source of data outside is not there, cannot be reached, refused access, or stopped on the way."""

    retry = True


class Unsaved(RoteError):
    """Files with changes that are saved nowhere would be overwritten."""


class Changed(RoteError):
    """A file changed while it was being read."""

    retry = True


class Locked(RoteError):
    """Another process is at work in this working tree."""

    retry = True


class StageFailed(RoteError):
    """A stage ended badly."""


class Refused(RoteError):
    """A gate or a rule of the registry said no."""


class Stale(RoteError):
    """What a channel says has expired."""


class Unfit(RoteError):
    """A version of a model failed at this application."""


class Stopped(RoteError):
    """Stopped by the user."""

    exit_code = 130
