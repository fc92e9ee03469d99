"""Where the stand-in keeps its state: one SQLite database, in memory or in a file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS object_customer
    ON object (kind, json_extract(body, '$.customer'));
CREATE INDEX IF NOT EXISTS object_subscription
    ON object (kind, json_extract(body, '$.subscription'));
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS agenda (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS agenda_at ON agenda (at, seq);
CREATE TABLE IF NOT EXISTS reply (
    key TEXT PRIMARY KEY, at INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS usage (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, identifier TEXT NOT NULL, meter TEXT NOT NULL,
    customer TEXT NOT NULL, event_name TEXT NOT NULL, value INTEGER NOT NULL,
    timestamp INTEGER NOT NULL, received INTEGER NOT NULL, state TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS usage_identifier ON usage (identifier);
CREATE INDEX IF NOT EXISTS usage_of ON usage (customer, meter, timestamp);
CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, kind TEXT NOT NULL,
    endpoint TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending', error TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS delivery_state ON delivery (state, due);
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event);
"""
TABLES = ("object", "setting", "agenda", "reply", "usage", "delivery")


class Store:
    """Objects by kind and id, and the tables beside them; the caller holds the lock."""

    def __init__(self, path: str = ":memory:") -> None:
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another one it joins it."""
        if self.db.in_transaction:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of a query."""
        return self.db.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        """A statement carried out; how many rows it touched."""
        return self.db.execute(sql, values).rowcount

    def get(self, kind: str, object_id: str) -> Json | None:
        """One object, or None."""
        found = self.rows("SELECT body FROM object WHERE kind = ? AND id = ?", kind, object_id)
        return json.loads(found[0]["body"]) if found else None

    def put(self, obj: Json) -> None:
        """An object written under its own kind and id."""
        self.run(
            "INSERT INTO object (kind, id, body) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            obj["object"],
            obj["id"],
            json.dumps(obj),
        )

    def remove(self, kind: str, object_id: str) -> None:
        """An object taken away for good."""
        self.run("DELETE FROM object WHERE kind = ? AND id = ?", kind, object_id)

    def where(self, kind: str, **equal: Any) -> list[Json]:
        """Objects of a kind whose top-level fields have these values, oldest first."""
        clauses = "".join(f" AND json_extract(body, '$.{name}') = ?" for name in equal)
        sql = f"SELECT body FROM object WHERE kind = ?{clauses} ORDER BY seq"  # noqa: S608  our names
        return [json.loads(row["body"]) for row in self.rows(sql, kind, *equal.values())]

    def page(
        self,
        kind: str,
        *,
        equal: Json,
        bounds: list[tuple[str, int]],
        limit: int,
        after: str | None = None,
        before: str | None = None,
    ) -> list[Json]:
        """Newest first: the objects after (older than) or before a cursor; `bounds` on `created`.

        Raises KeyError if the cursor is no object of this kind.
        """
        clauses = ["kind = ?", "json_extract(body, '$.deleted') IS NULL"]
        values: list[Any] = [kind]
        for name, value in equal.items():
            clauses.append(f"json_extract(body, '$.{name}') = ?")
            values.append(value)
        for operator, value in bounds:
            clauses.append(f"json_extract(body, '$.created') {operator} ?")
            values.append(value)
        if cursor := after or before:
            clauses.append("seq < ?" if after else "seq > ?")
            values.append(self.seq(kind, cursor))
        order = "ASC" if before and not after else "DESC"
        where = " AND ".join(clauses)
        sql = f"SELECT body FROM object WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608
        found = [json.loads(row["body"]) for row in self.rows(sql, *values, limit)]
        return found if order == "DESC" else found[::-1]

    def seq(self, kind: str, object_id: str) -> int:
        """The place of an object in the order of making; KeyError if there is none."""
        found = self.rows("SELECT seq FROM object WHERE kind = ? AND id = ?", kind, object_id)
        if not found:
            raise KeyError(object_id)
        return int(found[0]["seq"])

    def setting(self, name: str, default: str = "") -> str:
        """A named value that survives a restart."""
        found = self.rows("SELECT value FROM setting WHERE name = ?", name)
        return str(found[0]["value"]) if found else default

    def set(self, name: str, value: str) -> None:
        """A named value kept."""
        self.run("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)

    def clear(self) -> None:
        """Everything forgotten."""
        for table in TABLES:
            self.run(f"DELETE FROM {table}")  # noqa: S608  our own names

    def close(self) -> None:
        """The database closed."""
        self.db.close()
