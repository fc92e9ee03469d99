"""The verbs on runs: guarded moves with lease and fence, the meter told at every end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from comp_core import lifecycle
from comp_core.models import Run
from comp_core.status import LEGAL_MOVES, TERMINAL, RunStatus
from tests.core.builders import (
    FAILURE,
    SUCCESS,
    expire,
    make_claimed,
    make_run,
    statements,
    status,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_nothing_leaves_a_terminal_state(end: RunStatus, notes: list[Any]) -> None:
    """Invariant 4: no verb moves a run that has ended."""
    run = make_claimed()
    cost = {"run_time": 1, "run_cost": 1} if end == RunStatus.SUCCEEDED else {}
    Run.objects.filter(pk=run.pk).update(
        status=end, finished_at=Now(), lease_token=None, start_deadline_at=Now(), **cost
    )
    lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    lifecycle.release(run.pk, run.lease_token)
    lifecycle.cancel(run)
    lifecycle.reap()
    lifecycle.abort_overdue()
    lifecycle.claim("default", worker_id="w")
    assert (status(run), notes) == (end, [])


def test_legal_moves_name_every_state() -> None:
    """Every state has moves or ends a run."""
    assert set(LEGAL_MOVES) | TERMINAL == set(RunStatus)


def moves(sql: list[str]) -> list[str]:
    """The conditions of the statements that move a run."""
    updates = [statement for statement in sql if statement.startswith("UPDATE")]
    return [
        statement.partition(" WHERE ")[2] for statement in updates if '"status" = ' in statement
    ]


def make_overdue() -> Run:
    """A run that waits since before its deadline."""
    run: Run = make_run()
    Run.objects.filter(pk=run.pk).update(start_deadline_at=Now() - timedelta(seconds=1))
    return run


def make_silent() -> Run:
    """A run whose worker has fallen silent."""
    run: Run = make_claimed()
    expire(run)
    return run


MOVES: dict[str, tuple[Any, Any]] = {
    "claim": (make_run, lambda run: lifecycle.claim("default", worker_id="w")),
    "finish": (make_claimed, lambda run: lifecycle.finish(run.pk, run.lease_token, FAILURE)),
    "release": (make_claimed, lambda run: lifecycle.release(run.pk, run.lease_token)),
    "cancel": (make_run, lifecycle.cancel),
    "reap": (make_silent, lambda run: lifecycle.reap()),
    "abort": (make_overdue, lambda run: lifecycle.abort_overdue()),
}


@pytest.mark.parametrize("verb", MOVES)
def test_every_move_names_the_state_it_leaves(verb: str) -> None:
    """Invariant 4: one UPDATE on the runs' own table, guarded by the status that it leaves.

    Through a subclass's manager Django would select first and update by id alone.
    """
    build, move = MOVES[verb]
    run = build()
    with statements() as sql:
        move(run)
    assert ['"comp_core_run"."status" = ' in where for where in moves(sql)] == [True]
