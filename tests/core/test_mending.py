"""Lost tickets of a broker that cannot be counted: replaced soon, and never without bound."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from comp_core import tasks
from comp_core.db import from_now
from comp_core.models import Run, Worker
from comp_core.tasks import execute_next
from comp_core.tickets import mend_tickets
from tests.core.builders import make_claimed, make_run
from tests.core.celery_rig import sent

__all__ = ["sent"]

pytestmark = pytest.mark.django_db(transaction=True)
Sent = list[dict[str, Any]]


def lost(sent: Sent, number: int = 1, *, waited: int = 60) -> list[Run]:
    """Runs that have waited for so many seconds, and whose tickets are gone."""
    runs = [make_run() for _ in range(number)]
    moment = from_now(-waited)
    Run.objects.filter(status="queued").update(queued_at=moment, modified=moment)
    sent.clear()
    return runs


def slots(number: int, *, queues: str = "default,checks", age: int = 0) -> None:
    """A worker that was seen so many seconds ago."""
    name = f"worker-{Worker.objects.count()}"
    seen = from_now(-age)
    Worker.objects.create(id=name, queues=queues, slots=number, started_at=Now(), seen_at=seen)


def test_as_many_as_there_are_idle_slots(sent: Sent) -> None:
    """Every idle slot gets a ticket, once: whoever takes it carries on from there."""
    slots(2), slots(1)
    lost(sent, 5)
    assert (mend_tickets(), mend_tickets(), len(sent)) == (3, 0, 3)


def test_no_more_than_wait(sent: Sent) -> None:
    """Ten idle slots need no ten tickets for one run."""
    slots(10)
    lost(sent)
    assert (mend_tickets(), mend_tickets()) == (1, 0)


def test_a_busy_site(sent: Sent) -> None:
    """While all slots are busy, runs wait for them and not for tickets."""
    make_claimed()
    slots(1)
    lost(sent, 3)
    assert mend_tickets() == 0


def test_without_a_row(sent: Sent) -> None:
    """Nobody is known to be there: one ticket at a time tries it."""
    slots(4, age=121)
    slots(4, queues="gpu")
    lost(sent, 3)
    assert (mend_tickets(), mend_tickets()) == (1, 0)


def minutes(number: int) -> list[int]:
    """How many tickets are sent in each of so many minutes."""
    waiting = Run.objects.filter(status="queued")
    return [
        mend_tickets() + mend_tickets() + 0 * waiting.update(modified=from_now(-61))
        for _ in range(number)
    ]


def test_hours_on_end(sent: Sent) -> None:
    """Slots that look idle and take nothing get one ticket a minute each, and no more."""
    slots(2)
    lost(sent, 10, waited=3600)
    assert minutes(30) == [2] * 30


def test_what_was_just_submitted(sent: Sent) -> None:
    """Its own ticket is on its way."""
    slots(2)
    make_run()
    sent.clear()
    assert mend_tickets() == 0


def test_a_held_run_needs_no_ticket(sent: Sent) -> None:
    """It waits behind its owner's own runs, not for a worker."""
    slots(2)
    lost(sent)
    Run.objects.update(held=True)
    assert mend_tickets() == 0


def carry_out(message: dict[str, Any]) -> None:
    """What the worker does that takes a ticket."""
    execute_next.call(*message["args"][2])


def test_one_leads_to_the_next(sent: Sent) -> None:
    """A queue that lost everything flows again from one ticket, without a pause between runs."""
    lost(sent, 4)
    mend_tickets()
    carried = [carry_out(message) for message in sent]
    assert (len(carried), Run.objects.filter(status="succeeded").count()) == (4, 4)


def test_a_ticket_that_has_waited_leads_nowhere(sent: Sent) -> None:
    """Behind it there are others, so they cannot multiply."""
    lost(sent, 2)
    mend_tickets()
    sent[0]["args"][2][1] = "2020-01-01T00:00:00+00:00"
    carry_out(sent[0])
    assert (len(sent), Run.objects.filter(status="succeeded").count()) == (1, 1)


def test_an_ordinary_ticket_leads_nowhere(sent: Sent) -> None:
    """Each run has sent its own."""
    make_run(), make_run()
    carry_out(sent[0])
    assert len(sent) == 2


def test_a_database_that_is_away_after_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that a mended ticket has claimed is executed all the same."""
    make_run()
    answers = Mock(side_effect=[OperationalError("away"), False], __name__="was_taken_at_once")
    monkeypatch.setattr(tasks, "was_taken_at_once", answers)
    tasks.execute_next.func("default", timezone.now().isoformat())
    assert Run.objects.get().status == "succeeded"
