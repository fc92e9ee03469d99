"""The verbs on runs: guarded moves with lease and fence, the meter told at every end."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test.utils import override_settings
from django_tasks_db.models import DBTaskResult

from comp_core import lifecycle
from comp_core.lifecycle import Outcome
from comp_core.metering import NullMeter
from comp_core.models import Run
from comp_core.signals import run_finished
from comp_core.status import LEGAL_MOVES, TERMINAL, RunStatus
from tests.core.builders import make_claimed, make_inputs, make_profile, make_run, statements

pytestmark = pytest.mark.django_db(transaction=True)

SUCCESS = Outcome(status=RunStatus.SUCCEEDED, seconds=Decimal("2.5"))
FAILURE = Outcome(status=RunStatus.FAILED, error_message="It broke.")


class Noting(NullMeter):
    """A meter that notes what it is told."""

    notes: list[tuple[str, uuid.UUID]] = []

    def record(self, run: Run) -> None:
        self.notes.append(("record", run.pk))

    def release(self, run: Run) -> None:
        self.notes.append(("release", run.pk))


class Failing(NullMeter):
    """A meter that breaks."""

    def record(self, run: Run) -> None:
        raise RuntimeError("The meter broke.")


@pytest.fixture
def notes(settings: Any) -> list[tuple[str, uuid.UUID]]:
    """What the meter was told."""
    settings.COMP_CORE = {"METER": f"{__name__}.Noting"}
    Noting.notes = []
    return Noting.notes


def expire(run: Run) -> None:
    """Let a lease run out."""
    Run.objects.filter(pk=run.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


def status(run: Run) -> str:
    """How a run stands in the database."""
    return Run.objects.get(pk=run.pk).status


def test_claim_leases_the_run() -> None:
    """A claimed run is running, leased to its worker, in its first attempt."""
    claimed = make_claimed()
    stored = Run.objects.get(pk=claimed.pk)
    assert (stored.status, stored.attempt, stored.worker_id, stored.lease_token) == (
        "running",
        1,
        "tests",
        claimed.lease_token,
    )


def test_claim_empty_queue() -> None:
    """Nothing waits: nothing is claimed, whatever waits elsewhere."""
    make_run()
    assert lifecycle.claim("other", worker_id="w") is None


def test_claims_each_run_once() -> None:
    """Two claims take two runs, and the third takes none."""
    runs = {make_run().pk for _ in range(2)}
    claims = [lifecycle.claim("default", worker_id="w") for _ in range(3)]
    assert [{run.pk for run in claims if run}, claims[2]] == [runs, None]


def test_priority_before_age() -> None:
    """A later run of higher priority is claimed first."""
    make_run()
    urgent = make_run()
    Run.objects.filter(pk=urgent.pk).update(priority=1)
    claimed = lifecycle.claim("default", worker_id="w")
    assert getattr(claimed, "pk", None) == urgent.pk


def test_claim_statements() -> None:
    """A claim costs two statements."""
    make_run()
    with statements() as sql:
        lifecycle.claim("default", worker_id="w")
    assert len(sql) == 2


def test_heartbeat_is_one_statement() -> None:
    """A heartbeat that finds no wish to cancel is one statement."""
    run = make_claimed()
    with statements() as sql:
        beat = lifecycle.heartbeat(run.pk, run.lease_token, progress=0.5, message="half")
    assert (beat, len(sql)) == (lifecycle.Heartbeat(alive=True, cancel_requested=False), 1)


def test_heartbeat_stores_progress() -> None:
    """A heartbeat carries the progress and extends the lease."""
    run = make_claimed()
    expire(run)
    lifecycle.heartbeat(run.pk, run.lease_token, progress=0.5, message="half")
    stored = Run.objects.get(pk=run.pk)
    assert (stored.progress, stored.progress_message, lifecycle.reap()) == (0.5, "half", 0)


@pytest.mark.parametrize("fraction", [float("nan"), float("inf"), -3.0, 7.0])
def test_heartbeat_bounds_progress(fraction: float) -> None:
    """Nonsense from a model stays within 0 and 1."""
    run = make_claimed()
    lifecycle.heartbeat(run.pk, run.lease_token, progress=fraction, message="")
    assert 0 <= Run.objects.get(pk=run.pk).progress <= 1


def test_heartbeat_with_a_wrong_token() -> None:
    """Invariant 4: a worker without the lease learns that it is fenced."""
    run = make_claimed()
    beat = lifecycle.heartbeat(run.pk, uuid.uuid4(), progress=0.5, message="")
    assert (beat.alive, Run.objects.get(pk=run.pk).progress) == (False, 0)


def test_success_is_priced(notes: list[Any]) -> None:
    """Invariant 11: run time at the frozen rate, recorded in the same step."""
    run = make_claimed()
    assert lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.run_time, stored.run_cost, stored.progress, notes) == (
        "succeeded",
        Decimal("2.5"),
        Decimal("0.025"),
        1.0,
        [("record", run.pk)],
    )


def test_failure_is_free(notes: list[Any]) -> None:
    """A failed run has no cost, and the meter lets go of it."""
    run = make_claimed()
    assert lifecycle.finish(run.pk, run.lease_token, FAILURE)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.run_cost, stored.error_message, notes) == (
        "failed",
        None,
        "It broke.",
        [("release", run.pk)],
    )


def test_finish_statements() -> None:
    """Finish costs two statements, which leaves three of five to the meter."""
    run = make_claimed()
    with override_settings(COMP_CORE={}), statements() as sql:
        lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert len(sql) == 2


def test_finish_twice(notes: list[Any]) -> None:
    """Invariant 4: the second finish writes nothing and tells the meter nothing."""
    run = make_claimed()
    lifecycle.finish(run.pk, run.lease_token, FAILURE)
    again = lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert (again, status(run), len(notes)) == (False, "failed", 1)


def test_a_zombie_is_fenced(notes: list[Any]) -> None:
    """Invariant 4: a worker that comes back after its run was reaped writes nothing."""
    run = make_claimed()
    expire(run)
    lifecycle.reap()
    second = lifecycle.claim("default", worker_id="other")
    assert second is not None
    late = lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert (late, status(run), notes) == (False, "running", [])


def test_a_broken_meter_keeps_the_run_open(settings: Any) -> None:
    """Status and record are one transaction: without the record there is no success."""
    settings.COMP_CORE = {"METER": f"{__name__}.Failing"}
    run = make_claimed()
    with pytest.raises(RuntimeError, match="meter broke"):
        lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert status(run) == "running"


def test_reaped_run_waits_again(notes: list[Any]) -> None:
    """A run whose worker fell silent goes back to the queue, with a ticket."""
    run = make_claimed()
    expire(run)
    DBTaskResult.objects.all().delete()
    moved = lifecycle.reap()
    stored = Run.objects.get(pk=run.pk)
    assert (moved, stored.status, stored.attempt, stored.lease_token, notes) == (
        1,
        "queued",
        1,
        None,
        [],
    )
    assert DBTaskResult.objects.count() == 1


def test_reaped_too_often(notes: list[Any]) -> None:
    """A run whose attempts are used up is lost, and not charged."""
    run = make_claimed()
    expire(run)
    lifecycle.reap()
    lifecycle.claim("default", worker_id="other")
    expire(run)
    lifecycle.reap()
    assert (status(run), notes) == ("lost", [("release", run.pk)])


def test_reaped_after_a_cancel(notes: list[Any]) -> None:
    """A silent worker's run that was to be cancelled is cancelled."""
    run = make_claimed()
    lifecycle.cancel(run)
    expire(run)
    lifecycle.reap()
    assert (status(run), notes) == ("cancelled", [("release", run.pk)])


def test_cancel_while_queued(notes: list[Any]) -> None:
    """A waiting run is cancelled at once and never starts."""
    run = lifecycle.cancel(make_run())
    assert (run.status, lifecycle.claim("default", worker_id="w"), notes) == (
        "cancelled",
        None,
        [("release", run.pk)],
    )


def test_cancel_while_running() -> None:
    """A running run learns of it by its next heartbeat, which still keeps the lease."""
    run = make_claimed()
    lifecycle.cancel(run)
    beat = lifecycle.heartbeat(run.pk, run.lease_token, progress=0, message="")
    assert beat == lifecycle.Heartbeat(alive=True, cancel_requested=True)


def test_cancel_when_finished() -> None:
    """A finished run stays as it ended."""
    run = make_claimed()
    lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert lifecycle.cancel(run).status == "succeeded"


def test_abort_overdue(notes: list[Any]) -> None:
    """A run that no worker took before its deadline is aborted and not claimed."""
    run = make_run()
    Run.objects.update(start_deadline_at=Now() - timedelta(seconds=1))
    claimed = lifecycle.claim("default", worker_id="w")
    assert (claimed, lifecycle.abort_overdue(), status(run), notes) == (
        None,
        1,
        "aborted",
        [("release", run.pk)],
    )


def test_release() -> None:
    """A stopping worker's run goes back to the queue; the attempt is not held against it."""
    run = make_claimed()
    assert lifecycle.release(run.pk, run.lease_token)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.attempt, stored.max_attempts) == ("queued", 1, 3)


def test_release_with_a_wrong_token() -> None:
    """Invariant 4: only the lease's holder gives a run back."""
    run = make_claimed()
    assert (lifecycle.release(run.pk, uuid.uuid4()), status(run)) == (False, "running")


def test_the_end_is_announced() -> None:
    """``run_finished`` is sent once, after the end."""
    heard: list[tuple[Any, str]] = []

    def listen(run: Run, **kwargs: Any) -> None:
        heard.append((run.pk, status(run)))

    run_finished.connect(listen)
    run = lifecycle.cancel(make_run())
    run_finished.disconnect(listen)
    assert heard == [(run.pk, "cancelled")]


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


def test_owners_are_served_in_turn() -> None:
    """Claims alternate between owners whatever the order in which they submitted."""
    owners = [make_profile("ann"), make_profile("bob")]
    for owner in owners:
        for _ in range(2):
            lifecycle.submit(make_inputs(owner=owner))
    claims = [lifecycle.claim("default", worker_id="w") for _ in range(4)]
    assert [run.owner.user.username for run in claims if run] == ["ann", "bob", "ann", "bob"]


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
