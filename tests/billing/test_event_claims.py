"""Claims of due events: who may work on which, what a late result changes, what it costs."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from comp_billing import events, handlers, webhooks
from comp_billing.models import Customer, Event
from tests.billing.builders import at_once, several_writers
from tests.billing.deliveries import event, tell

pytestmark = pytest.mark.django_db(transaction=True)


def fail(*arguments: Any) -> None:
    raise ValueError


def due() -> None:
    """As if every pause and every lease had passed."""
    past = timezone.now() - timedelta(seconds=1)
    Event.objects.filter(state__in=events.DUE).update(next_attempt_at=past)


@several_writers
def test_workers_share_the_due_events(handle: Any) -> None:
    """Four at a time: each event's handlers once."""
    seen: Counter[str] = Counter()
    handle("customer.updated", handler=lambda e, *_: seen.update([e.pk]), stored=True)
    for number in range(40):
        tell(event(id=f"evt_{number}"))
    done: list[int] = []
    at_once(lambda: done.append(events.process_due_events()), times=4)
    states = Counter(Event.objects.values_list("state", "attempts"))
    assert (sum(done), set(seen.values()), len(seen), states) == (
        40,
        {1},
        40,
        {("processed", 1): 40},
    )


def test_an_event_that_fails_holds_up_no_other(handle: Any) -> None:
    """The others of its round are done in it."""
    seen: list[str] = []

    def fail_first(event: Event, *arguments: Any) -> None:
        seen.append(event.pk)
        if event.pk == "evt_0":
            raise ValueError

    handle("customer.updated", handler=fail_first, stored=True)
    for number in range(3):
        tell(event(id=f"evt_{number}"))
    done = events.process_due_events()
    states = list(Event.objects.order_by("pk").values_list("state", flat=True))
    assert (done, seen, states) == (
        2,
        ["evt_0", "evt_1", "evt_2"],
        ["failed", "processed", "processed"],
    )


def test_pauses_grow_until_the_event_is_given_up(handle: Any) -> None:
    """From half a minute on, doubled each time, six hours at the most."""
    handle("customer.updated", handler=fail)
    tell(event())
    pauses = [pause_after_a_round() for _round in range(11)]
    seconds = [15 * 2**n for n in range(1, 11)]
    assert (pauses, Event.objects.get().state) == ([*seconds, None], "dead")


def pause_after_a_round() -> int | None:
    due()
    begun = timezone.now()
    events.process_due_events()
    moment = Event.objects.get().next_attempt_at
    return None if moment is None else round((moment - begun).total_seconds() / 15) * 15


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_result_that_comes_after_the_lease(handle: Any, ends: str) -> None:
    """Another worker has done the event by then: a failure says nothing about that."""
    calls: list[str] = []

    def slow(event: Event, *arguments: Any) -> None:
        calls.append(event.pk)
        if len(calls) == 1:
            due()
            events.process_due_events()
            assert ends == "well"

    handle("customer.updated", handler=slow, stored=True)
    tell(event())
    events.process_due_events()
    row = Event.objects.get()
    assert (row.state, row.error, row.next_attempt_at, len(calls)) == ("processed", "", None, 2)


def test_each_stored_handler_has_a_lease_of_its_own(handle: Any) -> None:
    """It begins anew with each of them."""
    leases: list[datetime | None] = []

    def look(event: Event, *arguments: Any) -> None:
        leases.append(Event.objects.get().next_attempt_at)

    handle("customer.updated", handler=look, stored=True)
    handle("customer.updated", handler=partial(look), stored=True)
    tell(event())
    events.process_due_events()
    assert leases == sorted(set(filter(None, leases)))


def test_what_could_not_be_mirrored_is_mirrored_though_its_handler_fails(
    handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the links of its event, once the handler is mended."""
    handle("customer.updated", handler=fail)
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "mirror_object", fail)
        tell(event())
    before = Customer.all_objects.count()
    due()
    events.process_due_events()
    mirrored = (Customer.objects.get().email, Event.objects.get().state)
    handlers.unregister(fail)
    due()
    events.process_due_events()
    assert (before, mirrored, Event.objects.get().customer_id) == (0, ("a@b.c", "failed"), "cus_1")


def test_due_events_are_found_by_their_index() -> None:
    """However many there are that are done; asked with parameters, as it is in earnest."""
    asked: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        events.process_due_events()
    assert "comp_billing_event_due" in plan_of(*asked[0])


def plan_of(sql: str, params: Any) -> str:
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[connection.vendor]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # So few rows are read faster as a whole.
            cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"{explain} {sql}", params)
        plan = str(cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")
    return plan


def test_an_event_is_four_statements(handle: Any) -> None:
    """Claimed, read, its object for the handler, marked."""
    handle("customer.updated", handler=lambda *_: None, stored=True)
    tell(event())
    with CaptureQueriesContext(connection) as queries:
        events.process_due_events()
    verbs = [query["sql"].split()[0] for query in queries.captured_queries]
    assert verbs == ["SELECT", "UPDATE", "SELECT", "SELECT", "UPDATE"]
