"""A journal that the database itself writes: every committed change of a run, and its writer.

Triggers see what no hook sees: changes by other processes, by raw SQL, by a blind ``save()``.
"""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from tests.faults.crashes import Crash
from tests.faults.scheduler import current_actor

COLUMNS = (
    *("status", "attempt", "max_attempts", "held", "owner_id", "lease_token", "lease_expires_at"),
    *(
        "cancel_requested_at",
        "finished_at",
        "outputs_pruned_at",
        "outputs",
        "run_time",
        "run_cost",
        "upstream_version",
    ),
)

SQLITE = """
CREATE TABLE fault_audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, run TEXT, writer TEXT,
    old TEXT, new TEXT, expired INTEGER
);
CREATE TRIGGER fault_run_born AFTER INSERT ON comp_core_run BEGIN
    INSERT INTO fault_audit (source, run, writer, new)
    VALUES ('run', NEW.id, fault_writer(), json_object({new}));
END;
CREATE TRIGGER fault_run_moved AFTER UPDATE ON comp_core_run BEGIN
    INSERT INTO fault_audit (source, run, writer, old, new, expired)
    VALUES ('run', NEW.id, fault_writer(), json_object({old}), json_object({new}),
        OLD.lease_expires_at < strftime('%Y-%m-%d %H:%M:%f', 'now'));
END;
CREATE TRIGGER fault_used AFTER INSERT ON comp_billing_usagerecord BEGIN
    INSERT INTO fault_audit (source, run, writer) VALUES ('usage', NEW.run_id, fault_writer());
END
"""

POSTGRES = """
CREATE TABLE fault_audit (
    seq bigserial PRIMARY KEY, source text, run text, writer text,
    old jsonb, new jsonb, expired boolean
);
CREATE FUNCTION fault_note_run() RETURNS trigger AS $$ BEGIN
    INSERT INTO fault_audit (source, run, writer, old, new, expired) VALUES (
        'run', NEW.id, pg_backend_pid(), CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END,
        to_jsonb(NEW), TG_OP = 'UPDATE' AND OLD.lease_expires_at < statement_timestamp());
    RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE FUNCTION fault_note_usage() RETURNS trigger AS $$ BEGIN
    INSERT INTO fault_audit (source, run, writer) VALUES ('usage', NEW.run_id, pg_backend_pid());
    RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE TRIGGER fault_run AFTER INSERT OR UPDATE ON comp_core_run
    FOR EACH ROW EXECUTE FUNCTION fault_note_run();
CREATE TRIGGER fault_used AFTER INSERT ON comp_billing_usagerecord
    FOR EACH ROW EXECUTE FUNCTION fault_note_usage()
"""

POSTGRES_REMOVE = """
DROP TRIGGER fault_run ON comp_core_run;
DROP TRIGGER fault_used ON comp_billing_usagerecord;
DROP FUNCTION fault_note_run; DROP FUNCTION fault_note_usage; DROP TABLE fault_audit
"""

# Backends of this process by their number, for the journal.
_writers: dict[str, str] = {}


@dataclass(frozen=True)
class Entry:
    """One committed change. ``expired``: its lease had run out; ``old`` empty: a new row."""

    source: str
    run: uuid.UUID
    writer: str
    old: dict[str, Any]
    new: dict[str, Any]
    expired: bool


def writer_name() -> str:
    actor = current_actor()
    return actor.name if actor is not None else threading.current_thread().name


def on_connected(connection: Any, **kwargs: Any) -> None:
    """Receiver of ``connection_created``: the journal must know who writes."""
    actor = current_actor()
    if actor is not None and actor.is_ghost:
        raise Crash("the dead do not connect")
    if connection.vendor == "sqlite":
        connection.connection.create_function("fault_writer", 0, writer_name)
        connection.connection.execute("PRAGMA synchronous = OFF")
        return
    backend = connection.connection.info.backend_pid
    _writers[str(backend)] = writer_name()
    if actor is not None:
        actor.backend = backend
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '40ms'; SET synchronous_commit = off")


def install() -> None:
    """Create the journal and its triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRES)
            return
        pairs = {row: ", ".join(f"'{c}', {row}.{c}" for c in COLUMNS) for row in ("OLD", "NEW")}
        script = SQLITE.format(old=pairs["OLD"], new=pairs["NEW"])
        connection.connection.executescript(script)


def remove() -> None:
    """Take the journal away from a database that others will use; SQLite's file goes as a whole."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(POSTGRES_REMOVE)


def read() -> list[Entry]:
    """The journal in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source, run, writer, old, new, expired FROM fault_audit ORDER BY seq"
        )
        rows = cursor.fetchall()
    return [
        Entry(
            source,
            uuid.UUID(run),
            _writers.get(str(writer), str(writer)),
            _row(old),
            _row(new),
            bool(expired),
        )
        for source, run, writer, old, new, expired in rows
    ]


def _row(value: Any) -> dict[str, Any]:
    given = json.loads(value) if isinstance(value, str) else value or {}
    return {name: given.get(name) for name in COLUMNS} if given else {}
