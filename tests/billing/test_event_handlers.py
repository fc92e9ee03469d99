"""What handlers of events are given, and what becomes of an event whose handler raises."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection

from comp_billing import events, handlers
from comp_billing.models import Customer, Event, StripeObject
from tests.billing.deliveries import event, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def test_a_handler_gets_the_event_its_object_and_what_changed(handle: Any) -> None:
    """The object as it is in the database now."""
    got: list[Any] = []
    handle("customer.updated", handler=lambda *arguments: got.append(arguments))
    data = {**event()["data"], "previous_attributes": {"email": "old@b.c"}}
    tell(event(data=data))
    assert got == [(Event.objects.get(), Customer.objects.get(), {"email": "old@b.c"})]


def fail(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    Customer.all_objects.update(email="half done")
    raise ValueError("told in confidence")


@pytest.mark.parametrize("stored", [False, True])
def test_an_event_whose_handler_raises_is_kept_and_done_later(
    handle: Any, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 for Stripe; the mirror true at once; the error's kind and place in the row."""
    attempts: list[int] = []

    def fail_twice(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            fail(event, obj, previous)

    handle("customer.updated", handler=fail_twice, stored=stored)
    status = tell(event())
    monkeypatch.setattr(events, "retry_at", lambda attempts: Event.objects.get().received_at)
    Event.objects.update(next_attempt_at="2020-01-01T00:00Z")
    events.process_due_events()
    failed = Event.objects.get()
    Event.objects.update(next_attempt_at="2020-01-01T00:00Z")
    events.process_due_events()
    events.process_due_events()
    done = Event.objects.get()
    assert (status, failed.state, failed.error.startswith("ValueError in fail,")) == (
        200,
        "failed",
        True,
    )
    assert (done.state, done.error, len(attempts), "confidence" in failed.error) == (
        "processed",
        "",
        3,
        False,
    )


def test_what_a_raising_handler_wrote_is_undone_and_the_news_kept(handle: Any) -> None:
    """Its effects are all or nothing; the proxy is as true as without it."""
    handle("customer.updated", handler=fail)
    tell(event())
    assert (Event.objects.get().state, Customer.objects.get().email) == ("failed", "a@b.c")


def test_a_handler_that_trips_over_the_database_is_like_any_other(handle: Any) -> None:
    """Repeated at once, since it may have been a deadlock, and then left to the worker."""
    calls: list[int] = []

    def trip(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
        calls.append(1)
        raise OperationalError

    handle("customer.updated", handler=trip)
    assert (tell(event()), Event.objects.get().state, len(calls)) == (200, "failed", 3)


def test_a_database_that_is_out_of_order_makes_stripe_deliver_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one case in which the answer is an error."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr("comp_billing.webhooks.insert_new", refuse)
        with pytest.raises(OperationalError):
            tell(event())
    assert (tell(event()), Event.objects.count()) == (200, 1)


def test_an_event_that_fails_too_often_is_given_up(handle: Any) -> None:
    """And can be taken up again by an operator."""
    handle("customer.updated", handler=fail)
    tell(event())
    Event.objects.update(attempts=11, next_attempt_at="2020-01-01T00:00Z")
    events.process_due_events()
    dead = Event.objects.get().state
    handlers.unregister(fail)
    events.process_again(Event.objects.all())
    events.process_due_events()
    assert (dead, Event.objects.get().state) == ("dead", "processed")


def test_processing_again_does_not_repeat_what_was_committed_with_the_event(handle: Any) -> None:
    """In-transaction handlers once, stored handlers once more."""
    calls: list[str] = []
    handle("customer.updated", handler=lambda *_: calls.append("in"))
    handle("customer.updated", handler=lambda *_: calls.append("stored"), stored=True)
    tell(event())
    events.process_due_events()
    again = events.process_again(Event.objects.all())
    events.process_due_events()
    assert (again, calls) == (1, ["in", "stored", "stored"])


def test_an_event_that_is_not_due_is_left_alone(handle: Any) -> None:
    """A failed one waits."""
    handle("customer.updated", handler=fail)
    tell(event())
    assert (events.process_due_events(), Event.objects.get().attempts) == (0, 1)


def test_an_object_that_cannot_be_written_is_kept_as_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host's own kind may read its data wrongly: the event stays, and is retried."""

    def broken(data: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(data["email"])

    monkeypatch.setattr(Customer, "embedded", broken)
    status = tell(event())
    assert (status, Event.objects.get().state, Event.objects.get().error.split()[0]) == (
        200,
        "failed",
        "KeyError",
    )


def test_parents_removed_behind_our_back_are_placed_again() -> None:
    """What is remembered of known ids is dropped when the database disagrees."""
    tell(event("invoice.paid", {"id": "in_1", "object": "invoice", "customer": "cus_1"}))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM comp_billing_event")
        cursor.execute("DELETE FROM comp_billing_invoice")
        cursor.execute("DELETE FROM comp_billing_customer")
    status = tell(event("invoice.paid", {"id": "in_1", "object": "invoice", "customer": "cus_1"}))
    assert (status, Event.objects.get().state) == (200, "pending")


def test_an_event_taken_for_another_modes_is_ours_when_the_setting_is_corrected(
    handle: Any, settings: Any
) -> None:
    """It was stored only; processed again, it is mirrored and its handlers run, once."""
    seen: list[str] = []
    handle("customer.updated", handler=lambda event, obj, previous: seen.append(event.pk))
    tell(event(livemode=True))
    before = (events.process_again(Event.objects.all()), Customer.all_objects.count())
    settings.COMP_BILLING = {**settings.COMP_BILLING, "LIVEMODE": True}
    events.process_again(Event.objects.all())
    events.process_due_events()
    events.process_due_events()
    assert (before, seen, Event.objects.get().state, Customer.objects.count()) == (
        (0, 0),
        ["evt_1"],
        "processed",
        1,
    )
