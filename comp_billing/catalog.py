"""What is sold: a product, a meter and a metered plan at Stripe for every public project.

Steps are found by comparing projects with the mirror, and written down as intents; each one's
settlement looks for the next. Every creation looks at Stripe first and adopts what is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.crypto import get_random_string

from comp_billing import intents, mirror, products, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Intent, IntentState, Meter, Plan, Product, StripeObject
from comp_billing.pricing import BasePricing, decimal_text, get_pricing
from comp_billing.stripe_api import Answer
from comp_users.models import Project

KINDS = ("product.create", "product.update", "meter.create", "meter.update", "price.create")


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to be done at Stripe for one project."""

    kind: str
    subject: str
    params: dict[str, Any]


def event_name(project: Project, pricing: BasePricing) -> str:
    """The meter's immutable name; not the slug, which may change."""
    return f"{conf.METER_PREFIX}_p{project.pk}_{pricing.unit_name}"


def fits(plan: Plan, pricing: BasePricing) -> bool:
    """Whether the plan counts and prices as the site does now."""
    return (
        plan.currency == conf.CURRENCY
        and plan.usage_type == "metered"
        and plan.amount_decimal == pricing.unit_amount_decimal(conf.CURRENCY)
    )


def plans_on_offer() -> list[Plan]:
    """The metered plan of every public project that has one by now, one per meter."""
    pricing = get_pricing()
    plans = (
        _usable()
        .filter(
            meter__status="active",
            meter__deleted=False,
            meter__project__is_public=True,
            meter__project__server_cost__isnull=False,
        )
        .select_related("meter__project")
    )
    by_meter = {plan.meter_id: plan for plan in plans.order_by("as_of") if fits(plan, pricing)}
    return sorted(by_meter.values(), key=lambda plan: plan.stripe_id)


def _usable() -> QuerySet[Plan]:
    """Plans that may be sold; with its product a price is gone, whether that is told or not."""
    return Plan.objects.filter(active=True).exclude(product__deleted=True)


def is_offered(project: Project) -> bool:
    return project.is_public and project.server_cost is not None


def steps(project: Project) -> list[Step]:
    """What is missing or outdated at Stripe, as far as the mirror knows. Reads only."""
    if not is_offered(project):
        return []
    product = Product.objects.filter(project=project).first()
    name = event_name(project, get_pricing())
    # A meter under another name counted in other units: it is left to its old usage.
    meter = Meter.objects.filter(project=project, event_name=name).first()
    found = [_product_step(project, product), _meter_step(project, meter)]
    if product and meter:
        found.append(_price_step(project, product, meter))
    return [step for step in found if step]


def _product_step(project: Project, product: Product | None) -> Step | None:
    metadata = {"comp_project": str(project.pk), "comp_install": conf.METER_PREFIX}
    if product is None:
        key = products.product_id(project)
        return Step(
            kind="product.create",
            subject=intents.fresh_subject(f"product.create:project:{project.pk}:{key}"),
            params={"id": key, "name": project.name, "metadata": metadata},
        )
    if product.name == project.name and product.active:
        return None
    return _change(
        "product.update", {"product": product.pk, "name": project.name, "active": True}, product
    )


def _meter_step(project: Project, meter: Meter | None) -> Step | None:
    if meter is None:
        name = event_name(project, get_pricing())
        return Step(
            kind="meter.create",
            subject=intents.fresh_subject(f"meter.create:project:{project.pk}:{name}"),
            params={
                "display_name": project.name,
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
                "customer_mapping": {
                    "type": "by_id",
                    "event_payload_key": "stripe_customer_id",
                },
                "value_settings": {"event_payload_key": "value"},
            },
        )
    if meter.data.get("display_name") == project.name:
        return None
    return _change("meter.update", {"meter": meter.pk, "display_name": project.name}, meter)


def _price_step(project: Project, product: Product, meter: Meter) -> Step | None:
    pricing = get_pricing()
    if any(fits(plan, pricing) for plan in _usable().filter(meter=meter)):
        return None
    amount = decimal_text(pricing.unit_amount_decimal(conf.CURRENCY))
    name = f"{meter.event_name}_{conf.CURRENCY}_{amount}"
    return Step(
        kind="price.create",
        subject=intents.fresh_subject(f"price.create:{meter.pk}:{conf.CURRENCY}:{amount}"),
        params={
            "product": product.pk,
            "currency": conf.CURRENCY,
            "unit_amount_decimal": amount,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.pk},
            "lookup_key": name,
            # A price on a former product may hold it.
            "transfer_lookup_key": True,
            "metadata": {"comp_project": str(project.pk), "comp_install": conf.METER_PREFIX},
        },
    )


def _change(kind: str, params: dict[str, Any], row: StripeObject) -> Step:
    """A change that may come again: the one that waits or was refused (which is not asked for a
    second time unless something else is wanted, or there is news of the object), else a new one."""
    asked = Intent.objects.filter(kind=kind, subject__startswith=f"{kind}:{row.pk}:")
    last = asked.exclude(state=IntentState.SUCCEEDED).order_by("-pk").first()
    is_under_way = last and last.state == IntentState.PENDING and last.first_sent_at is not None
    if last and (last.params == params or not is_under_way) and not _is_old(last, row):
        return Step(kind=kind, subject=last.subject, params=params)
    return Step(kind=kind, subject=f"{kind}:{row.pk}:{get_random_string(12)}", params=params)


def _is_old(intent: Intent, row: StripeObject) -> bool:
    """Whether it was refused before what is known of its object was said."""
    sent_at = intent.first_sent_at
    if intent.state != IntentState.FAILED or sent_at is None:
        return False
    return (row.as_of or 0) > sent_at.timestamp()


def plan_project(project: Project) -> list[Intent]:
    """Write the project's steps down as intents; nothing for a site without Stripe."""
    if not stripe_api.is_configured():
        return []
    with transaction.atomic():
        return [_intend(step) for step in steps(project)]


def _intend(step: Step) -> Intent:
    intent = intents.intend(step.kind, step.subject, step.params)
    if intent.params == step.params:
        return intent
    if intent.state == IntentState.FAILED:
        # What was refused has been corrected.
        return intents.renew(intent, step.params)
    # A change that nobody has sent yet: the newer one takes its place.
    Intent.objects.filter(pk=intent.pk, first_sent_at=None).update(params=step.params)
    return intent


def on_project_saved(instance: Project, raw: bool = False, **kwargs: Any) -> None:
    """Receiver of the project's ``post_save``, inside the transaction that publishes it."""
    if not raw and intents.can_intend():
        plan_project(instance)


def plan_all() -> None:
    """For the maintenance loop: whatever projects still lack at Stripe."""
    if stripe_api.is_configured():
        for project in Project.objects.public():
            plan_project(project)


def set_up_catalog(projects: Iterable[Project] | None = None) -> list[Intent]:
    """Bring Stripe up to date with the public projects now; answers the intents it took.

    Makes calls: for commands and the worker, never for a page. Raises a StripeError when Stripe
    cannot be reached; what was done stays done. A refused intent is among those answered.
    """
    chosen = list(Project.objects.public() if projects is None else projects)
    tried: list[int] = []
    # Product and meter, then the price on both: each round makes the next one possible.
    for _round in range(3):
        planned = [intent for project in chosen for intent in plan_project(project)]
        for intent in planned:
            if intent.pk not in tried:
                tried.append(intent.pk)
                intents.carry_out_now(intent)
    return list(Intent.objects.filter(pk__in=tried).order_by("pk"))


def _create_product(intent: Intent) -> Answer:
    return intents.post("/v1/products", intent, intents.tagged(intent))


def _find_product(intent: Intent) -> Answer | None:
    return stripe_api.retrieve(stripe_api.object_path("products", intent.params["id"]))


def _update_product(intent: Intent) -> Answer:
    params = {name: intent.params[name] for name in ("name", "active")}
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
    "price.create": Kind(
        send=_create_price, find=_find_price, refused=_doubt_product, look_first=True
    ),
}
