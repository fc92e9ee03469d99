"""What a public project lacks at Stripe, or what is outdated there. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.crypto import get_random_string

from comp_billing import intents, products
from comp_billing.catalog.offers import event_name, fits, is_offered, usable_plans
from comp_billing.conf import conf
from comp_billing.models import Intent, IntentState, Meter, Product, StripeObject
from comp_billing.pricing import decimal_text, get_pricing
from comp_users.models import Project


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to be done at Stripe for one project."""

    kind: str
    subject: str
    params: dict[str, Any]


def steps(project: Project) -> list[Step]:
    """What is missing or outdated at Stripe, as far as the mirror knows."""
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
    return change(
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
    if meter.status == "inactive":
        return change("meter.reactivate", {"meter": meter.pk}, meter)
    if meter.data.get("display_name") == project.name:
        return None
    return change("meter.update", {"meter": meter.pk, "display_name": project.name}, meter)


def _price_step(project: Project, product: Product, meter: Meter) -> Step | None:
    pricing, rate = get_pricing(), project.server_cost
    if any(fits(p, pricing, server_cost=rate) for p in usable_plans().filter(meter=meter)):
        return None
    amount = decimal_text(pricing.unit_amount_decimal(conf.CURRENCY, server_cost=rate))
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
            # A price on a former product, or one that was archived, may hold it.
            "transfer_lookup_key": True,
            "metadata": {"comp_project": str(project.pk), "comp_install": conf.METER_PREFIX},
        },
    )


def change(kind: str, params: dict[str, Any], row: StripeObject) -> Step:
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
