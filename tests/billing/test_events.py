"""Webhook events: what is stored and mirrored of them, at which cost."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from comp_billing import events, webhooks
from comp_billing.mirror.sql import insert_new
from comp_billing.models import Customer, Event, Invoice, Subscription
from tests.billing.builders import at_once, several_writers
from tests.billing.deliveries import event, tell

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_event_is_stored_and_its_object_mirrored() -> None:
    """With the customer that it is about."""
    status = tell(event())
    row = Event.objects.get()
    assert (
        status,
        row.type,
        row.payload,
        row.request_id,
        row.idempotency_key,
        row.customer_id,
        row.state,
        row.created.timestamp(),
        Customer.objects.get().email,
    ) == (200, "customer.updated", event(), "req_1", "key_1", "cus_1", "processed", 1000, "a@b.c")


def test_a_duplicate_is_one_row_and_one_effect(handle: Any) -> None:
    """Ten deliveries in a row: ten times 200."""
    calls: list[str] = []
    handle("customer.updated", handler=lambda event, obj, previous: calls.append(event.pk))
    answers = [tell(event()) for _ in range(10)]
    assert (answers, Event.objects.count(), calls) == ([200] * 10, 1, ["evt_1"])


@pytest.mark.parametrize(
    "payload",
    [
        event("unheard_of.happened", {"id": "x_1", "object": "unheard_of"}),
        event("billing.alert.triggered", {"object": "billing.alert_triggered"}),
        event(livemode=True),
        event(account="acct_other"),
        event("invoice.updated", data=None),
        event("invoice.updated", data={"object": "in_1"}),
        event("invoice.updated", data={"object": {"id": 5, "object": ["invoice"]}}),
        {
            "id": "evt_1",
            "object": "v2.core.event",
            "type": "v1.billing.meter.unheard_of",
            "created": "2026-11-22T10:00:00.000Z",
            "livemode": False,
            "related_object": {"id": "x_1", "type": "unheard_of"},
        },
    ],
)
def test_what_is_of_no_interest_is_kept_and_changes_nothing(payload: dict[str, Any]) -> None:
    """Other types, modes and accounts, objects without id, thin events: 200, stored only."""
    status = tell(payload)
    stored = Event.objects.values_list("state", flat=True)
    assert (status, list(stored), Customer.all_objects.count()) == (200, ["inert"], 0)


def test_a_thin_event_with_a_handler_waits_for_the_worker(handle: Any) -> None:
    """Its handler fetches what the event does not tell, outside the request."""
    seen: list[Any] = []
    handle(
        "v1.x", handler=lambda event, obj, previous: seen.append((event.is_thin, obj)), stored=True
    )
    thin = {"object": "v2.core.event", "created": "2026-11-22T10:00:00Z", "data": {"a": "b"}}
    tell({**event("v1.x"), **thin})
    before = (Event.objects.get().state, list(seen))
    events.process_due_events()
    assert (before, Event.objects.get().state, seen) == (
        ("pending", []),
        "processed",
        [(True, None)],
    )


def test_a_thin_event_about_an_object_has_it_fetched() -> None:
    """It says that something has changed, and not what."""
    thin = {"object": "v2.core.event", "created": "2026-11-22T10:00:00Z", "data": None}
    related = {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"}
    status = tell({**event("v1.customer.subscription.unpaid"), **thin, "related_object": related})
    row = Subscription.all_objects.get()
    assert (status, row.pk, row.is_placeholder, row.fetch_at is not None) == (
        200,
        "sub_1",
        True,
        True,
    )


def test_a_preview_of_an_invoice_is_no_invoice() -> None:
    """``invoice.upcoming`` tells of one that does not exist, with or without an id."""
    upcoming = {"id": "upcoming_in_1", "object": "invoice", "customer": "cus_1"}
    tell(event("invoice.upcoming", upcoming))
    tell(event("invoice.upcoming", {"object": "invoice", "customer": "cus_1"}, id="evt_2"))
    found = Event.objects.order_by("pk").values_list("customer_id", "invoice_id")
    assert (list(found), Invoice.all_objects.count()) == ([("cus_1", None)] * 2, 0)


def test_events_about_an_unknown_customer_and_invoice_name_placeholders() -> None:
    """Also when their object itself is not mirrored."""
    obj = {"id": "x_1", "object": "unheard_of", "customer": "cus_9", "invoice": "in_9"}
    tell(event("unheard_of.happened", obj))
    row = Event.objects.get()
    assert (row.customer_id, row.invoice_id, Customer.objects.count()) == ("cus_9", "in_9", 0)


def test_old_and_new_shapes_are_read_as_far_as_they_go() -> None:
    """An invoice of 2020, and one with nothing but an id."""
    old = {
        "id": "in_1",
        "object": "invoice",
        "customer": {"id": "cus_1", "object": "customer"},
        "subscription": "sub_1",
        "paid": True,
        "lines": None,
        "parent": "none",
    }
    statuses = [
        tell(event("invoice.paid", old, api_version="2020-08-27")),
        tell(event("invoice.paid", {"id": "in_2", "object": "invoice"}, id="evt_2")),
        tell(event("invoice.paid", old | {"parent": None}, id="evt_3", api_version=None)),
    ]
    links = Invoice.objects.order_by("pk").values_list("customer_id", "subscription_id")
    assert (statuses, list(links)) == ([200] * 3, [("cus_1", "sub_1"), (None, None)])


def test_a_child_may_come_before_its_parents() -> None:
    """Foreign keys hold at commit, whatever the order."""
    tell(event("invoice.paid", {"id": "in_1", "object": "invoice", "customer": "cus_1"}))
    tell(event(id="evt_2"))
    assert Invoice.objects.get().customer.email == "a@b.c"


def test_a_canceled_subscription_is_no_tombstone() -> None:
    """``customer.subscription.deleted`` is a change of status."""
    canceled = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "canceled"}
    tell(event("customer.subscription.deleted", canceled))
    assert Subscription.objects.get().status == "canceled"


def test_a_deleted_customer_is_a_tombstone_in_either_order() -> None:
    """The late update of the same second does not bring it back."""
    tell(event("customer.deleted"))
    tell(event(id="evt_2"))
    assert list(Customer.all_objects.values_list("deleted", flat=True)) == [True]


def test_the_final_state_wins_among_the_news_of_one_second() -> None:
    """Finalised and paid within a second, told the wrong way round."""
    invoice = {"id": "in_1", "object": "invoice"}
    tell(event("invoice.paid", invoice | {"status": "paid"}))
    tell(event("invoice.finalized", invoice | {"status": "open"}, id="evt_2"))
    assert Invoice.objects.get().status == "paid"


def statements(payload: dict[str, Any]) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        tell(payload)
    verbs = [query["sql"].split()[0] for query in queries.captured_queries]
    return [verb for verb in verbs if verb in ("INSERT", "UPDATE", "SELECT", "DELETE")]


def test_an_event_is_two_statements_and_a_duplicate_one() -> None:
    """The event and its object, when its parents are known."""
    first = {"id": "in_1", "object": "invoice", "customer": "cus_1", "subscription": "sub_1"}
    tell(event("invoice.created", first))
    assert (
        statements(event("invoice.finalized", first, id="evt_2")),
        statements(event("invoice.finalized", first, id="evt_2")),
        statements(event("x.y", {"object": "x"}, id="evt_3")),
    ) == (["INSERT", "INSERT"], ["INSERT"], ["INSERT"])


def test_unknown_parents_cost_a_statement_per_table() -> None:
    """Customer and subscription here."""
    invoice = {"id": "in_1", "object": "invoice", "customer": "cus_1", "subscription": "sub_1"}
    assert len(statements(event("invoice.created", invoice))) == 4


@several_writers
def test_twenty_duplicates_at_once_are_one_row_and_one_effect(handle: Any) -> None:
    """Each waits for the first, and none for anything else."""
    calls: list[str] = []
    handle("customer.updated", handler=lambda *_: calls.append("x"))
    answers: list[int] = []

    at_once(lambda: answers.append(tell(event())), times=20)

    assert (answers, Event.objects.count(), len(calls)) == ([200] * 20, 1, 1)


def test_an_idle_event_that_fails_leaves_its_callers_transaction_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is written again within it, as any other."""
    tries: list[str] = []

    def insert(model: Any, rows: Any, *, using: str) -> set[str]:
        tries.append(rows[0]["stripe_id"])
        if len(tries) == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM no_such_table")
        return insert_new(model, rows, using=using)

    monkeypatch.setattr(webhooks, "insert_new", insert)
    payload = event("tax_rate.created", {"id": "txr_1", "object": "tax_rate"})
    with transaction.atomic():
        webhooks.ingest(webhooks.event_of(payload))
    assert (tries, Event.objects.count()) == ([payload["id"]] * 2, 1)
