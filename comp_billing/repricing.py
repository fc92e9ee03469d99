"""A changed rate under per-second pricing: items move over to the new plan on the same meter.

An item moves when nothing of its customer's is on its way to Stripe, and no run of an earlier rate
is under way. So what was used at the old rate is billed by the old plan. A run that was permitted
at the new rate while the item was still on the old plan costs what its receipt says: its quantity
is that cost in units of the plan that bills it, to the nearest. Of a run that ends while the call
is under way, or in doubt, that is decided by the outcome (see ``usage.moving``).
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from comp_billing import catalog, clock, intents, settled, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import NotReady, StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import (
    Intent,
    IntentState,
    Plan,
    Reservation,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from comp_billing.pricing import get_pricing
from comp_billing.stripe_api import Answer
from comp_billing.subscriptions import ADD, CREATE, live_items
from comp_billing.usage import moving
from comp_billing.usage.moving import MOVE

BATCH = 200


def move_items(*, limit: int = BATCH) -> int:
    """For the maintenance loop: items on the plan of an earlier rate. Answers how many intents
    were made; the rest follow in later rounds. Nothing under policies with a constant price."""
    if not (stripe_api.is_configured() and get_pricing().follows_rate):
        return 0
    made, plans = 0, catalog.plans_on_offer()
    _withdraw(plans)
    for offered in plans:
        for item in _outdated(offered)[: max(0, limit - made)]:
            _intend(item, offered)
            made += 1
    return made


def _withdraw(on_offer: list[Plan]) -> None:
    """Moves to a plan that is not on offer any more, for which no call was made."""
    unsent = Intent.objects.filter(
        kind=MOVE, state=IntentState.PENDING, params__called__isnull=True
    )
    unsent.exclude(params__price__in=[plan.pk for plan in on_offer]).delete()


def _outdated(offered: Plan) -> QuerySet[SubscriptionItem]:
    """Live items on another plan of the meter that can move now, have not been asked to, and are
    not on their way to a third one."""
    subject = Concat(Value(f"{MOVE}:"), OuterRef("stripe_id"), Value(f":{offered.pk}"))
    asked = Intent.objects.filter(subject=subject).exclude(state=IntentState.SUCCEEDED)
    every = moving.moves(OuterRef(OuterRef("stripe_id")), offered.meter_id)
    under_way = every.filter(state=IntentState.PENDING)
    customer = OuterRef("subscription__customer")
    usage = _undecided_usage(meter=offered.meter_id, stripe_customer_id=customer)
    earlier = _runs_of_earlier_rates(offered).filter(
        subscription_item__subscription__customer=customer
    )
    items = live_items().filter(plan__meter=offered.meter_id, plan__currency=offered.currency)
    metered = items.filter(plan__usage_type="metered").exclude(plan=offered.pk)
    free = metered.filter(~Exists(asked), ~Exists(under_way))
    return free.filter(~Exists(usage), ~Exists(earlier)).order_by("?")


def _undecided_usage(**whose: Any) -> QuerySet[UsageRecord]:
    """On its way, or unclear: it may be told once more as it was, in units of the old plan."""
    states = (*settled.UNSETTLED, UsageState.AMBIGUOUS)
    return UsageRecord.objects.filter(state__in=states, **whose)


def _runs_of_earlier_rates(offered: Plan) -> QuerySet[Reservation]:
    held = settled.held_runs(subscription_item__plan__meter=offered.meter_id)
    now = offered.meter.project.server_cost if offered.meter and offered.meter.project else None
    return held.exclude(run__server_cost=now)


def _intend(item: SubscriptionItem, offered: Plan) -> None:
    params = {"item": item.pk, "price": offered.pk, "proration_behavior": "none"}
    intent = intents.intend(MOVE, f"{MOVE}:{item.pk}:{offered.pk}", params)
    if intent.state == IntentState.SUCCEEDED:
        # It was on this plan before, and the rate has come back to it.
        intents.renew(intent, params)


def _is_ready(intent: Intent) -> bool:
    """Looked at again just before the call: a run may have ended since it was asked for. What ends
    after the first call waits for this intent."""
    if intent.params.get("called"):
        return True
    offered = Plan.objects.select_related("meter__project").filter(pk=intent.params["price"])
    item = live_items().filter(pk=intent.params["item"]).select_related("subscription").first()
    target = offered.first()
    if item is None or target is None or item.subscription is None:
        return True
    customer = item.subscription.customer_id
    usage = _undecided_usage(meter=target.meter_id, stripe_customer_id=customer)
    earlier = _runs_of_earlier_rates(target).filter(
        subscription_item__subscription__customer=customer
    )
    return not (usage.exists() or earlier.exists())


def _move(intent: Intent) -> Answer:
    """Once it is written down that the call may have been made, usage of the item waits."""
    with moving.locked(intent.params["item"]):
        params = {**intent.params, "called": True}
        mine = Intent.objects.filter(
            pk=intent.pk, state=IntentState.PENDING, attempts=intent.attempts
        )
        if not (_is_ready(intent) and mine.update(params=params)):
            raise NotReady
        intent.params = params
    path = stripe_api.object_path("subscription_items", intent.params["item"])
    wanted = {name: intent.params[name] for name in ("price", "proration_behavior")}
    answer = intents.post(path, intent, wanted)
    # A replayed answer tells how the item was then; the mirror takes what is as of now.
    return stripe_api.retrieve(path) or answer if answer.replayed else answer


def _moved(intent: Intent, data: dict[str, Any]) -> None:
    """The mirror may know better than an answer, or believe so: then the item is asked for, and its
    usage waits until it is known."""
    item = intent.params["item"]
    with moving.locked(item):
        otherwise = SubscriptionItem.all_objects.filter(pk=item).exclude(
            plan=shapes.item_price(data)
        )
        otherwise.update(fetch_at=timezone.now(), fetch_attempts=0)
    known = {**intent.params, "moved_at": clock.now().timestamp()}
    Intent.objects.filter(pk=intent.pk, state=IntentState.SUCCEEDED).update(params=known)


def _refused(intent: Intent, error: StripeRefused) -> None:
    """Who takes it up again looks at everything again."""
    params = {name: value for name, value in intent.params.items() if name != "called"}
    Intent.objects.filter(pk=intent.pk).update(params=params)


def _find_moved(intent: Intent) -> Answer | None:
    path = stripe_api.object_path("subscription_items", intent.params["item"])
    found = stripe_api.retrieve(path)
    return found if found and shapes.item_price(found.data) == intent.params["price"] else None


def archive_former(*, limit: int = BATCH) -> int:
    """For the maintenance loop: plans of earlier rates that no item is on any more. Prices that
    were made by hand are left alone. Answers how many intents were made."""
    if not (stripe_api.is_configured() and get_pricing().follows_rate):
        return 0
    made = 0
    for offered in catalog.plans_on_offer():
        used = live_items().filter(plan=OuterRef("stripe_id"))
        former = Plan.objects.filter(~Exists(used), meter=offered.meter_id, active=True)
        for plan in former.exclude(pk=offered.pk)[: max(0, limit - made)]:
            made += not _is_asked_for(plan) and archive(plan)
    return made


def _is_asked_for(plan: Plan) -> bool:
    """Whether an item on the plan is being made, which Stripe would refuse of an archived one."""
    waiting = Intent.objects.filter(state=IntentState.PENDING, kind__in=(ADD, CREATE, MOVE))
    text = Cast("params", TextField())
    return waiting.annotate(text=text).filter(text__contains=f'"{plan.pk}"').exists()


def archive(plan: Plan) -> bool:
    """Ask for a price of ours to be archived; whether it is one."""
    metadata = shapes.mapping(plan.data.get("metadata"))
    if metadata.get("comp_install") != conf.METER_PREFIX:
        return False
    subject = f"price.archive:{plan.pk}:"
    if not Intent.objects.filter(subject__startswith=subject, state=IntentState.PENDING).exists():
        catalog.write_down(catalog.change("price.archive", {"price": plan.pk}, plan))
    return True


intents.KINDS[MOVE] = Kind(
    send=_move, find=_find_moved, settle=_moved, refused=_refused, ready=_is_ready
)
