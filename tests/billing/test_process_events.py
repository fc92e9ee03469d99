"""comp_process_events: stored events again, here or by the worker; what it says and answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from comp_billing import events, handlers
from comp_billing.models import Customer, Event, EventState
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


# -- what was stored only


@pytest.fixture
def mistaken(settings: Any, handle: Any) -> list[str]:
    """Ids of the events that a stored handler has been given; one came in live mode, before the
    site was told that it is in live mode."""
    given: list[str] = []
    handle("customer.updated", handler=lambda e, *_: given.append(e.pk), stored=True)
    tell(event(id="evt_live", livemode=True))
    tell(event(id="evt_test", created=1_000_001))
    settings.COMP_BILLING = {**settings.COMP_BILLING, "LIVEMODE": True}
    Event.objects.filter(pk="evt_test").update(state=EventState.INERT, applied_at=None)
    return given


def test_events_of_a_mistaken_mode_are_told_of(mistaken: list[str]) -> None:
    """They may be old news: an e-mail about them is not sent unasked."""
    assert (process(), mistaken, states()) == (
        "Events that came under the other LIVEMODE, and are ours by this one: 1."
        " --mistaken processes them.\n"
        "Events processed: 0 (0 done, 0 failed).\n",
        [],
        {"evt_live": "inert", "evt_test": "inert"},
    )


@pytest.mark.parametrize("options", [{}, {"types": ["customer.*"]}])
def test_events_of_a_mistaken_mode_are_processed(
    mistaken: list[str], options: dict[str, Any]
) -> None:
    """As if they had just arrived, when that is asked for; those of the other mode stay."""
    said = process(mistaken=True, **options)
    assert (said, mistaken, states(), Customer.objects.count()) == (
        "Events processed: 1 (1 done, 0 failed).\n",
        ["evt_live"],
        {"evt_live": "processed", "evt_test": "inert"},
        1,
    )


def test_events_of_a_mistaken_mode_are_left_to_the_worker(mistaken: list[str]) -> None:
    """Beside what failed."""
    said = process(mistaken=True, failed=True, enqueue=True)
    events.process_due_events()
    assert (said, mistaken) == ("Events left to the worker: 1.\n", ["evt_live"])


@pytest.fixture
def late(handle: Any) -> list[str]:
    """What handlers that were registered after the event have been given."""
    given: list[str] = []
    for number, event_type in enumerate(["unheard_of.happened", "unheard_of.else"]):
        tell(event(event_type, {"object": "x"}, id=f"evt_{number}", created=1_000_000 + number))
    handle("unheard_of.happened", handler=lambda e, *_: given.append(f"in {e.pk}"))
    handle("unheard_of.*", handler=lambda e, *_: given.append(e.pk), stored=True)
    return given


@pytest.mark.parametrize(
    ("ids", "options", "given"),
    [
        ([], {}, []),
        ([], {"failed": True, "types": ["unheard_of.*"]}, []),
        (["evt_0"], {}, ["in evt_0", "evt_0"]),
        ([], {"types": ["unheard_of.happened"]}, ["in evt_0", "evt_0"]),
        ([], {"types": ["unheard_of.*"]}, ["in evt_0", "evt_0", "evt_1"]),
        ([], {"types": ["unheard_of.*"], "since": 1_000_001}, ["evt_1"]),
    ],
)
def test_events_are_handled_late(
    late: list[str], ids: list[str], options: dict[str, Any], given: list[str]
) -> None:
    """By handlers that were registered after they had been stored only, when they are named."""
    process(*ids, **options)
    assert late == given


def test_events_are_handled_late_once(late: list[str]) -> None:
    """In the transaction, that is; a stored handler runs again when it is asked for again."""
    process("evt_0")
    process("evt_0")
    row = Event.objects.get(pk="evt_0")
    assert (row.state, late) == (EventState.PROCESSED, ["in evt_0", "evt_0", "evt_0"])


def test_events_that_nothing_waits_for_stay(late: list[str], handle: Any) -> None:
    """Of other types, and those of the other mode whatever their type."""
    tell(event("unheard_of.too", {"object": "x"}, id="evt_other", livemode=True))
    tell(event("never_heard_of.it", {"object": "x"}, id="evt_never"))
    said = process("evt_never", "evt_other")
    assert (said.count("is stored only"), late) == (2, [])
