"""What one customer still lacks, asked for as intents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from comp_billing import intents
from comp_billing.catalog import plans_on_offer
from comp_billing.conf import conf
from comp_billing.models import (
    LIVE_STATUSES,
    Customer,
    Intent,
    IntentState,
    Plan,
    Subscription,
    SubscriptionItem,
)
from comp_billing.subscriptions.items import (
    ADD,
    CREATE,
    live_items,
    open_customers,
    standing_additions,
    wanted_projects,
)
from comp_core.crashpoints import step


def plan(customer_id: str) -> list[Intent]:
    """Ask for whatever the customer is not subscribed to yet. Joins or makes a transaction.

    While a subscription of the customer's is being created, nothing more is asked for: its
    settlement calls this again.
    """
    with step("plan_items"):
        # No stronger lock: rows that refer to the customer, written by two transactions that both
        # come here next, would deadlock.
        locked = Customer.objects.select_for_update(no_key=True)
        customer = locked.filter(pk__in=open_customers().filter(pk=customer_id)).first()
        if customer is None:
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
    wanted = wanted_projects(customer)
    plans = [offered for offered in plans_on_offer() if _is_wanted(offered, wanted)]
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


def _is_wanted(offered: Plan, wanted: set[int] | None) -> bool:
    return wanted is None or bool(offered.meter and offered.meter.project_id in wanted)


def _fill_rooms(customer: Customer, missing: list[Plan]) -> tuple[list[Intent], list[Plan]]:
    """Put plans into subscriptions that have room and turn over as they do; answers the intents
    and the plans left over."""
    left = list(missing)
    made: list[Intent] = []
    if not left:
        return made, left
    waiting = _waiting_items(customer)
    for subscription, items in _live_subscriptions(customer):
        room = conf.ITEMS_PER_SUBSCRIPTION - len(items) - waiting.count(subscription.pk)
        periods = {_period(item.plan) for item in items if item.plan}
        fitting = [plan for plan in left if periods <= {_period(plan)}]
        for plan in fitting[: max(0, room)]:
            made.append(_intend_item(customer, subscription, plan))
            left.remove(plan)
    return made, left


def _live_subscriptions(
    customer: Customer,
) -> list[tuple[Subscription, list[SubscriptionItem]]]:
    live = Subscription.objects.filter(customer=customer, status__in=LIVE_STATUSES)
    items = live_items().filter(subscription__customer=customer).select_related("plan")
    held: dict[str | None, list[SubscriptionItem]] = {}
    for item in items:
        held.setdefault(item.subscription_id, []).append(item)
    return [(subscription, held.get(subscription.pk, [])) for subscription in live.order_by("pk")]


def _period(plan: Plan) -> tuple[str, int]:
    """How often it is invoiced. Plans of different periods never share a subscription."""
    return plan.interval or "month", plan.interval_count or 1


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
    period = _period(plans[0])
    together = [plan for plan in plans if _period(plan) == period]
    params: dict[str, Any] = {
        "customer": customer.pk,
        "items": [_item(plan) for plan in together[:size]],
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
    if anchor := _anchor(customer, period):
        params["billing_cycle_anchor"] = anchor
    return intents.intend(CREATE, f"{CREATE}:{customer.pk}:{len(creations) + 1}", params)


def _anchor(customer: Customer, period: tuple[str, int]) -> int | None:
    """All subscriptions of a customer with one period turn over together: the end of the period of
    the first. (Stripe takes no anchor beyond a subscription's own first period.)"""
    ends = live_items().filter(subscription__customer=customer, current_period_end__isnull=False)
    items = ends.select_related("plan").order_by("current_period_end")
    end = next((i.current_period_end for i in items if i.plan and _period(i.plan) == period), None)
    return int(end.timestamp()) if end and end > timezone.now() else None
