"""The guarded upsert: order, placeholders, tombstones, children, what cannot be stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from comp_billing import mirror
from comp_billing.models import (
    Charge,
    Customer,
    Invoice,
    InvoicePayment,
    Plan,
    Product,
    Subscription,
    SubscriptionItem,
)

VERSION = "2026-10-28.endive"
pytestmark = pytest.mark.django_db(transaction=True)


def customer(**fields: Any) -> dict[str, Any]:
    return {"id": "cus_1", "object": "customer", "livemode": False, "email": "a@b.c", **fields}


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"si_{number}",
        "object": "subscription_item",
        "price": {"id": f"price_{number}", "object": "price", "product": "prod_1"},
        "current_period_start": 100,
        "current_period_end": 200,
        **fields,
    }


def subscription(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "sub_1",
        "object": "subscription",
        "livemode": False,
        "customer": "cus_1",
        "status": "active",
        "items": {"object": "list", "data": list(items), "has_more": False},
        **fields,
    }


def put(*objects: dict[str, Any], as_of: int = 1000, rank: int = 2) -> set[str]:
    return mirror.upsert(objects, as_of=as_of, rank=rank, api_version=VERSION)


def emails() -> list[tuple[str, int | None, int]]:
    return list(Customer.all_objects.values_list("email", "as_of", "rank"))


def test_an_object_becomes_a_row_with_its_data_and_columns() -> None:
    """Everything received is in ``data``; what is filtered on has a column."""
    written = put(customer())
    row = Customer.objects.get()
    assert (written, row.data, row.email, row.api_version, row.as_of, row.rank) == (
        {"cus_1"},
        customer(),
        "a@b.c",
        VERSION,
        1000,
        2,
    )


@pytest.mark.parametrize(
    ("as_of", "rank", "expected"),
    [
        (999, 3, ("old", 1000, 2)),
        (1000, 1, ("old", 1000, 2)),
        (1000, 2, ("new", 1000, 2)),
        (1000, 3, ("new", 1000, 3)),
        (1001, 0, ("new", 1001, 0)),
    ],
)
def test_older_news_never_overwrites_newer(
    as_of: int, rank: int, expected: tuple[str, int, int]
) -> None:
    """The second and then the rank decide; of two equals the later arrival stays."""
    put(customer(email="old"))
    put(customer(email="new"), as_of=as_of, rank=rank)
    assert emails() == [expected]


def test_a_parent_named_before_it_arrives_is_a_placeholder_left_out_of_lists() -> None:
    """Then it arrives, however old the news, and fills its place."""
    put({"id": "in_1", "object": "invoice", "customer": "cus_1"})
    before = (Customer.objects.count(), Customer.all_objects.get().is_placeholder)
    put(customer(), as_of=5, rank=0)
    assert (before, emails()) == ((0, True), [("a@b.c", 5, 0)])


def test_a_tombstone_keeps_the_last_data_and_is_never_resurrected() -> None:
    """Not by late news, and not by news dated after the deletion."""
    put(customer())
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1001)
    put(customer(email="late"), as_of=1001, rank=2)
    put(customer(email="later"), as_of=2000)
    row = Customer.all_objects.get()
    assert (row.deleted, row.data, row.email, row.rank, Customer.objects.count()) == (
        True,
        customer(),
        "a@b.c",
        3,
        0,
    )


def test_a_tombstone_may_be_the_first_that_is_heard_of_an_object() -> None:
    """What was said before it, but arrives after it, changes nothing."""
    put({"id": "cus_1", "object": "customer", "deleted": True})
    put(customer(), as_of=999)
    assert list(Customer.all_objects.values_list("deleted", "email")) == [(True, "")]


def test_a_deleted_customer_gives_its_user_up(django_user_model: Any) -> None:
    """So that a successor can be the user's customer."""
    put(customer())
    user = django_user_model.objects.create_user("ada", "ada@example.org")
    Customer.objects.update(user=user)
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1001)
    assert Customer.all_objects.get().user is None


def test_the_user_of_a_customer_survives_news_from_stripe(django_user_model: Any) -> None:
    """The link is ours, not Stripe's."""
    put(customer())
    user = django_user_model.objects.create_user("ada", "ada@example.org")
    Customer.objects.update(user=user)
    put(customer(email="new"), as_of=1001)
    assert Customer.objects.get().user == user


def test_a_subscription_brings_its_items_and_names_its_plans() -> None:
    """Items are rows of their own; their plans are placeholders until they arrive."""
    put(subscription(item(1), item(2)))
    items = SubscriptionItem.objects.order_by("pk").values_list("pk", "subscription_id", "plan_id")
    assert (list(items), Subscription.objects.get().plans(manager="all_objects").count()) == (
        [("si_1", "sub_1", "price_1"), ("si_2", "sub_1", "price_2")],
        2,
    )


def test_an_item_missing_from_a_whole_list_is_marked_removed() -> None:
    """It stays as a row: usage and invoices refer to it."""
    put(subscription(item(1), item(2)))
    put(subscription(item(2)), as_of=1001)
    assert list(SubscriptionItem.all_objects.order_by("pk").values_list("pk", "deleted")) == [
        ("si_1", True),
        ("si_2", False),
    ]


def test_an_item_missing_from_a_truncated_list_stays() -> None:
    """With ``has_more`` an absence says nothing."""
    put(subscription(item(1), item(2)))
    put(subscription(items={"data": [item(2)], "has_more": True}), as_of=1001)
    assert SubscriptionItem.objects.count() == 2


def test_an_old_subscription_neither_removes_nor_adds_items() -> None:
    """Also not an item that was never seen before."""
    put(subscription(item(2)))
    put(subscription(item(1)), as_of=999)
    assert list(SubscriptionItem.all_objects.values_list("pk", "deleted")) == [("si_2", False)]


def test_an_item_told_later_than_the_list_is_not_removed_by_it() -> None:
    """The answer to adding an item overtakes the event about the subscription before it."""
    put(subscription(item(1)), as_of=1000)
    put({**item(2), "subscription": "sub_1"}, as_of=1005, rank=0)
    put(subscription(item(1)), as_of=1003)
    assert SubscriptionItem.objects.count() == 2


def test_an_item_that_comes_back_in_newer_news_is_live_again() -> None:
    """An absence is weaker than a deletion."""
    put(subscription(item(1)))
    put(subscription(), as_of=1001)
    put(subscription(item(1)), as_of=1002)
    assert SubscriptionItem.objects.count() == 1


CHARGE = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "status": "succeeded"}
INVOICE = {"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid"}
PAYMENT = {
    "id": "inpay_1",
    "object": "invoice_payment",
    "invoice": "in_1",
    "is_default": True,
    "status": "paid",
    "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
}


@pytest.mark.parametrize(
    "arrivals",
    [
        [CHARGE, INVOICE, PAYMENT],
        [CHARGE, PAYMENT, INVOICE],
        [INVOICE, CHARGE, PAYMENT],
        [INVOICE, PAYMENT, CHARGE],
        [PAYMENT, CHARGE, INVOICE],
        [PAYMENT, INVOICE, CHARGE],
    ],
)
def test_an_invoice_finds_its_charge_in_every_order_of_arrival(
    arrivals: list[dict[str, Any]],
) -> None:
    """Stripe links them through the payment only."""
    for arrival in arrivals:
        put(arrival)
    assert Invoice.objects.get().charge_id == "ch_1"


def test_payments_embedded_in_an_invoice_are_rows() -> None:
    """When they were expanded."""
    put(CHARGE)
    put({**INVOICE, "payments": {"data": [{**PAYMENT, "invoice": "in_1"}], "has_more": False}})
    assert (InvoicePayment.objects.get().invoice_id, Invoice.objects.get().charge_id) == (
        "in_1",
        "ch_1",
    )


def test_the_charge_that_succeeded_replaces_the_one_that_failed() -> None:
    """A payment intent may need several attempts."""
    put(INVOICE, PAYMENT, {**CHARGE, "id": "ch_0", "status": "failed"})
    failed = Invoice.objects.get().charge_id
    put(CHARGE, as_of=999)
    assert (failed, Invoice.objects.get().charge_id) == ("ch_0", "ch_1")


def test_one_charge_belongs_to_one_invoice() -> None:
    """A payment spread over two invoices neither fails nor moves."""
    second = {**PAYMENT, "id": "inpay_2", "invoice": "in_2"}
    put(INVOICE, PAYMENT, CHARGE)
    put({**INVOICE, "id": "in_2"}, second)
    assert list(Invoice.objects.order_by("pk").values_list("charge_id", flat=True)) == [
        "ch_1",
        None,
    ]


def test_what_a_database_cannot_hold_is_replaced() -> None:
    """NUL, lone surrogates, infinities, too much text, too large numbers."""
    put(
        {
            "id": "price_1",
            "object": "price",
            "product": "p" * 300,
            "currency": "usdollar",
            "nickname": "a\x00b\ud800c",
            "emoji": "\U0001f600",
            "factor": float("inf"),
            "recurring": {"interval_count": 10**30, "interval": "month"},
            "unit_amount_decimal": "1E+40",
        }
    )
    plan = Plan.objects.get()
    assert (
        plan.data["nickname"],
        plan.data["emoji"],
        plan.data["factor"],
        plan.product_id,
        plan.currency,
        plan.interval_count,
        plan.amount_decimal,
    ) == ("a\ufffdb\ufffdc", "\U0001f600", None, None, "usd", None, None)


@pytest.mark.parametrize(("count", "kept"), [(-1, None), (0, 0), (32767, 32767), (32768, None)])
def test_a_number_beyond_its_column_is_none(count: int, kept: int | None) -> None:
    """At both ends; the data keeps it."""
    put({"id": "price_1", "object": "price", "recurring": {"interval_count": count}})
    plan = Plan.objects.get()
    assert (plan.interval_count, plan.data["recurring"]["interval_count"]) == (kept, count)


def test_objects_without_id_or_of_other_kinds_are_passed_over() -> None:
    """They are stored with their event, not as proxies."""
    assert put({"object": "invoice"}, {"id": "x", "object": "unheard_of"}, {"id": "cus_9"}) == set()


def test_two_versions_of_one_object_in_one_call_leave_the_last() -> None:
    """PostgreSQL refuses to touch a row twice in one statement."""
    put(customer(email="first"), customer(email="last"))
    assert emails() == [("last", 1000, 2)]


def test_many_objects_are_few_statements() -> None:
    """A page of a list is written in batches."""
    page = [{"id": f"prod_{n}", "object": "product", "name": str(n)} for n in range(100)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        put(*page)
    inserts = [q for q in queries.captured_queries if q["sql"].startswith("INSERT")]
    assert (len(inserts) <= 2, Product.objects.count()) == (True, 100)


def test_known_parents_cost_no_statement() -> None:
    """A subscription whose customer and plans are known: two upserts, one removal."""
    put(subscription(item(1)))
    with CaptureQueriesContext(connection) as queries:
        put(subscription(item(1)), as_of=1001)
    verbs = [q["sql"].split()[0] for q in queries.captured_queries]
    assert [verb for verb in verbs if verb in ("INSERT", "UPDATE", "SELECT")] == [
        "INSERT",
        "INSERT",
        "UPDATE",
    ]


def test_charges_stay_when_nothing_pays_them() -> None:
    """A charge without an invoice is a row like any other."""
    put(CHARGE)
    assert Charge.objects.get().payment_intent == "pi_1"
