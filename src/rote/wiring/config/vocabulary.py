"""Every key of rote.yaml and rote.local.yaml: one table for reading, for editors, and for the test of the docs."""

from __future__ import annotations

from typing import Any, Final

OPTIONS: Final = {"bool": ("store_true", "boolean_optional"), "list": ("nargs", "append")}
"""How templates write false values and lists of a mapping in a command: what is so by itself, and the other way."""
PATHS: Final = {"type": "array", "items": {"type": "string", "minLength": 1}}
_OUT: Final = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"type": ["object", "null"]},
        },
    ]
}
_OUTS: Final = {"type": "array", "items": _OUT}
_TEXTS: Final = {"oneOf": [{"type": "string", "minLength": 1}, {**PATHS, "minItems": 1}]}
_VARS: Final = {"type": "array", "items": {"type": ["string", "object"]}}
_NAMES: Final = {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}}
_ENVIRONMENT: Final = {
    "type": "object",
    "properties": {
        "vars": _NAMES,
        "locks": PATHS,
        "image": {"type": "string", "pattern": "^(.*@)?[a-z0-9]+:[0-9a-f]{32,}$"},
        "python": {"type": "boolean"},
    },
    "additionalProperties": False,
}
_DURATION: Final = {"type": ["string", "number"]}
_RETRIES: Final = {
    "oneOf": [
        {"type": "integer", "minimum": 0, "maximum": 1000},
        {
            "type": "object",
            "properties": {
                "times": {"type": "integer", "minimum": 0, "maximum": 1000},
                "backoff": _DURATION,
                "longest": _DURATION,
                "on": {
                    "type": "array",
                    "items": {
                        "oneOf": [
                            {"type": "integer", "minimum": 1, "maximum": 255},
                            {"enum": ["signal", "timeout", "memory"]},
                        ]
                    },
                },
            },
            "required": ["times"],
            "additionalProperties": False,
        },
    ]
}
_RESOURCES: Final = {
    "type": "object",
    "properties": {
        "cpus": {"type": "number", "exclusiveMinimum": 0},
        "memory": {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}]},
        "gpus": {"type": "integer", "minimum": 0},
    },
    "additionalProperties": False,
}
_CHECKPOINTS: Final = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {
                "path": {"type": "string", "minLength": 1},
                "keep": {"type": "integer", "minimum": 1, "maximum": 1000},
                "every": {"type": ["string", "number"]},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}
_SMOKE: Final = {
    "type": "object",
    "properties": {
        "params": {"type": "object"},
        "sample": {
            "type": "object",
            "additionalProperties": {
                "oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}]
            },
        },
    },
    "additionalProperties": False,
}
_TABLE: Final = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {
                "path": {"type": "string", "minLength": 1},
                "format": {"enum": ["csv", "parquet", "jsonl", "files"]},
                "delimiter": {"type": "string", "minLength": 1, "maxLength": 1},
                "header": {"type": "boolean"},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}
_CHECK: Final = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {**PATHS, "minItems": 1},
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": _TABLE,
        },
    ]
}
_EXPECTS: Final = {
    "type": "array",
    "minItems": 1,
    "items": {
        "oneOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "object",
                "properties": {
                    "sql": {"type": "string", "minLength": 1},
                    "says": {"type": "string", "minLength": 1},
                },
                "required": ["sql"],
                "additionalProperties": False,
            },
        ]
    },
}
_GATES: Final = {"type": "array", "items": {"type": "string", "minLength": 1}}

STAGE: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "cmd": (
        _TEXTS,
        "The command line, or a list of them, run one after the other by /bin/sh. Required, unless there is `expect`.",
    ),
    "check": (
        _CHECK,
        "The data that this stage checks: stages that read it wait until it has passed. A path, or tables by name.",
    ),
    "expect": (
        {"oneOf": [_EXPECTS, {"type": "object", "minProperties": 1, "additionalProperties": _EXPECTS}]},
        "What is expected of the data under `check`: conditions, and queries that must find nothing.",
    ),
    "deps": (PATHS, "Files and folders that the command reads."),
    "params": (
        {
            "type": "array",
            "items": {
                "oneOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "object",
                        "additionalProperties": {"oneOf": [PATHS, {"type": ["string", "null"]}]},
                    },
                ]
            },
        },
        "Params that the command reads: KEY in params.yaml, FILE:KEY, or {FILE: [KEY, …]}.",
    ),
    "outs": (_OUTS, "Files and folders that the command makes."),
    "metrics": (_OUTS, "Files of numbers (JSON, YAML or TOML) that the command makes."),
    "plots": (_OUTS, "Files to be drawn that the command makes."),
    "frozen": ({"type": "boolean"}, "True: never run, its outs are taken as they are."),
    "always_changed": ({"type": "boolean"}, "True: run every time, whatever went in."),
    "wdir": (
        {"type": "string", "minLength": 1},
        "The folder the command runs in; the stage's paths begin there.",
    ),
    "env": (
        {"oneOf": [_NAMES, _ENVIRONMENT]},
        "Names of environment variables whose values decide the stage's result; or vars, locks, image and python.",
    ),
    "trace": (
        {"enum": ["python", "strace", "off"]},
        "How it is found out what the command reads: by its Python processes (default), by strace, or not at all.",
    ),
    "strict": ({"type": "boolean"}, "True: the stage fails if it reads data that it does not name."),
    "checkpoints": (
        _CHECKPOINTS,
        "The folder that the command writes checkpoints into; or its path, how many to keep, how often to take one.",
    ),
    "timeout": (_DURATION, "How long the command may run, such as 30m; then it is ended, and has failed."),
    "retries": (
        _RETRIES,
        "How often it is tried again after a failure that may go away; or times, backoff, on.",
    ),
    "resources": (_RESOURCES, "What it takes of the machine: cpus, memory and gpus."),
    "smoke": (
        _SMOKE,
        "With what less it is content in `rote run --smoke`: params with other values, samples of its deps.",
    ),
    "desc": ({"type": "string"}, "What the stage is for, for people."),
    "vars": (_VARS, "Values that this stage's templates may name: FILE, FILE:KEY,KEY, or a mapping."),
    "matrix": (
        {
            "oneOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": {"type": ["array", "string"]}},
            ]
        },
        "Lists of values: one stage for each combination of them, with ${item.NAME} and ${key}.",
    ),
}
EVERY: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "foreach": (
        {"type": ["array", "object", "string"]},
        "What to go through: one stage for each item, with `do`.",
    ),
    "do": ({"type": "object"}, "The stage to make for each item of `foreach`, with ${item} and ${key}."),
}
CARD: Final = (
    "language",
    "tags",
    "datasets",
    "base_model",
    "pipeline_tag",
    "library_name",
    "license_link",
    "text",
)
"""What `models.NAME.card` may say."""
_CARD: Final = {
    "type": "object",
    "properties": dict.fromkeys(CARD, _TEXTS),
    "additionalProperties": False,
}
_IDENTITY: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "issuer": {"type": "string", "pattern": "^https?://"},
        "trust": {"type": "string", "minLength": 1},
    },
    "required": ["name", "issuer"],
    "additionalProperties": False,
}
MODEL: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "files": (_TEXTS, "Files and folders that a version holds. Required."),
    "gates": (_GATES, "Conditions on metrics, besides those of the whole project."),
    "signature": (
        {"type": "string"},
        "A JSON file (an out, or one that git tracks) that says what goes in and comes out of the model.",
    ),
    "keys": (
        {
            "type": "array",
            "maxItems": 8,
            "items": {"type": "string", "pattern": "^ed25519:[A-Za-z0-9+/]{43}=$"},
        },
        "Public keys that applications trust; every move of an alias is signed with one at least.",
    ),
    "identity": (_IDENTITY, "By whom, as Sigstore says, the files of published versions are signed."),
    "expires": (_DURATION, "After how long, such as 30d, applications say that they heard nothing new."),
    "publish": (
        _TEXTS,
        "Targets that promote, rollback and publish bring versions to: a folder, a bucket, github:OWNER/REPO, …",
    ),
    "stamp": (
        {"type": "boolean"},
        "True: safetensors and ONNX files of a version say which version they are.",
    ),
    "licence": ({"type": "string", "minLength": 1}, "The licence, such as apache-2.0, for the card."),
    "limits": ({"type": "string", "minLength": 1}, "What the model is not good for, for the card."),
    "card": (
        _CARD,
        "More for the card: keys of the Hugging Face Hub such as tags and language; text: a file.",
    ),
    "predictions": (
        {
            "oneOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string", "minLength": 1},
                        "id": {"type": "string", "minLength": 1},
                        "label": {"type": "string", "minLength": 1},
                        "prediction": {"type": "string", "minLength": 1},
                    },
                    "required": ["path"],
                    "additionalProperties": False,
                },
            ]
        },
        "The out with the model's predictions, a row an example; or its path and the names of its columns.",
    ),
    "desc": ({"type": "string"}, "What the model is for, for people."),
}
_CACHE: Final = {
    "type": "object",
    "properties": {
        "folder": {"type": "string", "minLength": 1},
        "size": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]},
    },
    "additionalProperties": False,
}
_BYTES: Final = {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}
_BUDGET: Final = {
    "oneOf": [
        {"enum": ["s3-free", "r2-free"]},
        {
            "type": "object",
            "properties": {
                "writes": {"type": "integer", "minimum": 0},
                "reads": {"type": "integer", "minimum": 0},
                "stored": _BYTES,
                "out": _BYTES,
            },
            "additionalProperties": False,
        },
    ]
}
TOP: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "store": ({"type": "string", "minLength": 1}, "Where everything is kept: a folder or a URL."),
    "cache": (_CACHE, "The read cache: its folder, and its size such as 20 GB (0: none)."),
    "budget": (_BUDGET, "What the store's plan allows in a month: a plan's name, or limits."),
    "vars": (
        _VARS,
        "Values that templates may name, besides those in params.yaml: FILE, FILE:KEY,KEY, or a mapping.",
    ),
    "strict": ({"type": "boolean"}, "True: every stage fails if it reads data that it does not name."),
    "options": (
        {
            "type": "object",
            "properties": {name: {"enum": list(words)} for name, words in OPTIONS.items()},
            "additionalProperties": False,
        },
        "How templates write a mapping in a command: false values (`bool`), and lists (`list`).",
    ),
    "stages": ({"type": "object"}, "The pipeline's stages by name."),
    "pipelines": (
        PATHS,
        "Folders with a rote.yaml of their own, and Python files with stages; all is one pipeline.",
    ),
    "gates": (_GATES, "Conditions on metrics that every model must meet before it may be released."),
    "models": ({"type": "object"}, "What is released, by name."),
}
LOCAL: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "store": (
        {"type": "string", "minLength": 1},
        "The store on this machine; goes before the one in rote.yaml.",
    ),
    "cache": (_CACHE, "The read cache on this machine; goes before the one in rote.yaml, key by key."),
    "budget": (_BUDGET, "The plan that is declared on this machine; goes before the one in rote.yaml."),
}

ELSEWHERE: Final = {
    "metrics": "metrics are listed in the stage that makes them: stages.NAME.metrics",
    "plots": "plots are listed in the stage that makes them: stages.NAME.plots",
    "params": "params are listed in the stage that reads them: stages.NAME.params",
    "artifacts": "what is released is listed under `models`: models.NAME.files",
    "datasets": "data is added by `rote add PATH` and listed as a dep",
    "outs": "outs are listed in the stage that makes them: stages.NAME.outs",
    "deps": "deps are listed in the stage that reads them: stages.NAME.deps",
    "cmd": "a command belongs to a stage: stages.NAME.cmd",
}
"""Keys that people write at the top, and where they belong."""


def schema() -> dict[str, Any]:
    """A JSON schema (draft 2020-12) of rote.yaml, for editors."""
    top = _properties(TOP)
    stage, every = _object(STAGE, []), _object(EVERY, ["foreach", "do"])
    stage["anyOf"] = [{"required": ["cmd"]}, {"required": ["check", "expect"]}]
    every["properties"]["do"] = {**stage, "description": EVERY["do"][1]}
    top["stages"]["additionalProperties"] = {"if": {"required": ["foreach"]}, "then": every, "else": stage}
    top["stages"]["propertyNames"] = {"pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]*(@[ -~]*)?$", "maxLength": 200}
    top["models"]["additionalProperties"] = _object(MODEL, ["files"])
    top["models"]["propertyNames"] = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rote.yaml",
        "type": ["object", "null"],
        "properties": top,
        "additionalProperties": False,
    }


def keys() -> list[str]:
    """Every key there is, dotted, as the documentation names it."""
    return [
        *TOP,
        *(f"stages.NAME.{key}" for key in [*STAGE, *EVERY]),
        *(f"models.NAME.{key}" for key in MODEL),
        *(f"rote.local.yaml: {key}" for key in LOCAL),
    ]


def _properties(table: dict[str, tuple[dict[str, Any], str]]) -> dict[str, Any]:
    return {key: {**shape, "description": text} for key, (shape, text) in table.items()}


def _object(table: dict[str, tuple[dict[str, Any], str]], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": _properties(table),
        "required": required,
        "additionalProperties": False,
    }
