"""The stage key: the digest of all that determines a stage's result (docs/format.md, 7)."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rote.laws.pipeline.overriding import locate, value_at
from rote.laws.pipeline.redaction import MASK, redact, redact_values, says_secret
from rote.words.encoding import canonical, tagged
from rote.words.ids import Digest, SnapshotId, StageKey
from rote.words.pipeline import Stage, Values

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage key is made of, and what a result remembers for `rote why`.

    `params` holds plain values (see `plain`), `env` the digest of each declared variable's value or None where it is
    not set. `env_shown` and `starts_shown` are for people only and no part of the key.
    """

    format: int = 1
    cmd: tuple[str, ...]
    wdir: str = "."
    deps: dict[str, str] = {}
    params: dict[str, dict[str, Any]] = {}
    env: dict[str, Digest | None] = {}
    outs: dict[str, str] = {}
    locks: dict[str, Digest] = {}
    image: str = ""
    python: str = ""
    trace: str = ""
    check: int = 0
    """How expectations are understood, if the stage consists of them: 1."""
    starts: dict[str, SnapshotId | None] = {}
    """Warm start -> the snapshot it begins from, or None."""
    env_shown: dict[str, str] = {}
    starts_shown: dict[str, str] = {}
    smoke: bool | msgspec.UnsetType = msgspec.UNSET
    """True in a smoke run, whose results are never those of another."""

    def key(self) -> StageKey:
        """The stage key."""
        parts: dict[str, Any] = {
            "format": self.format,
            "cmd": self.cmd,
            "wdir": self.wdir,
            "deps": self.deps,
            "params": self.params,
            "env": self.env,
            "outs": self.outs,
        }
        # Parts that came later stand in the key only where a stage uses them: keys made before stay what they are.
        later = {
            "locks": self.locks, "image": self.image, "python": self.python, "trace": self.trace, "check": self.check,
            "starts": self.starts, "smoke": self.smoke,
        }  # fmt: skip
        parts.update({name: value for name, value in later.items() if value})
        return StageKey(tagged("stage", canonical(parts)))


def shown(inputs: Inputs) -> Inputs:
    """The inputs as they may be stored and shown: what looks like a secret in a command or a param is masked. They
    have another key then."""
    cmd = tuple(redact(line) for line in inputs.cmd)
    params = redact_values(inputs.params)
    if cmd == inputs.cmd and params == inputs.params:
        return inputs
    return msgspec.structs.replace(inputs, cmd=cmd, params=params)


def inputs(
    stage: Stage,
    deps: Mapping[str, SnapshotId],
    params: Mapping[str, Mapping[str, Any]],
    environment: Mapping[str, str],
    *,
    locks: Mapping[str, Digest] = {},
    python: str = "",
) -> Inputs:
    """The inputs of a stage: what each dep is, params file -> key -> value, and the variables of the environment,
    of which only the declared ones count; the digests of its lock files, and the version of its Python if it asks for
    that."""
    values = {name: environment.get(name) for name in stage.env}
    return Inputs(
        cmd=stage.cmd,
        wdir=stage.wdir,
        deps={path: str(deps[path]) for path in stage.deps},
        params={file: {key: plain(value) for key, value in of.items()} for file, of in params.items()},
        env={name: env_digest(value) for name, value in values.items()},
        outs={out.path: out.kind for out in stage.outs},
        locks={path: locks[path] for path in stage.locks if path in locks},
        image=stage.image,
        python=python if stage.python else "",
        trace="" if stage.trace == "python" else stage.trace,
        check=1 if stage.expects else 0,
        env_shown={name: _shown(name, value) for name, value in values.items() if value is not None},
    )


def env_digest(value: str | None) -> Digest | None:
    """What stands for a variable's value in the key: a digest, because a value may be a secret."""
    return None if value is None else tagged("env", value.encode("utf-8", "surrogateescape"))


def _shown(name: str, value: str) -> str:
    if says_secret(name):
        return MASK
    return redact(value[:200].encode("utf-8", "replace").decode())


def plain(value: Any) -> Any:
    """A param's value in a form that JSON can say without two values becoming one."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    fits = (isinstance(value, int) and _LEAST <= value <= _MOST) or (
        isinstance(value, float) and math.isfinite(value)
    )
    return value if fits else _marked(value)


def _marked(value: Any) -> dict[str, str]:
    """What JSON cannot say; a datetime is a date, so the order counts."""
    for kind, mark, text in _MARKS:
        if isinstance(value, kind):
            return {mark: text(value)}
    raise TypeError(f"a param's value cannot be a {type(value).__name__}")


_MARKS: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (int, "$int", str),
    (float, "$float", str),
    (datetime.datetime, "$datetime", datetime.datetime.isoformat),
    (datetime.date, "$date", datetime.date.isoformat),
    (datetime.time, "$time", datetime.time.isoformat),
    (bytes, "$bytes", bytes.hex),
)


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: plain(item) for key, item in value.items()}
    pairs = [[plain(key), plain(item)] for key, item in value.items()]
    return {"$map": sorted(pairs, key=lambda pair: canonical(pair[0]))}


def chosen(stage: Stage, values: Values) -> dict[str, dict[str, Any]]:
    """The values of a stage's params that are there: params file -> dotted key -> value."""
    found: dict[str, dict[str, Any]] = {}
    for param in stage.params:
        place = locate(values[param.file], param.key) if param.file in values else None
        if place is not None:
            found.setdefault(param.file, {})[param.key] = value_at(values[param.file], place)
    return found
