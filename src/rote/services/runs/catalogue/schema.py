"""The catalogue's tables and views. docs/runs.md lists every column of every view, and a test holds it to this."""

from __future__ import annotations

VERSION = 2
"""Raised with every change below: a catalogue of another version is made anew."""
APPLICATION = 0x524F5445
"""Marks the file as ours (`ROTE`)."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE run (
    no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, etag TEXT NOT NULL, state TEXT NOT NULL, began TEXT, ended TEXT,
    seconds REAL, by TEXT, command TEXT, project TEXT, commit_id TEXT, branch TEXT, dirty INTEGER, host TEXT,
    system TEXT, cpus INTEGER, python TEXT, error TEXT, smoke INTEGER
);
CREATE INDEX unfinished ON run (id) WHERE state = 'running' OR etag = '';
CREATE TABLE skipped (id TEXT PRIMARY KEY, etag TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE key (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, low INTEGER NOT NULL,
    UNIQUE (kind, name, file)
);
CREATE TABLE value (id INTEGER PRIMARY KEY, v);
CREATE TABLE stage (
    run INTEGER NOT NULL, position INTEGER NOT NULL, stage TEXT NOT NULL, outcome TEXT NOT NULL, key TEXT, seconds REAL,
    exit_code INTEGER, why TEXT, PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE TABLE out (
    run INTEGER NOT NULL, stage TEXT NOT NULL, path TEXT NOT NULL, snapshot TEXT NOT NULL, files INTEGER, size INTEGER,
    PRIMARY KEY (run, stage, path)
) WITHOUT ROWID;
CREATE TABLE version (
    model TEXT NOT NULL, version TEXT NOT NULL, etag TEXT NOT NULL, released TEXT, by TEXT, run TEXT, commit_id TEXT,
    snapshot TEXT, files INTEGER, size INTEGER, note TEXT, PRIMARY KEY (model, version)
) WITHOUT ROWID;
CREATE TABLE alias (
    model TEXT NOT NULL, alias TEXT NOT NULL, etag TEXT NOT NULL, version TEXT NOT NULL, PRIMARY KEY (model, alias)
) WITHOUT ROWID;
"""

# A value's row can be reached from its key (a stretch of rows) and from its run (one row for each key): both ways
# are spelled out, and the planner takes the one that the query's conditions make short.
_VALUES = """
CREATE VIEW {kind} AS
SELECT r.id AS run, {file} k.name AS key, v.v AS value
FROM key AS k, value AS v, run AS r
WHERE k.kind = '{kind}' AND v.id BETWEEN k.low AND k.low + 4294967295 AND v.id = k.low + r.no AND r.no = v.id - k.low;
"""

VIEWS = (
    """
CREATE VIEW runs AS
SELECT id, state, began, ended, seconds, by, command, project, commit_id, branch, dirty, host, system, cpus, python,
    error, smoke
FROM run;
CREATE VIEW stages AS
SELECT r.id AS run, s.stage, s.outcome, s.key, s.seconds, s.exit_code, s.why
FROM stage AS s JOIN run AS r ON r.no = s.run;
CREATE VIEW outs AS
SELECT r.id AS run, o.stage, o.path, o.snapshot, o.files, o.size FROM out AS o JOIN run AS r ON r.no = o.run;
CREATE VIEW models AS
SELECT model, version, released, by, run, commit_id, snapshot, files, size, note,
    (SELECT group_concat(alias, ' ') FROM (SELECT alias FROM alias AS a
        WHERE a.model = v.model AND a.version = v.version ORDER BY alias)) AS aliases
FROM version AS v;
"""
    + _VALUES.format(kind="metrics", file="k.file AS file,")
    + _VALUES.format(kind="params", file="k.file AS file,")
    + _VALUES.format(kind="tags", file="")
)

VIEW_NAMES = ("runs", "metrics", "params", "tags", "stages", "outs", "models")
"""What `rote sql` may read."""
