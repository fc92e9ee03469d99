"""What the mirror takes out of other objects: items, payments, and the charge of an invoice."""

from __future__ import annotations

from typing import Any

import pytest

from comp_billing import mirror
from comp_billing.models import (
    Charge,
    Invoice,
    InvoicePayment,
    Subscription,
    SubscriptionItem,
)
from tests.billing.stripe_objects import item, put, subscription

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_charges_stay_when_nothing_pays_them() -> None:
    """A charge without an invoice is a row like any other."""
    put(CHARGE)
    assert Charge.objects.get().payment_intent == "pi_1"


def test_a_charge_that_another_invoice_has_taken_is_given_back_by_the_mending() -> None:
    """Whatever the order of arrival, it belongs to the invoice with the lowest id."""
    second = {**PAYMENT, "id": "inpay_2", "invoice": "in_2"}
    put({**INVOICE, "id": "in_2"}, second, CHARGE)
    put(INVOICE, PAYMENT)
    before = list(Invoice.objects.order_by("pk").values_list("charge_id", flat=True))
    mirror.mend_links()
    after = list(Invoice.objects.order_by("pk").values_list("charge_id", flat=True))
    assert (before, after) == ([None, "ch_1"], ["ch_1", None])
