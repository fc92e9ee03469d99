"""Every order in which Stripe's news about one object may arrive, some of it twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from comp_billing import mirror, webhooks
from comp_billing.testing import StandIn
from tests.billing.standin_rig import Shop, in_process, open_shop

pytestmark = pytest.mark.django_db(transaction=True)
LONGEST = 5
Json = dict[str, Any]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """An account in which every kind of object has a history, a minute between changes."""
    standin = StandIn()
    standin.add_webhook("https://site.example/billing/webhook/", secret="whsec_tests")
    shop = open_shop(in_process(standin))
    v1 = shop.account.v1
    product, grant = shop.price.product, shop.grant(1)
    for number in range(1, LONGEST):
        standin.advance(seconds=60)
        v1.customers.update(shop.customer.id, {"email": f"ada{number}@example.org"})
        v1.products.update(product, {"name": f"Epidemic {number}"})
        v1.prices.update(shop.price.id, {"metadata": {"number": str(number)}})
        v1.billing.meters.update(shop.meter.id, {"display_name": f"Epidemic {number}"})
        v1.subscriptions.update(shop.subscription.id, {"metadata": {"number": str(number)}})
        v1.billing.credit_grants.update(grant.id, {"metadata": {"number": str(number)}})
    shop.use(1_500_000, "first")
    shop.next_month()
    standin.advance(seconds=60)
    v1.billing.meters.deactivate(shop.meter.id)
    for _number in range(1, LONGEST):
        standin.advance(seconds=60)
        v1.refunds.create({"charge": standin.store.where("charge")[0]["id"], "amount": 10})
    v1.invoices.update(standin.store.where("invoice")[0]["id"], {"description": "Thanks"})
    standin.advance(seconds=60)
    v1.billing.credit_grants.expire(grant.id)
    v1.subscriptions.cancel(shop.subscription.id)
    standin.advance(seconds=60)
    v1.customers.delete(shop.customer.id)
    yield shop
    standin.close()


@pytest.fixture(scope="module")
def histories(shop: Shop) -> dict[str, list[list[Json]]]:
    """{kind: the latest events of each object, oldest first}."""
    events: list[Json] = []

    def keep(body: bytes, headers: dict[str, str]) -> int:
        events.append(json.loads(body))
        return 200

    shop.account.world.deliver(keep, everything=True)
    found: dict[str, dict[str, list[Json]]] = {kind: {} for kind in mirror.KINDS}
    for event in events:
        obj = event["data"].get("object") or {}
        # A preview of an invoice has no id.
        if obj.get("object") in found and "id" in obj:
            found[obj["object"]].setdefault(obj["id"], []).append(event)
    return {
        kind: [history[-LONGEST:] for history in objects.values()]
        for kind, objects in found.items()
    }


def orders(history: list[Json]) -> Iterator[list[Json]]:
    """Every order, with and without the first to arrive arriving again at the end."""
    for order in itertools.permutations(history):
        yield list(order)
        yield [*order, order[0]]


def mirrored(order: list[Json]) -> tuple[Any, ...]:
    """The row of the events' object after their arrival; nothing of it stays."""
    obj = order[0]["data"]["object"]
    model = mirror.KINDS[obj["object"]]
    with transaction.atomic():
        for event in order:
            webhooks.ingest(webhooks.event_of(event))
        row = model.all_objects.get(pk=obj["id"])
        told = tuple(str(getattr(row, name)) for name in model.columns({"id": ""}))
        transaction.set_rollback(True)
    # A tombstone keeps what was known last, which may be nothing.
    return () if row.deleted else told


def truth(shop: Shop, obj: Json) -> tuple[Any, ...]:
    """The object as it is at the stand-in."""
    model = mirror.KINDS[obj["object"]]
    kept = shop.account.world.store.get(obj["object"], obj["id"])
    assert kept is not None
    return () if kept.get("deleted") else tuple(map(str, model.columns(kept).values()))


KINDS = [
    "product",
    "billing.meter",
    "billing.credit_grant",
    "price",
    "customer",
    "charge",
    "subscription",
    "invoice",
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_row_is_true_after_any_order(
    shop: Shop, histories: dict[str, list[list[Json]]], kind: str
) -> None:
    """All permutations of up to five events of an object, with duplicates."""
    rows = {
        (history[0]["data"]["object"]["id"], mirrored(order))
        for history in histories[kind]
        for order in orders(history)
    }
    assert rows == {
        (history[0]["data"]["object"]["id"], truth(shop, history[0]["data"]["object"]))
        for history in histories[kind]
    }
