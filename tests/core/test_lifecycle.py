"""The verbs on runs: guarded moves with lease and fence, the meter told at every end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest
from django.db.models import Q
from django.db.models.functions import Now

from comp_core import lifecycle
from comp_core.exceptions import CompError, RunHasEnded
from comp_core.lifecycle.ending import end_run
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


ENDS = sorted(TERMINAL)
ILLEGAL = [
    (source, target)
    for source in RunStatus
    for target in RunStatus
    if source != target and target not in LEGAL_MOVES.get(source, frozenset())
]


def put(run: Run, state: RunStatus) -> None:
    """Put a run that a worker holds into a state, with every reason to leave it."""
    values: dict[str, Any] = {"status": state, "lease_token": None}
    values |= {"start_deadline_at": Now(), "lease_expires_at": None}
    values |= {"finished_at": Now()} if state in TERMINAL else {}
    values |= {"run_time": 1, "run_cost": 1} if state == RunStatus.SUCCEEDED else {}
    if state == RunStatus.RUNNING:
        values = {"lease_expires_at": Now()}
    Run.objects.filter(pk=run.pk).update(**values)


def outcome(target: RunStatus) -> lifecycle.Outcome:
    """What a worker would report."""
    return lifecycle.Outcome(status=target, seconds=Decimal(1))


def quietly(verb: Callable[[Run], Any]) -> Callable[[Run], None]:
    """A verb whose refusal in words is as good as doing nothing."""

    def call(run: Run) -> None:
        with suppress(CompError):
            verb(run)

    return call


# Every way of ours to bring a run into a state.
WAYS: dict[RunStatus, list[Callable[[Run], Any]]] = {
    RunStatus.QUEUED: [
        lambda run: lifecycle.release(run.pk, run.lease_token),
        quietly(lifecycle.requeue),
        lambda run: lifecycle.reap(),
    ],
    RunStatus.RUNNING: [lambda run: lifecycle.claim("default", worker_id="w")],
    RunStatus.CANCELLED: [lifecycle.cancel],
    RunStatus.ABORTED: [lambda run: lifecycle.abort_overdue()],
    RunStatus.LOST: [quietly(lifecycle.mark_lost)],
}


@pytest.mark.parametrize(("source", "target"), ILLEGAL)
def test_illegal_moves_are_refused(source: RunStatus, target: RunStatus, notes: list[Any]) -> None:
    """Invariant 4: no verb makes a move that the table does not have, and no meter hears of it."""
    run = make_claimed()
    put(run, source)
    for way in [*WAYS.get(target, []), quietly(lambda run: ended_as(run, target))]:
        way(run)
    assert (status(run), notes) == (source, [])


def ended_as(run: Run, target: RunStatus) -> None:
    """The terminal transition itself, with a guard that admits every state."""
    end_run(run.pk, Q(), target, outcome(target).values())


def test_the_table_of_illegal_moves() -> None:
    """Of 56 moves between two states, nine are legal."""
    assert (len(ILLEGAL), sum(map(len, LEGAL_MOVES.values()))) == (47, 9)


@pytest.mark.parametrize("end", ENDS)
def test_nothing_leaves_a_terminal_state(end: RunStatus, notes: list[Any]) -> None:
    """Invariant 4: no verb moves a run that has ended."""
    run = make_claimed()
    put(run, end)
    lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    for way in chain.from_iterable(WAYS.values()):
        way(run)
    assert (status(run), notes) == (end, [])


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("verb", [lifecycle.requeue, lifecycle.mark_lost])
def test_operators_are_told_that_it_has_ended(verb: Any, end: RunStatus) -> None:
    """The refusal says what to do instead."""
    run = make_claimed()
    put(run, end)
    with pytest.raises(RunHasEnded, match="copy its inputs"):
        verb(run)


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
    "requeue": (make_claimed, lifecycle.requeue),
    "mark_lost": (make_claimed, lifecycle.mark_lost),
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
