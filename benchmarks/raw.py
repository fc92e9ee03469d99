"""What our webhook sends to the database, recorded and sent again by the bare driver.

Runs in a process of ours (see driver.py), whose site receives the events that are recorded.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from benchmarks import driver, writes
from benchmarks.bodies.events import SECRET

PREFIX = "comp_billing"
BY_HAND = "/by-hand/"
TOLERANCE_SECONDS = 300


class Tape:
    """Statements with their parameters as the driver is given them, event by event."""

    def __init__(self) -> None:
        self.site = driver.Site()
        self.events: list[list[tuple[Any, Any]]] = []
        self.connections: dict[str, Any] = {}
        # For ``by_hand``: how an event's statements are sent, and those still to be sent.
        self.send: Callable[[list[tuple[Any, Any]]], None] = list.clear
        self.left: Iterator[list[tuple[Any, Any]]] = iter(())

    def record(self, path: str, bodies: list[str]) -> None:
        """Deliver events, and keep what each of them sent."""
        self.events = []

        def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
            if not str(sql).startswith("BEGIN"):
                self.events[-1].append(_as_sent(context["cursor"].cursor, sql, params))
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
    send, events = _sender(bare), _tapes[0].events
    started, processor = time.perf_counter(), time.process_time()
    for statements in events:
        send(statements)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - processor,
    }


def serve(*, name: str, bodies: list[str]) -> dict[str, Any]:
    """The same within ``by_hand``, for the bodies that were recorded."""
    tape = _tapes[0]
    tape.send, tape.left = _sender(tape.bare(name, plain=False)), iter(tape.events)
    return tape.site.deliver(path=BY_HAND, bodies=bodies)


@csrf_exempt
def by_hand(request: HttpRequest) -> HttpResponse:
    """The least that a receiver does: it verifies, reads, and sends what was recorded."""
    body = request.read()
    pairs = dict(part.split("=", 1) for part in request.META["HTTP_STRIPE_SIGNATURE"].split(","))
    signed = pairs["t"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    is_now = abs(time.time() - int(pairs["t"])) <= TOLERANCE_SECONDS
    assert is_now
    assert hmac.compare_digest(expected, pairs["v1"])
    assert json.loads(body)["id"]
    _tapes[0].send(next(_tapes[0].left))
    return HttpResponse(status=200)


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
    bare = _tapes[0].bare(name, plain=False)
    cursor, found = bare.cursor(), {}
    for table in writes.rows(PREFIX):
        cursor.execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608
        found[table] = int(cursor.fetchone()[0])
    bare.commit()
    return found


def _as_sent(cursor: Any, sql: Any, params: Any) -> tuple[Any, Any]:
    """What the driver itself is given: Django puts SQLite's placeholders into its statements."""
    named = isinstance(params, Mapping)
    given = dict(params) if named else params and tuple(params)
    if connection.vendor != "sqlite" or params is None:
        return sql, given
    return cursor.convert_query(sql, param_names=list(params) if named else None), given


def _writes(sql: str, table: str) -> bool:
    return sql.startswith(f'INSERT INTO "{table}"') and "DO UPDATE" in sql


def _sender(bare: Any) -> Callable[[list[tuple[Any, Any]]], None]:
    """Sends statements in a transaction that begins and ends as Django's do."""
    cursor = bare.cursor()
    begin = "BEGIN IMMEDIATE" if connection.vendor == "sqlite" else ""
    if not begin:
        # The driver begins by itself with the first statement.
        bare.autocommit = False

    def send(statements: list[tuple[Any, Any]]) -> None:
        if begin:
            cursor.execute(begin)
        for sql, params in statements:
            cursor.execute(sql, params) if params is not None else cursor.execute(sql)
            if cursor.description:
                cursor.fetchall()
        bare.commit()

    return send
