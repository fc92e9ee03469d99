"""Tickets: duplicates are harmless, lost ones are mended, old ones go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django_tasks_db.models import DBTaskResult

from comp_core.inputs import save_inputs
from comp_core.models import Run
from comp_core.tickets import mend_tickets, prune_tickets, send_ticket
from comp_core.worker import drain
from tests.core.builders import make_profile, make_run
from tests.testapp.models import DoublingInputs

pytestmark = pytest.mark.django_db(transaction=True)


def age(queryset: Any, **fields: int) -> None:
    """Move moments into the past by seconds."""
    queryset.update(**{name: Now() - timedelta(seconds=by) for name, by in fields.items()})


def test_duplicate_tickets() -> None:
    """More tickets than runs: each run is executed once."""
    make_run(), send_ticket("default"), send_ticket("default")
    drain()
    assert list(Run.objects.values_list("status", "attempt")) == [("succeeded", 1)]


def test_a_lost_ticket_is_mended() -> None:
    """A run that waits without a ticket gets one, once."""
    make_run()
    DBTaskResult.objects.all().delete()
    age(Run.objects, queued_at=60, modified=60)
    assert (mend_tickets(), mend_tickets(), DBTaskResult.objects.count()) == (1, 0, 1)


def test_a_fresh_run_is_left_alone() -> None:
    """A run whose own ticket may still be on its way gets no other."""
    make_run()
    DBTaskResult.objects.all().delete()
    assert mend_tickets() == 0


def test_a_lost_check_is_mended() -> None:
    """Inputs that wait for a check without a ticket get one."""
    save_inputs(DoublingInputs(owner=make_profile()))
    DBTaskResult.objects.all().delete()
    age(DoublingInputs.objects, modified=3600)
    assert (mend_tickets(), mend_tickets(), DBTaskResult.objects.count()) == (1, 0, 1)


def test_old_tickets_go() -> None:
    """Tickets that were carried out, or whose worker died, are removed after days."""
    make_run()
    drain()
    send_ticket("default")
    age(DBTaskResult.objects, enqueued_at=180_000)
    assert (prune_tickets(), DBTaskResult.objects.ready().count()) == (1, 1)


def test_tickets_of_today_stay() -> None:
    """What was carried out can be looked up for a day, however long it waited and took."""
    make_run()
    drain()
    age(DBTaskResult.objects, enqueued_at=170_000)
    assert prune_tickets() == 0


def test_a_ticket_that_is_carried_out_is_not_pruned() -> None:
    """It may have waited as long as a run may, and its run may take as long as it may."""
    send_ticket("default")
    DBTaskResult.objects.update(status="RUNNING")
    age(DBTaskResult.objects, enqueued_at=86_400 + 3_500)
    assert prune_tickets() == 0
