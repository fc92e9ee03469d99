"""The catalogue's calls to Stripe, and what follows from their answers."""

from __future__ import annotations

from typing import Any

from comp_billing import intents, mirror, products, shapes, stripe_api
from comp_billing.catalog.planning import plan_project
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Intent, Meter, Product
from comp_billing.stripe_api import Answer
from comp_users.models import Project


def _create_product(intent: Intent) -> Answer:
    return intents.post("/v1/products", intent, intents.tagged(intent))


def _find_product(intent: Intent) -> Answer | None:
    return stripe_api.retrieve(stripe_api.object_path("products", intent.params["id"]))


def _update_product(intent: Intent) -> Answer:
    params = {name: intent.params[name] for name in ("name", "active") if name in intent.params}
    return intents.post(
        stripe_api.object_path("products", intent.params["product"]), intent, params
    )


def _create_meter(intent: Intent) -> Answer:
    # Meters have no metadata; their event name is what they are known by.
    return intents.post("/v1/billing/meters", intent, intent.params)


def _find_meter(intent: Intent) -> Answer | None:
    name = intent.params["event_name"]
    return stripe_api.find(
        "/v1/billing/meters", {"status": "active"}, lambda meter: meter["event_name"] == name
    )


def _update_meter(intent: Intent) -> Answer:
    params = {"display_name": intent.params["display_name"]}
    path = stripe_api.object_path("billing/meters", intent.params["meter"])
    return intents.post(path, intent, params)


def _create_price(intent: Intent) -> Answer:
    return intents.post("/v1/prices", intent, intents.tagged(intent))


def _find_price(intent: Intent) -> Answer | None:
    def same(price: dict[str, Any]) -> bool:
        # The key may be another price's by now, say one that was made by hand.
        wanted, recurring = intent.params, shapes.recurring(price)
        return bool(
            shapes.ref(price.get("product")) == wanted["product"]
            and shapes.ref(recurring.get("meter")) == wanted["recurring"]["meter"]
            and recurring.get("usage_type") == wanted["recurring"]["usage_type"]
            and price.get("currency") == wanted["currency"]
            and shapes.unit_amount(price) == shapes.decimal(wanted["unit_amount_decimal"])
        )

    asked = {"lookup_keys": [intent.params["lookup_key"]], "active": True}
    return stripe_api.find("/v1/prices", asked, same)


def _reactivate_meter(intent: Intent) -> Answer:
    return switch_meter(intent, "reactivate", "active")


def switch_meter(intent: Intent, verb: str, wanted: str) -> Answer:
    """Stripe refuses to switch a meter to where it is, say by a call whose answer was lost."""
    path = stripe_api.object_path("billing/meters", intent.params["meter"])
    try:
        return intents.post(f"{path}/{verb}", intent, {})
    except StripeRefused:
        found = stripe_api.retrieve(path)
        if found is None or found.data.get("status") != wanted:
            raise
        return found


def _archive_price(intent: Intent) -> Answer:
    path = stripe_api.object_path("prices", intent.params["price"])
    return intents.post(path, intent, {"active": False})


def _project_of(intent: Intent) -> Project | None:
    pk = intent.subject.split(":")[2]
    return Project.objects.filter(pk=pk).first()


def _link_product(intent: Intent, data: dict[str, Any]) -> None:
    if project := _project_of(intent):
        products.link(project, data["id"])
        plan_project(project)


def _doubt_product(intent: Intent, error: StripeRefused) -> None:
    """Nobody may have told us that it was deleted: the answer to a question would."""
    if error.code == "resource_missing":
        mirror.fetch_later(Product, [intent.params["product"]])


def _link_meter(intent: Intent, data: dict[str, Any]) -> None:
    if project := _project_of(intent):
        Meter.all_objects.filter(project=project).exclude(pk=data["id"]).update(project=None)
        Meter.all_objects.filter(pk=data["id"]).update(project=project)
        plan_project(project)


intents.KINDS |= {
    "product.create": Kind(
        send=_create_product, find=_find_product, settle=_link_product, look_first=True
    ),
    "product.update": Kind(send=_update_product, refused=_doubt_product),
    "meter.create": Kind(send=_create_meter, find=_find_meter, settle=_link_meter, look_first=True),
    "meter.update": Kind(send=_update_meter),
    "meter.reactivate": Kind(send=_reactivate_meter),
    "price.archive": Kind(send=_archive_price),
    "price.create": Kind(
        send=_create_price, find=_find_price, refused=_doubt_product, look_first=True
    ),
}
