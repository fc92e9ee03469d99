"""A customer's two months at the stand-in, told to the site in good and in bad order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from comp_billing import mirror
from comp_billing.models import Event, Invoice, InvoicePayment, StripeObject, SubscriptionItem
from comp_billing.testing import StandIn
from tests.billing.standin_rig import Shop, in_process, open_shop

pytestmark = pytest.mark.django_db(transaction=True)
KINDS = sorted(mirror.KINDS)
Delivery = tuple[bytes, dict[str, str]]


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A subscribed customer who has used, paid, changed and used again."""
    standin = StandIn()
    standin.add_webhook("https://site.example/billing/webhook/", secret="whsec_tests")
    shop = open_shop(in_process(standin))
    shop.use(1_500_000, "first")
    shop.next_month()
    shop.account.v1.customers.update(shop.customer.id, {"email": "ada@new.example"})
    shop.use(20, "second")
    shop.next_month()
    shop.grant(1, name="Welcome")
    yield shop
    standin.close()


def deliveries(shop: Shop) -> list[Delivery]:
    """Everything that the stand-in has to tell, in order."""
    kept: list[Delivery] = []

    def keep(body: bytes, headers: dict[str, str]) -> int:
        kept.append((body, headers))
        return 200

    shop.account.world.deliver(keep, everything=True)
    return kept


def tell(told: list[Delivery]) -> set[int]:
    client = Client()
    return {
        client.post("/billing/webhook/", body, "application/json", headers=headers).status_code
        for body, headers in told
    }


def told_truth(shop: Shop, kind: str) -> list[Any]:
    """Key and columns of what exists at the stand-in."""
    model = mirror.KINDS[kind]
    return sorted(
        (obj["id"], *map(str, model.columns(obj).values()))
        for obj in shop.account.world.store.where(kind)
    )


def mirrored(kind: str) -> list[Any]:
    """Key and columns of what is here."""
    model: type[StripeObject] = mirror.KINDS[kind]
    return sorted(
        (row.pk, *(str(getattr(row, column)) for column in model.columns({"id": ""})))
        for row in model.objects.all()
    )


ORDERS = {
    "in order": lambda told: told,
    "twice": lambda told: [one for one in told for _ in range(2)],
    "backwards": lambda told: told[::-1],
    "shuffled": lambda told: random.Random(7).sample(told, len(told)),
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_mirror_is_true_whatever_the_order(shop: Shop, order: str) -> None:
    """Every kind, by every column."""
    told = deliveries(shop)
    answers = tell(ORDERS[order](told))
    divergent = [kind for kind in KINDS if mirrored(kind) != told_truth(shop, kind)]
    failed = Event.objects.filter(state="failed").count()
    assert (answers, divergent, failed, Event.objects.count()) == ({200}, [], 0, len(told))


@pytest.mark.parametrize("order", ORDERS)
def test_each_paid_invoice_has_its_charge(shop: Shop, order: str) -> None:
    """The one of 150 cents; the other was below the smallest charge."""
    tell(ORDERS[order](deliveries(shop)))
    found = Invoice.objects.order_by("created").values_list("status", "total", "charge__amount")
    assert (list(found), InvoicePayment.objects.count()) == (
        [("paid", 150, 150), ("paid", 0, None)],
        1,
    )


def test_periods_are_those_of_the_item(shop: Shop) -> None:
    """Where Stripe keeps them since 2025-03-31."""
    tell(deliveries(shop))
    item = shop.account.v1.subscriptions.retrieve(shop.subscription.id)["items"].data[0]
    row = SubscriptionItem.objects.get()
    assert (row.current_period_start.timestamp(), row.current_period_end.timestamp()) == (
        item.current_period_start,
        item.current_period_end,
    )
