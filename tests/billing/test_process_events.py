"""comp_process_events: stored events again, here or by the worker; what it says and answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from comp_billing import events, handlers
from comp_billing.models import Event, EventState
from tests.billing.deliveries import event, tell
from tests.billing.gaps import process

pytestmark = pytest.mark.django_db(transaction=True)
STATES = ("pending", "failed", "dead", "processed")


def fail(*arguments: Any) -> None:
    raise ValueError


@pytest.fixture
def sent(handle: Any) -> list[str]:
    """Ids of the events that a stored handler has been given; one event in each state is here."""
    given: list[str] = []
    handle("customer.updated", handler=lambda e, *_: given.append(e.pk), stored=True)
    for number, state in enumerate(STATES):
        tell(event(id=f"evt_{state}", created=1_000_000 + number))
        Event.objects.filter(pk=f"evt_{state}").update(state=state)
    tell(event("unheard_of.happened", {"object": "x"}, id="evt_inert", created=1_000_009))
    return given


def states() -> dict[str, str]:
    return dict(Event.objects.order_by("pk").values_list("pk", "state"))


DONE = {f"evt_{state}": "processed" for state in STATES} | {"evt_inert": "inert"}


def test_what_is_not_done_is_processed(sent: list[str]) -> None:
    """Without any option; oldest first."""
    said = process()
    assert (said, sent, states()) == (
        "Events processed: 3 (3 done, 0 failed).\n",
        ["evt_pending", "evt_failed", "evt_dead"],
        DONE,
    )


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"failed": True}, ["evt_failed"]),
        ({"dead": True}, ["evt_dead"]),
        ({"pending": True}, ["evt_pending"]),
        ({"processed": True}, ["evt_processed"]),
        ({"failed": True, "dead": True}, ["evt_failed", "evt_dead"]),
        ({"types": ["customer.*"]}, ["evt_pending", "evt_failed", "evt_dead"]),
        ({"types": ["customer.updated", "x.y"]}, ["evt_pending", "evt_failed", "evt_dead"]),
        ({"types": ["customer"]}, []),
        ({"since": 1_000_002}, ["evt_dead"]),
        ({"since": 1_000_001, "failed": True}, ["evt_failed"]),
    ],
)
def test_events_are_chosen(sent: list[str], options: dict[str, Any], chosen: list[str]) -> None:
    """By what became of them, by type, by date; what is done, only when it is asked for."""
    process(**options)
    assert sent == chosen


def test_events_are_named_whatever_became_of_them(sent: list[str]) -> None:
    """What is stored only is left alone, and it says so."""
    said = process("evt_processed", "evt_inert")
    assert (said, sent, states()["evt_inert"]) == (
        "evt_inert is stored only: nothing here is concerned with it.\n"
        "Events processed: 1 (1 done, 0 failed).\n",
        ["evt_processed"],
        "inert",
    )


def test_an_id_that_is_not_here_stops_everything(sent: list[str]) -> None:
    """It may be a slip of the pen."""
    with pytest.raises(CommandError, match=r"No such events here: evt_x\. Nothing was done\."):
        process("evt_dead", "evt_x")
    assert sent == []


def test_a_dry_run_says_what_would_be_done(sent: list[str]) -> None:
    """And does nothing."""
    before = states()
    said = process(dry_run=True, types=["customer.*"])
    assert (said, sent, states()) == (
        "       1  Given up: customer.updated\n"
        "       1  Failed, will be retried: customer.updated\n"
        "       1  Handlers due: customer.updated\n"
        "Events that would be processed: 3.\n",
        [],
        before,
    )


def test_enqueued_events_are_the_workers(sent: list[str]) -> None:
    """As the admin's action does."""
    said, before = process(enqueue=True, dead=True), list(sent)
    events.process_due_events()
    assert (said, before, "evt_dead" in sent, states()["evt_dead"]) == (
        "Events left to the worker: 1.\n",
        [],
        True,
        "processed",
    )


def test_what_a_worker_is_at_is_left_to_it(sent: list[str]) -> None:
    """Unless it is named; another process would send the e-mail a second time."""
    later = timezone.now() + timedelta(minutes=4)
    Event.objects.filter(pk="evt_pending").update(next_attempt_at=later)
    said = process(pending=True)
    process("evt_pending")
    assert (said, sent) == ("Events processed: 0 (0 done, 0 failed).\n", ["evt_pending"])


def test_events_that_fail_again_are_an_error(sent: list[str], handle: Any) -> None:
    """The others are done; the failed ones begin their attempts anew, and wait for the worker."""
    handle("customer.deleted", handler=fail, stored=True)
    tell(event("customer.deleted", id="evt_bad"))
    with pytest.raises(CommandError, match="Events whose handlers failed: 1") as raised:
        process()
    row = Event.objects.get(pk="evt_bad")
    assert (raised.value.returncode, row.state, row.attempts, row.error.split()[0], sent) == (
        1,
        "failed",
        1,
        "ValueError",
        ["evt_pending", "evt_failed", "evt_dead"],
    )


def test_only_what_is_not_done_of_an_event_is_done(handle: Any) -> None:
    """Of two e-mails, the one that could not be sent."""
    given: list[str] = []
    handle("customer.updated", handler=lambda e, *_: given.append(e.pk), stored=True)
    handle("customer.updated", handler=fail, stored=True)
    tell(event())
    events.process_due_events()
    handlers.unregister(fail)
    process()
    done = Event.objects.get().state
    process(processed=True)
    assert (done, given) == (EventState.PROCESSED, ["evt_1", "evt_1"])


def test_an_event_that_was_never_applied_is_applied(handle: Any) -> None:
    """Its in-transaction handler raised, and has been mended."""
    given: list[str] = []
    handle("customer.updated", handler=fail)
    tell(event())
    handlers.unregister(fail)
    handle("customer.updated", handler=lambda e, *_: given.append(e.pk))
    process()
    process("evt_1")
    row = Event.objects.get()
    assert (row.state, row.applied_at is not None, given) == ("processed", True, ["evt_1"])
