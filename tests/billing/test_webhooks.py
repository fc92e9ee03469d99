"""The webhook endpoint: what it lets in, what it stores, what it makes of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from comp_billing import events, handlers
from comp_billing.models import Customer, Event, Invoice, StripeObject, Subscription

SECRET = "whsec_tests"
pytestmark = pytest.mark.django_db(transaction=True)


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> str:
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"t={stamp},v1={digest.hexdigest()}"


def post(body: bytes, header: str | None = None, **extra: Any) -> int:
    sent = signed(body) if header is None else header
    response: HttpResponse = Client().post(
        "/billing/webhook/",
        body,
        content_type="application/json",
        headers={"Stripe-Signature": sent},
        **extra,
    )
    return response.status_code


def event(event_type: str = "customer.updated", obj: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1000,
        "livemode": False,
        "type": event_type,
        "data": {"object": obj or {"id": "cus_1", "object": "customer", "email": "a@b.c"}},
        "request": {"id": "req_1", "idempotency_key": "key_1"},
        **fields,
    }


def tell(payload: Any) -> int:
    return post(json.dumps(payload).encode())


@pytest.fixture
def handle() -> Iterator[Any]:
    """Register a handler for the length of a test."""
    added: list[handlers.Handler] = []

    def add(*types: str, handler: handlers.Handler, stored: bool = False) -> None:
        added.append(handlers.on(*types, stored=stored)(handler))

    yield add
    for handler in added:
        handlers.unregister(handler)


# -- what is let in


BODY = json.dumps(event()).encode()


# Each is made when its test runs: time passes while tests are collected.
BAD_HEADERS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "empty timestamp": lambda: "t=",
    "empty signature": lambda: f"t={int(time.time())},v1=",
    "no timestamp": lambda: "v1=" + "ab" * 32,
    "no signature": lambda: f"t={int(time.time())}",
    "nonsense": lambda: "nonsense",
    "another scheme": lambda: signed(BODY).replace("v1=", "v0="),
    "forged": lambda: f"t={int(time.time())},v1={'ab' * 32}",
    "not ascii": lambda: f"t={int(time.time())},v1=é",
    "two timestamps": lambda: "t=1," + signed(BODY),
    "endless timestamp": lambda: f"t={'9' * 5000},v1=ab",
    "negative timestamp": lambda: "t=-5,v1=ab",
    "a hundred signatures": lambda: signed(BODY) + ",v1=ab" * 100,
    "too long": lambda: signed(BODY) + ",v0=" + "a" * 5000,
    "another secret": lambda: signed(BODY, secret="whsec_other"),
    "no secret": lambda: signed(BODY, secret=""),
    "stale": lambda: signed(BODY, at=time.time() - 302),
    "dated ahead": lambda: signed(BODY, at=time.time() + 330),
    "another body": lambda: signed(BODY + b" "),
}


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_what_stripe_has_not_signed_just_now_is_refused(header: str) -> None:
    """No, forged, stale, future-dated or malformed signature: 400 and not a row."""
    answer = post(BODY, BAD_HEADERS[header]())
    assert (answer, Event.objects.count(), Customer.all_objects.count()) == (400, 0, 0)


def test_a_missing_signature_is_refused() -> None:
    """Not an error of ours."""
    response = Client().post("/billing/webhook/", BODY, content_type="application/json")
    assert (response.status_code, Event.objects.count()) == (400, 0)


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_other"]])
def test_without_the_secret_nothing_is_let_in(secrets: list[str]) -> None:
    """An empty secret would let anybody sign."""
    with override_settings(COMP_BILLING={"WEBHOOK_SECRETS": secrets}):
        assert post(BODY, signed(BODY, secret="")) == 400


def test_while_a_secret_is_rotated_both_hold() -> None:
    """And several signatures in one header are looked through."""
    old, new = signed(BODY, secret="whsec_old"), signed(BODY, secret="whsec_new")
    with override_settings(COMP_BILLING={"WEBHOOK_SECRETS": ["whsec_new", "whsec_old"]}):
        assert (post(BODY, old), post(BODY, new)) == (200, 200)
        assert post(BODY, f"{old},{'v1=' + 'ab' * 32},{new.split(',')[1]}") == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe{}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"id":"evt_1","object":"event","type":"x","created":1,"a":'
        + b"[" * 80
        + b"]" * 80
        + b"}",
        json.dumps(event(id="")).encode(),
        json.dumps(event(id=7)).encode(),
        json.dumps(event(id="e" * 300)).encode(),
        json.dumps(event(type="")).encode(),
        json.dumps({**event(), "type": ["x"]}).encode(),
        json.dumps(event("x" * 121)).encode(),
        json.dumps(event(created=None)).encode(),
        json.dumps(event(created=10**30)).encode(),
        json.dumps(event(created=True)).encode(),
        json.dumps(event(object="customer")).encode(),
        json.dumps(event(object="v2.core.event", created="yesterday")).encode(),
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    """400 and not a row, never an error of ours."""
    assert (post(body), Event.objects.count()) == (400, 0)


@pytest.mark.parametrize("verb", ["get", "head", "put", "patch", "delete", "options"])
def test_only_post_is_answered(verb: str) -> None:
    """Others are told so."""
    response = getattr(Client(), verb)("/billing/webhook/")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_no_cross_site_token_is_asked_for() -> None:
    """The signature is what authenticates."""
    response = Client(enforce_csrf_checks=True).post(
        "/billing/webhook/", BODY, "application/json", headers={"Stripe-Signature": signed(BODY)}
    )
    assert response.status_code == 200


@override_settings(COMP_BILLING={"WEBHOOK_SECRETS": [SECRET], "WEBHOOK_MAX_BYTES": len(BODY)})
def test_a_body_up_to_the_limit_is_read_and_one_beyond_it_is_not() -> None:
    """Told by its declared length, before it is read."""
    assert (post(BODY), post(BODY + b" ")) == (200, 413)


@override_settings(COMP_BILLING={"WEBHOOK_SECRETS": [SECRET], "WEBHOOK_MAX_BYTES": 100})
def test_a_false_content_length_does_not_help() -> None:
    """What arrives is what counts; a length that is no number counts as none."""
    assert [post(BODY, CONTENT_LENGTH=length) for length in ("101", "50", "-1")] == [413, 400, 400]


# -- what is stored


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
            "related_object": {"id": "mtr_1", "type": "billing.meter"},
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


# -- handlers


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


# -- cost


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


# -- at the same time


def test_twenty_duplicates_at_once_are_one_row_and_one_effect(handle: Any) -> None:
    """Each waits for the first, and none for anything else."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite in memory has one connection; run with COMP_TEST_DB=postgres")
    calls: list[str] = []
    handle("customer.updated", handler=lambda *_: calls.append("x"))
    barrier, answers = threading.Barrier(20), []

    def deliver() -> None:
        barrier.wait()
        answers.append(tell(event()))
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, Event.objects.count(), len(calls)) == ([200] * 20, 1, 1)
