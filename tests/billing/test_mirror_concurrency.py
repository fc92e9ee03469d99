"""Real threads on PostgreSQL: one effect whatever arrives at once, no deadlock that anybody sees,
and nobody who waits for a call to Stripe."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from comp_billing import mirror, stripe_api, webhooks
from comp_billing.mirror import known
from comp_billing.models import (
    Charge,
    Customer,
    Event,
    Invoice,
    InvoicePayment,
    Subscription,
    SubscriptionItem,
)
from comp_billing.sync import fetching
from comp_billing.testing import StandIn, StandInClient
from tests.billing.builders import at_once, several_writers
from tests.billing.deliveries import event
from tests.billing.standin_rig import in_process
from tests.billing.stripe_objects import VERSION, customer, item, subscription

pytestmark = [several_writers, pytest.mark.django_db(transaction=True)]
ROUNDS = 40
Json = dict[str, Any]
Action = Callable[[], Any]


def ingest(payload: Json) -> bool:
    return webhooks.ingest(webhooks.event_of(payload))


def told(number: int, event_type: str, obj: Json) -> Json:
    """An event of a second of its own."""
    return event(event_type, obj, id=f"evt_{obj['id']}_{number}", created=1000 + number)


def race(actions: list[Action]) -> list[str]:
    """All at the same moment; answers the errors that reached a caller."""
    surfaced: list[str] = []
    waiting = list(actions)

    def act() -> None:
        try:
            waiting.pop()()
        except Exception as exc:
            surfaced.append(repr(exc))

    at_once(act, times=len(actions))
    return surfaced


def repeat(scene: Callable[[int], list[Action]]) -> list[str]:
    """A scene again and again, in another order each time, by a process that knows no row yet.

    Answers the errors that reached a caller, and how many deadlocks there were that did not.
    """
    surfaced: list[str] = []
    before = deadlocks()
    for number in range(ROUNDS):
        known.forget()
        actions = scene(number)
        random.Random(number).shuffle(actions)
        surfaced += race(actions)
    resolved = deadlocks() - before
    return surfaced + ["deadlock"] * resolved


def deadlocks() -> int:
    """How many PostgreSQL has had to resolve here, on connections that are closed by now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def failed() -> int:
    """Events that were kept because something was raised."""
    return Event.objects.exclude(error="").count()


def test_twenty_duplicates_are_one_event_and_one_effect(handle: Any) -> None:
    """Of each of the rounds."""
    handle("customer.updated", handler=lambda e, *_: Group.objects.create(name=e.pk))
    news: list[bool] = []

    def scene(number: int) -> list[Action]:
        payload = told(number, "customer.updated", customer(id=f"cus_{number}"))
        return [lambda: news.append(ingest(payload)) for _ in range(20)]

    surfaced = repeat(scene)
    assert (surfaced, Counter(news), Group.objects.count(), failed()) == (
        [],
        {True: ROUNDS, False: 19 * ROUNDS},
        ROUNDS,
        0,
    )


def test_subscription_and_items_told_and_read_in_either_order() -> None:
    """Two events with both, the items alone as an answer, and the subscription as an answer."""

    def scene(number: int) -> list[Action]:
        key, items = f"sub_{number}", [item(10 * number + n) for n in range(4)]
        new = [{**one, "current_period_end": 900, "subscription": key} for one in items]
        return [
            lambda: ingest(told(1, "customer.subscription.created", subscription(*items, id=key))),
            lambda: ingest(
                told(
                    3, "customer.subscription.updated", subscription(*new, id=key, status="unpaid")
                )
            ),
            lambda: upsert(reversed(new), as_of=1004),
            lambda: upsert([subscription(*items[::-1], id=key)], as_of=1002),
        ]

    surfaced = repeat(scene)
    states = Counter(Subscription.objects.values_list("status", flat=True))
    ends = Counter(SubscriptionItem.objects.values_list("data__current_period_end", flat=True))
    assert (surfaced, failed(), states, ends) == (
        [],
        0,
        {"unpaid": ROUNDS},
        {900: 4 * ROUNDS},
    )


def upsert(objects: Any, *, as_of: int) -> None:
    mirror.upsert(
        list(objects), as_of=as_of, rank=mirror.Rank.LIST, api_version=VERSION, quiet=True
    )


def test_invoice_payment_and_charge_in_any_order() -> None:
    """Each names placeholders for the others; in the end each invoice has its charge."""

    def scene(number: int) -> list[Action]:
        invoice: Json = {"id": f"in_{number}", "object": "invoice", "customer": f"cus_{number}"}
        invoice |= {"parent": {"subscription_details": {"subscription": f"sub_{number}"}}}
        paid = {"type": "payment_intent", "payment_intent": f"pi_{number}"}
        payment = {"id": f"inpay_{number}", "object": "invoice_payment", "is_default": True}
        payment |= {"invoice": f"in_{number}", "payment": paid, "status": "paid"}
        charge: Json = {"id": f"ch_{number}", "object": "charge", "customer": f"cus_{number}"}
        charge |= {"payment_intent": f"pi_{number}", "status": "succeeded", "amount": 150}
        owner = customer(id=f"cus_{number}", email="ada@example.org")
        tellings = [
            told(2, "invoice.paid", {**invoice, "status": "paid"}),
            told(1, "invoice.finalized", {**invoice, "status": "open"}),
            told(1, "invoice_payment.paid", payment),
            told(1, "charge.succeeded", charge),
            told(2, "charge.updated", {**charge, "amount": 151}),
            told(1, "customer.updated", owner),
            told(1, "customer.subscription.updated", subscription(id=f"sub_{number}")),
        ]
        return [lambda told=one: ingest(told) for one in tellings]  # type: ignore[misc]

    surfaced = repeat(scene)
    mirror.mend_links()
    invoices = Counter(Invoice.objects.values_list("status", "charge__amount", "customer__email"))
    assert (
        surfaced,
        failed(),
        invoices,
        InvoicePayment.objects.count(),
        Charge.objects.count(),
    ) == (
        [],
        0,
        {("paid", 151, "ada@example.org"): ROUNDS},
        ROUNDS,
        ROUNDS,
    )


def test_twelve_events_that_name_the_same_unknown_parents() -> None:
    """And the parents themselves, at the same moment."""

    def scene(number: int) -> list[Action]:
        keys = {"customer": f"cus_{number}", "subscription": f"sub_{number}"}
        invoices = [
            told(n, "invoice.updated", {"id": f"in_{number}_{n}", "object": "invoice", **keys})
            for n in range(10)
        ]
        parents = [
            told(20, "customer.created", customer(id=keys["customer"])),
            told(
                20,
                "customer.subscription.created",
                subscription(id=keys["subscription"], customer=keys["customer"]),
            ),
        ]
        return [lambda told=one: ingest(told) for one in [*invoices, *parents]]  # type: ignore[misc]

    surfaced = repeat(scene)
    owned = Invoice.objects.filter(customer__email="a@b.c", subscription__status="active")
    assert (surfaced, failed(), owned.count(), Customer.objects.count()) == (
        [],
        0,
        10 * ROUNDS,
        ROUNDS,
    )


def test_handlers_that_lock_each_other_out_are_repeated(handle: Any) -> None:
    """Each writes the other's object: PostgreSQL ends one of two, and nobody hears of it."""
    met = threading.Barrier(2)

    def cross(event: Event, obj: Any, previous: Any) -> None:
        meet(met)
        other = Subscription if isinstance(obj, Customer) else Customer
        other.all_objects.update(fetch_attempts=7)
        Group.objects.create(name=event.pk)

    ingest(told(1, "customer.created", customer()))
    ingest(told(1, "customer.subscription.created", subscription()))
    handle("customer.updated", "customer.subscription.updated", handler=cross)
    before = deadlocks()
    surfaced = race(
        [
            lambda: ingest(told(2, "customer.updated", customer(email="new@b.c"))),
            lambda: ingest(told(2, "customer.subscription.updated", subscription(status="unpaid"))),
        ]
    )
    assert (surfaced, failed(), Group.objects.count(), deadlocks() - before) == ([], 0, 2, 1)


def meet(barrier: threading.Barrier) -> None:
    """Both are here, or one of them alone for a second time."""
    try:
        barrier.wait(timeout=5)
    except threading.BrokenBarrierError:
        return


def test_nobody_waits_for_a_call_to_stripe(stripe_standin: StandIn, settings: Any) -> None:
    """While an object is being fetched, an event about it is ingested and mirrored."""
    account = in_process(stripe_standin)
    key = account.v1.customers.create({"email": "fetched@example.org"}).id
    mirror.fetch_later(Customer, [key])
    called, told_it = threading.Event(), threading.Event()
    seen: list[Any] = []

    class Slow(StandInClient):
        """Tells of the customer when the event has been ingested, at the latest after a minute."""

        def request(self, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            if url.endswith(key):
                called.set()
                seen.append(told_it.wait(60))
            return super().request(method, url, *arguments, **options)

    def tell() -> None:
        called.wait(60)
        newer = customer(id=key, email="told@example.org")
        seen.append(ingest(event("customer.updated", newer, created=2_000_000_000)))
        told_it.set()

    with stripe_api.use_http_client(Slow(stripe_standin)):
        surfaced = race([fetching.fetch_due, tell])
    row = Customer.objects.get()
    assert (surfaced, seen, row.email) == ([], [True, True], "told@example.org")
