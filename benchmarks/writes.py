"""Which rows are written: told by the database itself, whatever sent the statements."""

from __future__ import annotations

from typing import Any

from django.db import connection

JOURNAL = "bench_journal"


def rows(prefix: str) -> dict[str, int]:
    """How many rows each table has whose name begins so."""
    tables = connection.introspection.table_names()
    return {table: _count(table) for table in tables if table.startswith(prefix)}


def _count(table: str) -> int:
    return int(_query(f'SELECT COUNT(*) FROM "{table}"')[0][0])  # noqa: S608


class Watch:
    """Counts inserted, updated and deleted rows of some tables from its making on.

    On PostgreSQL every version of a row has a place of its own and the transaction that wrote it;
    SQLite's triggers write every change down.
    """

    def __init__(self, tables: list[str]) -> None:
        self.tables = tables
        if connection.vendor == "sqlite":
            self._install()
        else:
            self.before = {table: self._versions(table) for table in tables}

    def written(self) -> dict[str, int]:
        """By table; those of which no row was written are left out."""
        if connection.vendor == "sqlite":
            found = dict(_query(f"SELECT name, COUNT(*) FROM {JOURNAL} GROUP BY name"))  # noqa: S608
        else:
            found = {table: self._changed(table) for table in self.tables}
        return {table: number for table, number in found.items() if number}

    def _changed(self, table: str) -> int:
        before, after = self.before[table], self._versions(table)
        return max(len(before - after), len(after - before))

    def _versions(self, table: str) -> set[Any]:
        return set(_query(f'SELECT ctid::text, xmin::text FROM "{table}"'))  # noqa: S608

    def _install(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {JOURNAL} (name text)")
            cursor.execute(f"DELETE FROM {JOURNAL}")  # noqa: S608
            for table in self.tables:
                for change in ("insert", "update", "delete"):
                    note = f"INSERT INTO {JOURNAL} VALUES ('{table}')"  # noqa: S608
                    name = f'"bench_{change}_{table}"'
                    cursor.execute(
                        f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {change}"
                        f' ON "{table}" BEGIN {note}; END'
                    )


def _query(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
