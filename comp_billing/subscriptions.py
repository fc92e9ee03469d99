"""Every customer is subscribed to the metered plan of every public project.

A subscription holds a limited number of items, so a customer may have several. What is missing is
found under a lock on the customer, and each pair of customer and meter is asked for once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Concat
from django.utils import timezone

from comp_billing import intents, shapes, stripe_api
from comp_billing.catalog import plans_on_offer
from comp_billing.conf import conf
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import (
    LIVE_STATUSES,
    Customer,
    Intent,
    IntentState,
    Plan,
    Subscription,
    SubscriptionItem,
)
from comp_billing.stripe_api import Answer

BATCH = 200
CREATE = "subscription.create"
ADD = "subscription_item.create"


def live_items() -> QuerySet[SubscriptionItem]:
    """Items whose usage will be billed."""
    items: QuerySet[SubscriptionItem] = SubscriptionItem.objects.filter(
        subscription__status__in=LIVE_STATUSES, subscription__deleted=False
    )
    return items


def standing_additions() -> QuerySet[Intent]:
    """Items asked for that are on their way, or were refused by a subscription that is still live.

    What has been added and is gone, or was to join a subscription that has ended, is missing.
    """
    live = Subscription.objects.filter(status__in=LIVE_STATUSES).values("pk")
    refused = Q(state=IntentState.FAILED, joins__in=live)
    additions = Intent.objects.filter(kind=ADD).annotate(joins=KT("params__subscription"))
    return additions.filter(Q(state=IntentState.PENDING) | refused)


def plan(customer_id: str) -> list[Intent]:
    """Ask for whatever the customer is not subscribed to yet. Joins or makes a transaction.

    While a subscription of the customer's is being created, nothing more is asked for: its
    settlement calls this again.
    """
    with transaction.atomic():
        # No stronger lock: rows that refer to the customer, written by two transactions that both
        # come here next, would deadlock.
        customer = Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
        if customer is None or customer.user_id is None:
            return []
        creations = _creations(customer)
        if any(intent.state == IntentState.PENDING for intent in creations):
            return []
        missing = _missing(customer, creations)
        added, left = _fill_rooms(customer, missing)
        if left:
            added.append(_intend_subscription(customer, left, creations))
        return added


def _creations(customer: Customer) -> list[Intent]:
    prefix = f"{CREATE}:{customer.pk}:"
    return list(Intent.objects.filter(kind=CREATE, subject__startswith=prefix))


def _missing(customer: Customer, creations: Iterable[Intent]) -> list[Plan]:
    """Plans on offer without a live item, and not refused before."""
    plans = plans_on_offer()
    live = live_items().filter(subscription__customer=customer)
    taken: set[str | None] = set(live.values_list("plan__meter_id", flat=True))
    subjects = {_pair(customer.pk, plan.meter_id): plan.meter_id for plan in plans}
    asked = standing_additions().filter(subject__in=list(subjects))
    taken |= {subjects[subject] for subject in asked.values_list("subject", flat=True)}
    for intent in creations:
        # A plan that was refused alone; one that was refused in company is tried alone.
        if intent.state == IntentState.FAILED and len(intent.params["items"]) == 1:
            taken.add(intent.params["items"][0]["metadata"]["comp_meter"])
    return [plan for plan in plans if plan.meter_id not in taken]


def _fill_rooms(customer: Customer, missing: list[Plan]) -> tuple[list[Intent], list[Plan]]:
    """Put plans into subscriptions that have room; answers the intents and the plans left over."""
    left = list(missing)
    made: list[Intent] = []
    if not left:
        return made, left
    waiting = _waiting_items(customer)
    subscriptions = Subscription.objects.filter(customer=customer, status__in=LIVE_STATUSES)
    for subscription in subscriptions.order_by("pk"):
        taken = subscription.items.filter(deleted=False).count() + waiting.count(subscription.pk)
        for _room in range(conf.ITEMS_PER_SUBSCRIPTION - taken):
            if left:
                made.append(_intend_item(customer, subscription, left.pop(0)))
    return made, left


def _waiting_items(customer: Customer) -> list[str]:
    """The subscriptions, one entry per item, that items are on their way to."""
    waiting = Intent.objects.filter(
        kind=ADD, state=IntentState.PENDING, subject__startswith=f"{ADD}:{customer.pk}:"
    )
    return [intent.params["subscription"] for intent in waiting]


def _pair(customer_id: str, meter_id: str | None) -> str:
    return f"{ADD}:{customer_id}:{meter_id}"


def _item(plan: Plan) -> dict[str, Any]:
    project = plan.meter.project if plan.meter else None
    metadata = {"comp_project": str(project.pk if project else ""), "comp_meter": plan.meter_id}
    return {"price": plan.pk, "metadata": metadata}


def _intend_item(customer: Customer, subscription: Subscription, plan: Plan) -> Intent:
    params = {**_item(plan), "subscription": subscription.pk, "proration_behavior": "none"}
    intent = intents.intend(ADD, _pair(customer.pk, plan.meter_id), params)
    # Asked for before: that item is gone by now, or the subscription that it was to join.
    return intent if intent.state == IntentState.PENDING else intents.renew(intent, params)


def _intend_subscription(customer: Customer, plans: list[Plan], creations: list[Intent]) -> Intent:
    # After a refusal each plan is tried alone, so that one bad plan does not stop the others.
    refused = any(intent.state == IntentState.FAILED for intent in creations)
    size = 1 if refused else conf.ITEMS_PER_SUBSCRIPTION
    params: dict[str, Any] = {
        "customer": customer.pk,
        "items": [_item(plan) for plan in plans[:size]],
        "billing_mode": {"type": "flexible"},
        "collection_method": "charge_automatically",
        "payment_behavior": "default_incomplete",
        "payment_settings": {"save_default_payment_method": "on_subscription"},
        "off_session": True,
        "proration_behavior": "none",
        "metadata": {"comp_user": str(customer.user_id), "comp_install": conf.METER_PREFIX},
    }
    if conf.AUTOMATIC_TAX:
        params["automatic_tax"] = {"enabled": True}
    if anchor := _anchor(customer):
        params["billing_cycle_anchor"] = anchor
    return intents.intend(CREATE, f"{CREATE}:{customer.pk}:{len(creations) + 1}", params)


def _anchor(customer: Customer) -> int | None:
    """All subscriptions of a customer turn over together: the end of the period of the first."""
    ends = live_items().filter(subscription__customer=customer, current_period_end__isnull=False)
    item = ends.order_by("current_period_end").first()
    end = item.current_period_end if item else None
    return int(end.timestamp()) if end and end > timezone.now() else None


def ensure_items(*, limit: int = BATCH) -> int:
    """For the maintenance loop: customers who lack a plan, say of a project published later.

    Answers how many intents were made; the rest follow in later rounds.
    """
    if not stripe_api.is_configured():
        return 0
    lacking: set[str] = set()
    for offered in plans_on_offer():
        if len(lacking) < limit:
            lacking |= set(_lacking(offered, limit - len(lacking)))
    return sum(len(plan(customer_id)) for customer_id in lacking)


def _lacking(offered: Plan, limit: int) -> list[str]:
    """Customers without a live item on the plan's meter, for whom none has been asked for.

    In no order: those who cannot be helped (a refused plan) must not stand before the others.
    """
    live = live_items().filter(
        plan__meter=offered.meter_id, subscription__customer=OuterRef("stripe_id")
    )
    subject = Concat(Value(f"{ADD}:"), OuterRef("stripe_id"), Value(f":{offered.meter_id}"))
    first = Concat(Value(f"{CREATE}:"), OuterRef("stripe_id"), Value(":1"))
    added = standing_additions().filter(subject=subject)
    made = Intent.objects.filter(subject=first, state=IntentState.PENDING)
    customers = Customer.objects.filter(
        ~Exists(live), ~Exists(added), ~Exists(made), user__isnull=False
    )
    return list(customers.order_by("?").values_list("pk", flat=True)[:limit])


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
