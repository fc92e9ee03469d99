"""How runs end: finished, cancelled, aborted, reaped; the meter told once at every end."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test.utils import override_settings
from django_tasks_db.models import DBTaskResult

from comp_core import lifecycle
from comp_core.models import Run
from comp_core.signals import run_finished
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
    settings.COMP_CORE = {"METER": "tests.core.meters.Failing"}
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


def test_the_end_is_announced() -> None:
    """``run_finished`` is sent once, after the end."""
    heard: list[tuple[Any, str]] = []

    def listen(run: Run, **kwargs: Any) -> None:
        heard.append((run.pk, status(run)))

    run_finished.connect(listen)
    run = lifecycle.cancel(make_run())
    run_finished.disconnect(listen)
    assert heard == [(run.pk, "cancelled")]
