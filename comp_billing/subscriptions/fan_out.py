"""Customers who lack a plan, say of a project that was published later, found by the worker."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Concat

from comp_billing import stripe_api
from comp_billing.catalog import plans_on_offer
from comp_billing.models import Intent, IntentState, Plan
from comp_billing.subscriptions.items import ADD, CREATE, live_items, standing_additions, wanted_by
from comp_billing.subscriptions.planning import plan

BATCH = 200


def ensure_items(*, limit: int = BATCH) -> int:
    """For the maintenance loop: customers who lack a plan, say of a project published later.

    Answers how many intents were made; the rest follow in later rounds. One statement for each
    plan on offer, however many customers lack nothing.
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
    customers = wanted_by(offered).filter(~Exists(live), ~Exists(added), ~Exists(made))
    return list(customers.order_by("?").values_list("pk", flat=True)[:limit])
