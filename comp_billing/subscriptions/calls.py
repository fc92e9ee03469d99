"""The calls that make subscriptions and their items, and what follows from the answers."""

from __future__ import annotations

from typing import Any

from comp_billing import intents, shapes, stripe_api
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Intent
from comp_billing.stripe_api import Answer
from comp_billing.subscriptions.items import ADD, CREATE
from comp_billing.subscriptions.planning import plan


def _create(intent: Intent) -> Answer:
    return intents.post("/v1/subscriptions", intent, intents.tagged(intent))


def _find(intent: Intent) -> Answer | None:
    asked = {"customer": intent.params["customer"], "status": "all"}
    return stripe_api.find(
        "/v1/subscriptions", asked, lambda data: intents.is_made_by(intent, data)
    )


def _plan_on(intent: Intent, data: dict[str, Any]) -> None:
    plan(intent.params["customer"])


def _plan_around(intent: Intent, error: StripeRefused) -> None:
    plan(intent.params["customer"])


def _add(intent: Intent) -> Answer:
    return intents.post("/v1/subscription_items", intent, intents.tagged(intent))


def _find_item(intent: Intent) -> Answer | None:
    return stripe_api.find(
        "/v1/subscription_items",
        {"subscription": intent.params["subscription"]},
        lambda data: shapes.item_price(data) == intent.params["price"],
    )


intents.KINDS |= {
    CREATE: Kind(send=_create, find=_find, settle=_plan_on, refused=_plan_around),
    ADD: Kind(send=_add, find=_find_item),
}
