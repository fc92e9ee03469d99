"""Long queues, written at once, and what the database does with a statement on them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from comp_core.models import Run
from comp_core.status import RunStatus
from comp_users.models import Profile, Project

BATCH = 2000
Sent = tuple[str, Any]
# SQLite's word for reading an index in its order, from which LIMIT 1 takes the first.
IN_ORDER = " USING (COVERING )?INDEX comp_core_run_(held|claim)"


def many_profiles(number: int) -> list[Profile]:
    """Profiles of new users, without the work that a sign-up entails."""
    users = get_user_model()
    names = [f"user-{uuid.uuid4().hex[:12]}" for _ in range(number)]
    made = users.objects.bulk_create([users(username=n, email=f"{n}@example.org") for n in names])
    return Profile.objects.bulk_create([Profile(user=user) for user in made])


def fill_queue(
    project: Project, owners: list[Profile], *, rows: int, held: bool = False
) -> list[Run]:
    """Queue runs of these owners in turn, as submit would have; their inputs are left out."""
    now = timezone.now() - timedelta(minutes=1)
    runs = [
        Run(
            owner=owners[number % len(owners)],
            payer=owners[number % len(owners)],
            project=project,
            status=RunStatus.QUEUED,
            held=held,
            start_tag=2 * (number // len(owners)),
            queued_at=now + timedelta(microseconds=number),
            modified=now,
            start_deadline_at=now + timedelta(days=1),
        )
        for number in range(rows)
    ]
    made = Run.objects.bulk_create(runs, batch_size=BATCH)
    analyze()
    return made


def analyze() -> None:
    """Give PostgreSQL's planner the figures that it would have gathered by itself in time."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


@contextmanager
def sent() -> Iterator[list[Sent]]:
    """The reading and writing statements of the block, with their parameters."""
    found: list[Sent] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not many and re.match("SELECT|UPDATE|DELETE", sql):
            found.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


@dataclass(frozen=True)
class Plan:
    """How the database carries a statement out, in its own words."""

    sql: str
    text: str

    @property
    def scans_runs(self) -> bool:
        """Whether it reads the table of runs from end to end, or all of an index."""
        but = f"(?!{IN_ORDER})" if self.sql.endswith("LIMIT 1") and not self.sorts else ""
        return bool(
            re.search(r"Seq Scan on comp_core_run\b", self.text)
            or re.search(rf"^SCAN (comp_core_run|U\d+)\b{but}", self.text, re.M)
        )

    @property
    def sorts(self) -> bool:
        return "TEMP B-TREE" in self.text or "Sort" in self.text


def explain(statement: Sent) -> Plan:
    """The plan for a statement with the very parameters that were sent."""
    sql, params = statement
    prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{prefix} {sql}", params)
        rows = cursor.fetchall()
    return Plan(sql, "\n".join(str(row[-1]) for row in rows))
