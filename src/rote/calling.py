"""`python -m rote.calling FILE FUNCTION`: does what a stage that is a function consists of.

This is what the engine starts, in the stage's folder: each argument is what its mark says, and what the function
returns is written where its mark says.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

from rote.errors import ConfigError, RoteError, UsageError
from rote.laws.pipeline.overriding import DEFAULT_FILE, locate, value_at
from rote.wiring.config import params, reading
from rote.words.functions import MARKED, Dep, Mark, Metrics, Model, Param, Previous
from rote.words.ids import shown


def main(argv: list[str]) -> int:
    """Call the function; returns the exit code of the process."""
    if len(argv) != 2:
        sys.stderr.write("usage: python -m rote.calling FILE FUNCTION\n")
        return 2
    try:
        call(*argv)
    except RoteError as e:
        sys.stderr.write("\n".join(e.lines()) + "\n")
        return 1
    return 0


def call(file: str, name: str) -> None:
    """Import the file, and call its function `name` with what its marks say. Raises UsageError, ConfigError, and what
    the function raises."""
    module = _imported(file)
    function = getattr(module, name, None)
    if not callable(function) or not hasattr(function, MARKED):
        raise UsageError(f"{file} has no stage {name} any more", next="run again: rote run")
    hints = typing.get_type_hints(function, include_extras=True)
    given: dict[str, Any] = {}
    positional = []
    for argument in inspect.signature(function).parameters.values():
        mark = _mark(hints.get(argument.name))
        if mark is None:
            continue
        value = _value(mark, hints[argument.name], f"{file}: {name}({argument.name})")
        if argument.kind is argument.POSITIONAL_ONLY:
            positional.append(value)
        else:
            given[argument.name] = value
    returned = function(*positional, **given)
    mark = _mark(hints.get("return"))
    if mark is not None:
        _write(mark, returned, f"{file}: {name}")


def _imported(file: str) -> ModuleType:
    path = os.path.abspath(file)
    # As `python FILE` does: what lies beside the file can be imported.
    sys.path[0] = os.path.dirname(path)
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not os.path.exists(path):
        raise UsageError(f"there is no Python file {shown(file)}", next="run again: rote run")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # what is pickled by name is found again
    spec.loader.exec_module(module)
    return module


def _mark(hint: Any) -> Mark | None:
    found = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Mark)]
    return found[0] if found else None


def _value(mark: Mark, hint: Any, where: str) -> Any:
    if isinstance(mark, Model | Previous):
        return _began(mark)
    if not isinstance(mark, Param):
        path = Path(mark.path)
        if not isinstance(mark, Dep):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path
    file, colon, key = mark.path.partition(":")
    if not colon:
        file, key = DEFAULT_FILE, mark.path
    values = _values(file.strip())
    place = locate(values, key.strip())
    if place is None:
        raise ConfigError(f"{file} has no param {shown(key)}", where=where)
    value = value_at(values, place)
    wanted = typing.get_args(hint)[0]
    if isinstance(value, int) and not isinstance(value, bool) and wanted is float:
        return float(value)
    plain = typing.get_origin(wanted) or wanted
    if isinstance(plain, type) and (
        not isinstance(value, plain) or (plain is int and isinstance(value, bool))
    ):
        raise ConfigError(
            f"{file}: {key} is {_worded(value)} ({type(value).__name__}), and the function wants {plain.__name__}",
            where=where,
            next=f"change {file}, or the argument's type",
        )
    return value


def _began(mark: Model | Previous) -> Path | None:
    """Where that lies which the stage goes on from (docs/rote-yaml.md, "Warm starts")."""
    folder = os.environ.get("ROTE_MODELS" if isinstance(mark, Model) else "ROTE_PREVIOUS", "")
    place = Path(folder, mark.path.partition("@")[0] if isinstance(mark, Model) else mark.path)
    return place if folder and place.exists() else None


def _values(file: str) -> Any:
    data = reading.read_bytes(".", file)
    if data is None:
        raise ConfigError(f"there is no params file {shown(file)}", where=os.getcwd())
    return params.decode(reading.decode(data, file), file)


def _write(mark: Mark, returned: Any, where: str) -> None:
    if not isinstance(mark, Metrics) or not isinstance(returned, dict):
        raise UsageError(
            f"the function returned {type(returned).__name__}, not the mapping that {mark.path} is to hold",
            where=where,
        )
    path = Path(mark.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        text = json.dumps(returned, indent=2, default=_number)
    except TypeError as e:
        raise UsageError(f"what the function returned cannot be written as JSON: {e}", where=where) from e
    path.write_text(text + "\n", encoding="utf-8")


def _number(value: Any) -> Any:
    """A number of NumPy or PyTorch as a plain one."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"a {type(value).__name__} is no number, text, list or mapping")


def _worded(value: object) -> str:
    """A value for people: text in quotes."""
    return shown(value) if isinstance(value, str) else str(value)[:200]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
