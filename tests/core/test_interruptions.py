"""Attempts that did not end their run: noted once, told apart, and what operators may do."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django_tasks_db.models import DBTaskResult

from comp_core import lifecycle
from comp_core.exceptions import RunIsNotRunning
from comp_core.models import Attempt, Interruption, Run
from tests.core.builders import SUCCESS, expire, make_claimed, make_run, statements, status

pytestmark = pytest.mark.django_db(transaction=True)


def noted(run: Run) -> list[tuple[int, str, str]]:
    """Number, worker and reason of a run's interrupted attempts."""
    return list(Attempt.objects.filter(run=run).values_list("number", "worker_id", "reason"))


def reap_it(run: Run) -> None:
    """The worker falls silent."""
    expire(run)
    lifecycle.reap()


INTERRUPTIONS: dict[str, Any] = {
    "worker_lost": reap_it,
    "released": lambda run: lifecycle.release(run.pk, run.lease_token),
    "requeued": lifecycle.requeue,
    "given_up": lifecycle.mark_lost,
}


@pytest.mark.parametrize("reason", INTERRUPTIONS)
def test_an_interrupted_attempt_is_noted(reason: str) -> None:
    """Number, worker, times and progress of an attempt outlive it."""
    run = make_claimed()
    lifecycle.heartbeat(run.pk, run.lease_token, progress=0.25)
    INTERRUPTIONS[reason](run)
    attempt = Attempt.objects.get()
    assert (noted(run), attempt.progress, attempt.started_at <= attempt.ended_at) == (
        [(1, "tests", reason)],
        0.25,
        True,
    )


def test_an_attempt_that_ends_its_run_is_not_an_interruption() -> None:
    """It stands on the run itself."""
    run = make_claimed()
    lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert noted(run) == []


def test_a_lost_worker_after_a_cancel() -> None:
    """The run is cancelled, and the attempt is noted."""
    run = make_claimed()
    lifecycle.cancel(run)
    reap_it(run)
    assert (status(run), noted(run)) == ("cancelled", [(1, "tests", "worker_lost")])


def test_an_attempt_is_interrupted_once() -> None:
    """The database refuses a second note of one attempt."""
    run = make_claimed()
    lifecycle.mark_lost(run)
    again = Attempt(run=run, number=1, ended_at=Now(), reason=Interruption.WORKER_LOST)
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save(force_insert=True)


@pytest.mark.parametrize("reason", ["released", "requeued"])
def test_what_comes_from_outside_costs_no_attempt(reason: str) -> None:
    """Attempts count only against a run whose worker was lost."""
    run = make_claimed()
    INTERRUPTIONS[reason](run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.max_attempts - stored.attempt) == ("queued", 2)


def test_requeue_takes_a_run_from_its_worker(notes: list[Any]) -> None:
    """Invariant 4: the worker that had it is fenced, another one may have it at once."""
    run = make_claimed()
    lifecycle.requeue(run)
    second = lifecycle.claim("default", worker_id="other")
    beat = lifecycle.heartbeat(run.pk, run.lease_token)
    late = lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    assert (getattr(second, "attempt", 0), beat.alive, late, notes) == (2, False, False, [])


def test_requeue_renews_a_waiting_run() -> None:
    """A run that waits gets a ticket and its full time to start."""
    run = make_run()
    Run.objects.update(start_deadline_at=Now())
    DBTaskResult.objects.all().delete()
    lifecycle.requeue(run)
    assert (lifecycle.abort_overdue(), DBTaskResult.objects.count()) == (0, 1)


def test_requeue_respects_a_wish_to_cancel() -> None:
    """A run that is being cancelled is not started again."""
    run = make_claimed()
    lifecycle.cancel(run)
    assert lifecycle.requeue(run).status == "running"


def test_a_run_that_is_given_up(notes: list[Any]) -> None:
    """It is lost at once, costs nothing, and its worker is fenced."""
    run = lifecycle.mark_lost(make_claimed())
    assert (run.status, run.error_message, run.run_cost, notes) == (
        "lost",
        "An operator gave this run up.",
        None,
        [("release", run.pk)],
    )


def test_a_waiting_run_is_not_given_up() -> None:
    """It is cancelled instead, says the refusal."""
    with pytest.raises(RunIsNotRunning, match="cancel one that waits"):
        lifecycle.mark_lost(make_run())


@pytest.mark.parametrize("reason", INTERRUPTIONS)
def test_statements(reason: str) -> None:
    """Taking a run from its worker costs at most eight statements, whichever the reason."""
    run = make_claimed()
    with statements() as sql:
        INTERRUPTIONS[reason](run)
    assert len(sql) <= 8
