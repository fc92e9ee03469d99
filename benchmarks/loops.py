"""What the maintenance loops cost while a long queue waits and nothing is due."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from copy import copy as shallow
from typing import Any

from django_tasks_db.models import DBTaskResult

from benchmarks.databases import Databases
from benchmarks.figures import Figure, Sample, Sizes, milliseconds
from comp_core import lifecycle
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.tickets import mend_tickets, send_ticket
from tests.core.builders import make_inputs
from tests.core.scale import explain, fill_queue, many_profiles, sent

FEW = 100
LOOPS: dict[str, Callable[[], Any]] = {
    "reap": lifecycle.reap,
    "abort_overdue": lifecycle.abort_overdue,
    "admit_held": lifecycle.admit_held,
    "mend_tickets": mend_tickets,
}


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Each loop's round, with a long queue and with a short one; and who reads all of it."""
    few = _rounds(databases, FEW, sizes)
    many = _rounds(databases, sizes.rows, sizes)
    for name in LOOPS:
        yield Figure(
            name=f"loop.{name}",
            unit="ms",
            ours=Sample(many[name]),
            rival_name=f"ours with {FEW} queued",
            rival=Sample(few[name]),
            parts={"queued": sizes.rows, "rounds found nothing to do": True},
        )
    inputs = make_inputs()
    readers = _readers({**LOOPS, "submit": lambda: lifecycle.submit(inputs)})
    yield Figure(
        name="reads of the whole queue",
        unit="statements",
        ours=Sample([len(readers)]),
        at_most=0,
        parts={"queued": sizes.rows, "of": [*LOOPS, "submit"], "found": readers},
    )


def _rounds(databases: Databases, rows: int, sizes: Sizes) -> dict[str, list[float]]:
    databases.copy("loops")
    fill_queue(project_for(get_spec("doubling")), many_profiles(10), rows=rows)
    _send_tickets(rows)
    return {
        name: [milliseconds(loop) for _ in range(sizes.repeat + 1)][1:]
        for name, loop in LOOPS.items()
    }


def _send_tickets(number: int) -> None:
    """A ticket for each run, without the work of sending it."""
    send_ticket("default")
    ticket = DBTaskResult.objects.get()
    copies = [shallow(ticket) for _ in range(number - 1)]
    for made in copies:
        made.pk = uuid.uuid4()
    DBTaskResult.objects.bulk_create(copies, batch_size=2000)


def _readers(actions: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """The statements that read every run that waits, by name of who sends them."""
    found = {}
    for name, action in actions.items():
        with sent() as statements:
            action()
        for statement in statements:
            if "comp_core_run" in statement[0] and explain(statement).scans_runs:
                found[name] = explain(statement).text.splitlines()[0]
    return found
