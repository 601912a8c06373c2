"""A query's tree -> SQL with parameters over the catalogue's tables (catalogue/schema.py has them).

The table `value` holds every value of every run in one b-tree: the row's number is the key's number times 2**32 plus
the run's number. A query then walks the runs once and steps through each key's stretch beside them, in order: no
index, no planner to please, and the time follows the number of runs times the keys that the query names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from rote.laws.pipeline.query import FIELDS, FLAG, Both, Compare, Either, Field, Not, Null, Order, Query

SHIFT = 32
"""A key's values lie at `key << SHIFT | run`."""
JOINED = 40
"""How many keys are joined; further ones are looked up one by one (SQLite joins at most 64 tables)."""

COLUMNS = {
    "id": "r.id",
    "state": "r.state",
    "began": "r.began",
    "ended": "r.ended",
    "seconds": "r.seconds",
    "by": "r.by",
    "command": "r.command",
    "project": "r.project",
    "commit": "r.commit_id",
    "branch": "r.branch",
    "dirty": "r.dirty",
    "host": "r.host",
    "python": "r.python",
    "error": "r.error",
    "smoke": "r.smoke",
}
"""Each field of every run, as a column of the table `run r`."""

Find = Callable[[Field], Sequence[int]]
"""The numbers of the keys a field means, in the order in which they are tried (a metric may stand in several files;
the first file that has it in that run counts). Empty if no run has it."""

Bound = str | int | float


class Statement(msgspec.Struct, frozen=True):
    """SQL with the values of its `?`."""

    sql: str
    values: tuple[Bound, ...]


def select(where: Query | None, order: Sequence[Order], limit: int | None, find: Find) -> Statement:
    """The statement that yields the numbers of the runs that meet `where`, sorted by `order` and then newest first."""
    return _Writer(find).select(where, order, limit)


class _Writer:
    def __init__(self, find: Find) -> None:
        self.find = find
        self.joined: dict[int, str] = {}

    def select(self, where: Query | None, order: Sequence[Order], limit: int | None) -> Statement:
        condition, values = self.condition(where) if where is not None else ("", [])
        terms = []
        for term in order:
            value = self.value(term.field)
            terms.append(f"{value} {'DESC' if term.descending else 'ASC'} NULLS LAST")
        terms.append("r.id DESC")
        joins = "".join(
            f" LEFT JOIN value {alias} ON {alias}.id = r.no + {key << SHIFT}"
            for key, alias in self.joined.items()
        )
        sql = f"SELECT r.no FROM run r{joins}"
        if condition:
            sql += f" WHERE {condition}"
        sql += f" ORDER BY {', '.join(terms)}"
        if limit is not None:
            sql += " LIMIT ?"
            values = [*values, limit]
        return Statement(sql, tuple(values))

    def condition(self, query: Query) -> tuple[str, list[Bound]]:
        """SQL that is 1 or 0, never null."""
        if isinstance(query, Compare):
            return self.compare(query)
        if isinstance(query, Null):
            return f"({self.value(query.field)} IS NULL)", []
        if isinstance(query, Not):
            inner, values = self.condition(query.inner)
            return f"(NOT {inner})", values
        return self.many(query)

    def many(self, query: Both | Either) -> tuple[str, list[Bound]]:
        texts, all_values = [], []
        for part in query.parts:
            text, values = self.condition(part)
            texts.append(text)
            all_values += values
        return "(" + (" AND " if isinstance(query, Both) else " OR ").join(texts) + ")", all_values

    def compare(self, query: Compare) -> tuple[str, list[Bound]]:
        column = self.value(query.field)
        value = query.value
        if isinstance(value, bool):
            # the fields `dirty` and `smoke` are 0 or 1; among metrics, params and tags a flag is the text true or false
            flag = not query.field.group and FIELDS[query.field.key] == FLAG
            value = int(value) if flag else str(value).lower()
        if query.op == "~":
            return f"(({column} LIKE ? AND {column} >= '') IS TRUE)", [str(value)]
        if query.op in ("=", "!="):
            return f"(({column} {query.op} ?) IS TRUE)", [value]
        # SQLite puts every number before every text; an order between the two is no order
        same = f"{column} >= ''" if isinstance(value, str) else f"{column} < ''"
        return f"(({column} {query.op} ? AND {same}) IS TRUE)", [value]

    def value(self, field: Field) -> str:
        """SQL for a field's value, or for null."""
        if not field.group:
            return COLUMNS[field.key]
        places = [self.place(key) for key in self.find(field)]
        if not places:
            return "NULL"
        return places[0] if len(places) == 1 else f"COALESCE({', '.join(places)})"

    def place(self, key: int) -> str:
        alias = self.joined.get(key)
        if alias is None and len(self.joined) < JOINED:
            alias = self.joined[key] = f"v{len(self.joined)}"
        return f"{alias}.v" if alias else f"(SELECT v FROM value WHERE id = r.no + {key << SHIFT})"
