"""What our webhook sends to the database, recorded and sent again by the bare driver.

Runs in a process of ours (see driver.py), whose site receives the events that are recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import connection, connections

from benchmarks import driver, writes

PREFIX = "comp_billing"


class Tape:
    """Statements with their parameters as the driver is given them, event by event."""

    def __init__(self) -> None:
        self.site = driver.Site()
        self.events: list[list[tuple[str, Any]]] = []
        self.connections: dict[str, Any] = {}

    def record(self, path: str, bodies: list[str]) -> None:
        """Deliver events, and keep what each of them sent."""
        self.events = []
        is_sqlite = connection.vendor == "sqlite"

        def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            if not str(sql).startswith("BEGIN"):
                text = str(sql).replace("%s", "?").replace("%%", "%") if is_sqlite else sql
                self.events[-1].append((text, params if params is None else tuple(params)))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(wrapper):
            for body in bodies:
                self.events.append([])
                self.site.deliver(path=path, bodies=[body])

    def bare(self, name: str, *, plain: bool) -> Any:
        """A driver's connection to another database: as Django opens it, or as the driver does."""
        if name not in self.connections:
            wrapper: Any = connections.create_connection("default")
            wrapper.settings_dict = {**wrapper.settings_dict, "NAME": name}
            if plain:
                params = wrapper.get_connection_params()
                for key in ("cursor_factory", "context"):
                    params.pop(key, None)
                params.pop("prepare_threshold", None)
                self.connections[name] = wrapper.Database.connect(**params)
            else:
                wrapper.connect()
                self.connections[name] = wrapper.connection
        return self.connections[name]


_tapes: list[Tape] = []


def record(*, path: str, bodies: list[str]) -> int:
    """How many statements were recorded."""
    if not _tapes:
        _tapes.append(Tape())
    _tapes[0].record(path, bodies)
    return sum(len(statements) for statements in _tapes[0].events)


def replay(*, name: str, plain: bool = False) -> dict[str, float]:
    """Every event's statements in a transaction of their own."""
    bare = _tapes[0].bare(name, plain=plain)
    begin, commit = _transactions(bare)
    cursor, events = bare.cursor(), _tapes[0].events
    started, processor = time.perf_counter(), time.process_time()
    for statements in events:
        begin()
        for sql, params in statements:
            cursor.execute(sql, params) if params is not None else cursor.execute(sql)
            if cursor.description:
                cursor.fetchall()
        commit()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - processor,
    }


def floor(*, name: str, table: str) -> dict[str, float]:
    """The guarded upsert of every event's object alone, in autocommit."""
    bare = _tapes[0].bare(name, plain=False)
    if connection.vendor != "sqlite":
        bare.autocommit = True
    upserts = [
        next(statement for statement in statements if _writes(statement[0], table))
        for statements in _tapes[0].events
    ]
    cursor = bare.cursor()
    started, processor = time.perf_counter(), time.process_time()
    for sql, params in upserts:
        cursor.execute(sql, params)
        cursor.fetchall()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - processor,
    }


def rows(*, name: str) -> dict[str, int]:
    """How many rows the library's tables have in another database."""
    cursor = _tapes[0].bare(name, plain=False).cursor()
    found = {}
    for table in writes.rows(PREFIX):
        cursor.execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608
        found[table] = int(cursor.fetchone()[0])
    return found


def _writes(sql: str, table: str) -> bool:
    return sql.startswith(f'INSERT INTO "{table}"') and "DO UPDATE" in sql


def _transactions(bare: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """How a transaction begins and ends, as Django does it."""
    if connection.vendor == "sqlite":
        cursor = bare.cursor()
        return lambda: cursor.execute("BEGIN IMMEDIATE"), bare.commit
    # The driver begins by itself with the first statement.
    bare.autocommit = False
    return lambda: None, bare.commit
