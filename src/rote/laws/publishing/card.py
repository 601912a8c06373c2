"""The card of a model: a version's record as Markdown with the front matter that the Hugging Face Hub reads.

https://huggingface.co/docs/hub/model-cards. Equal records give equal bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.laws.models.remarks import Told
from rote.laws.publishing.releasenotes import figure, numbers, plain, verdict_figures
from rote.words.pipeline import Model
from rote.words.version import Version

# fmt: off
_LICENCES = frozenset({
    "agpl-3.0", "afl-3.0", "apache-2.0", "apple-amlr", "apple-ascl", "artistic-2.0", "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0",
    "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "creativeml-openrail-m",
    "deepfloyd-if-license", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gemma",
    "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "h-research", "intel-research", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0",
    "lgpl-lr", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "lppl-1.3c", "mit", "mpl-2.0",
    "ms-pl", "ncsa", "odbl", "odc-by", "ofl-1.1", "openmdw-1.0", "openrail", "openrail++", "osl-3.0", "pddl",
    "postgresql", "unknown", "unlicense", "wtfpl", "zlib",
})
# fmt: on
"""Those that the Hub knows by name."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z")
_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n", "none")
_LIBRARIES = {"onnx": "onnx", "safetensors": "safetensors"}
_ROWS = 100


class DataShown(msgspec.Struct, frozen=True):
    """Data behind a version: path, snapshot, how many files and bytes it has (None: not known here)."""

    path: str
    snapshot: str
    files: int | None = None
    size: int | None = None


class CardSources(msgspec.Struct, frozen=True, kw_only=True):
    """What a card is made of: the version; what rote.yaml says of the model, if it does; what was remarked; the
    commands of the stages behind it; the data; where the code is; and a text of the project's own."""

    version: Version
    model: Model | None = None
    told: Told = Told()
    stages: Sequence[tuple[str, Sequence[str]]] = ()
    data: Sequence[DataShown] = ()
    repository: str = ""
    text: str = ""


def card(sources: CardSources) -> str:
    """The card, as a file README.md for a hub."""
    version, model = sources.version, sources.model
    parts = [
        f"# {plain(version.model)} {plain(version.version)}",
        _deprecated(sources.told),
        model.desc.strip() if model else "",
        version.note.strip(),
        sources.text.strip(),
        _section("Limits", model.limits.strip() if model else ""),
        _section("Metrics", _metrics(version)),
        _section("Gates", _gates(version)),
        _section("Data", _data(sources.data)),
        _section("Training", _training(sources)),
        _section("Use", _use(version)),
        _section("Files", _files(version)),
        _section("Where it comes from", _origin(sources)),
    ]
    return "---\n" + _yaml(_front(sources)) + "---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


# ---- front matter --------------------------------------------------------------------------------------------------


def _front(sources: CardSources) -> dict[str, Any]:
    """The front matter, in the order in which it is written."""
    version, model = sources.version, sources.model
    asked = dict(model.card) if model else {}
    kinds = _kinds(version)
    front: dict[str, Any] = {}
    front |= _licence(model.licence if model else "")
    front |= {key: asked[key] for key in ("license_link", "language") if key in asked}
    library = asked.get("library_name") or next((_LIBRARIES[k] for k in kinds), None)
    front |= {"library_name": library} if library else {}
    front |= {key: asked[key] for key in ("pipeline_tag", "base_model", "datasets") if key in asked}
    front["tags"] = [tag for tag in dict.fromkeys([*asked.get("tags", ()), *kinds, "rote"]) if tag]
    names = list(dict.fromkeys(name.rpartition(".")[2] for name, _ in numbers(version.metrics)))
    if names:
        front["metrics"] = names[:_ROWS]
        front["model-index"] = [_index(sources, asked)]
    return front


def _licence(licence: str) -> dict[str, str]:
    """As the Hub calls it; one that it does not know is `other`, with its name."""
    name = re.sub(r"[^a-z0-9.+]+", "-", licence.strip().lower()).strip("-")
    if name in _LICENCES or not licence.strip():
        return {"license": name} if name else {}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", name).strip("-") or "other"}


def _kinds(version: Version) -> list[str]:
    found = {file.path.rpartition(".")[2].lower() for file in version.files}
    return [kind for kind in _LIBRARIES if kind in found]


def _index(sources: CardSources, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of `model-index`: what was reached on which data."""
    paths = [one.path for one in sources.data] or ["data"]
    datasets = asked.get("datasets", ())
    task = str(asked.get("pipeline_tag", "other"))
    figures = list(numbers(sources.version.metrics))[:_ROWS]
    return {
        "name": sources.version.model,
        "results": [
            {
                "task": {"type": task},
                "dataset": {"type": datasets[0] if datasets else paths[0], "name": ", ".join(paths)},
                "metrics": [
                    {"type": name.rpartition(".")[2], "name": name, "value": value} for name, value in figures
                ],
            }
        ],
    }


def _yaml(value: Mapping[str, Any]) -> str:
    """Block YAML: every text that could be taken for something else is quoted as JSON, which YAML reads as well."""
    return "".join(_lines(value, ""))


def _lines(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield f"{indent}{key}:\n"
            yield from _lines(item, indent + "  ")
        elif isinstance(item, list | tuple):
            yield f"{indent}{key}:\n"
            for each in item:
                if isinstance(each, Mapping):
                    first, *rest = _lines(each, indent + "  ")
                    yield f"{indent}- {first.lstrip()}"
                    yield from rest
                else:
                    yield f"{indent}- {_scalar(each)}\n"
        else:
            yield f"{indent}{key}: {_scalar(item)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, float) and "e" in repr(value):
        return f"{value:.17f}".rstrip("0") if 1e-9 < abs(value) < 1e15 else json.dumps(str(value))
    if isinstance(value, str):
        value = "".join(c if c.isprintable() else " " for c in value)
    return json.dumps(value, ensure_ascii=False)


# ---- text ----------------------------------------------------------------------------------------------------------


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _deprecated(told: Told) -> str:
    if told.deprecated is None:
        return ""
    return f"> **Deprecated**: {plain(told.deprecated.text) or 'do not use it any more'}"


def _metrics(version: Version) -> str:
    rows = [f"| {plain(name)} | {figure(value)} |" for name, value in numbers(version.metrics)]
    return _table("| metric | value |\n|---|---:|", rows)


def _gates(version: Version) -> str:
    rows = []
    for gate in version.gates:
        value, threshold = verdict_figures(gate)
        rows.append(
            f"| {plain(gate.gate)} | {value} | {threshold} | {'passed' if gate.passed else 'failed'} |"
        )
    return _table("| gate | value | threshold | |\n|---|---:|---:|---|", rows)


def _data(data: Sequence[DataShown]) -> str:
    rows = []
    for one in data:
        files, size = (f"{n:,}" if n is not None else "" for n in (one.files, one.size))
        rows.append(f"| {plain(one.path)} | {files} | {size} | `{one.snapshot}` |")
    return _table("| data | files | bytes | snapshot |\n|---|---:|---:|---|", rows)


def _training(sources: CardSources) -> str:
    parts = []
    rows = [f"| {plain(name)} | {_code('; '.join(cmd))} |" for name, cmd in sources.stages]
    parts.append(_table("| stage | command |\n|---|---|", rows))
    rows = [
        f"| {plain(file)} | {plain(key)} | {plain(str(value))} |"
        for file, content in sorted(sources.version.params.items())
        for key, value in _flat(content, "")
    ]
    parts.append(_table("| params | | |\n|---|---|---|", rows))
    parts.append(_environment(sources.version))
    return "\n\n".join(part for part in parts if part)


def _flat(content: Any, above: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _flat(value, f"{above}.{key}" if above else str(key))
    elif above:
        yield above, content


def _environment(version: Version) -> str:
    there = version.environment
    if there is None:
        return ""
    told = f"Python {plain(there.python)} on {plain(there.system)} {plain(there.machine)}, {there.cpus} processors."
    if not there.packages:
        return told
    listed = "\n".join(f"{name}=={number}" for name, number in sorted(there.packages.items()))
    # A fence longer than any in the text cannot be closed by it.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", listed)), default=0))
    head = f"<details><summary>{len(there.packages)} packages</summary>"
    return f"{told}\n\n{head}\n\n{fence}\n{listed}\n{fence}\n\n</details>"


def _use(version: Version) -> str:
    name = f"{version.model}@{version.version}"
    return (
        f"```\nrote fetch {name} --to model\nrote verify model\n```\n\n"
        f'```python\nfrom rote.client import Model\n\nmodel = Model(STORE, "{version.model}")\nmodel.path()\n```'
    )


def _files(version: Version) -> str:
    rows = [f"| {plain(f.path)} | {f.size:,} | `{f.digest}` |" for f in version.files]
    return _table("| file | bytes | BLAKE3 |\n|---|---:|---|", rows)


def _origin(sources: CardSources) -> str:
    version = sources.version
    lines = [f"- released {plain(version.released)} by {plain(version.by)}"]
    if version.run:
        lines.append(f"- run `{version.run}`")
    if version.commit:
        where = f" of {_code(sources.repository)}" if sources.repository else ""
        lines.append(f"- commit `{version.commit}`{where}")
    lines.append(f"- snapshot `{version.snapshot.id}`")
    lines.append(f"- `rote verify {version.model}@{version.version}` walks from these files back to the data")
    return "\n".join(lines)


def _code(text: str) -> str:
    """Text as code in a cell of a table, whatever it holds."""
    one = "".join(c if c.isprintable() else " " for c in text).replace("|", "\\|").strip()
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", one)), default=0))
    pad = " " if one.startswith("`") or one.endswith("`") or not one else ""
    return f"{fence}{pad}{one}{pad}{fence}"


def _table(head: str, rows: Sequence[str]) -> str:
    if not rows:
        return ""
    more = f"\n\n… and {len(rows) - _ROWS:,} more." if len(rows) > _ROWS else ""
    return "\n".join([head, *rows[:_ROWS]]) + more
