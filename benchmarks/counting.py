"""What a site sends to its database: statements, savepoints, commits, as Django passes them on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

SAVEPOINTS = ("SAVEPOINT", "RELEASE", "ROLLBACK")
READS = ("SELECT", "PRAGMA")


@dataclass
class Counted:
    """Statements without what begins, ends and divides transactions."""

    statements: list[str] = field(default_factory=list)
    savepoints: int = 0
    commits: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "statements": len(self.statements),
            "savepoints": self.savepoints,
            "commits": self.commits,
            "sent": [" ".join(sql.split())[:90] for sql in self.statements],
        }

    def note(self, sql: str, *, alone: bool) -> None:
        """``alone``: outside any transaction, so that a write is a commit of its own."""
        word = sql.lstrip("( \n").partition(" ")[0].upper()
        if word == "BEGIN":
            return
        if word in SAVEPOINTS:
            self.savepoints += 1
            return
        self.statements.append(sql)
        if alone and word not in READS:
            self.commits += 1


@contextmanager
def counted(connection: Any) -> Iterator[Counted]:
    """Count what is sent through a connection."""
    found = Counted()

    def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        found.note(str(sql), alone=not connection.in_atomic_block)
        return execute(sql, params, many, context)

    commit = connection.commit

    def counting() -> None:
        found.commits += 1
        commit()

    with connection.execute_wrapper(wrapper), mock.patch.object(connection, "commit", counting):
        yield found
