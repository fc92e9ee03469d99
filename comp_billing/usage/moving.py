"""Items that come to another price (of per-second pricing), and in whose units usage is told then.

Stripe bills usage at the price in force when it is told. So the quantity of a record is fixed when
it is first sent, in units of the plan that its item is on; and nothing of an item's is sent while
it is not known which plan that is: while a call that moves it may have been made, and while the
mirror is in doubt about it. Who claims usage, who makes the call and who settles it lock the item's
row, one after the other. Other policies, whose price never changes, are spared all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from comp_billing.catalog import units_on
from comp_billing.models import Intent, IntentState, Plan, SubscriptionItem, UsageRecord
from comp_billing.pricing import get_pricing

MOVE = "subscription_item.reprice"


def may_move() -> bool:
    """Whether items change their price at all. No query."""
    return get_pricing().follows_rate


@contextmanager
def locked(item_id: str) -> Iterator[None]:
    """A transaction with the item's row locked; nothing of the kind where nothing moves."""
    if not may_move():
        yield
        return
    with transaction.atomic():
        rows = SubscriptionItem.all_objects.select_for_update(no_key=True)
        list(rows.filter(pk=item_id).order_by().values_list("pk"))
        yield


def moves(item_id: Any, meter_id: Any) -> QuerySet[Intent]:
    """Every intent that moves an item, whichever plan of its meter it is to come to."""
    plans = Plan.all_objects.filter(meter=meter_id)
    subject = Concat(Value(f"{MOVE}:"), item_id, Value(":"), F("stripe_id"))
    named = plans.annotate(subject=subject).values("subject")
    return Intent.objects.filter(kind=MOVE, subject__in=named)


def is_still() -> Q:
    """Of usage records: that it is known which plan their item is on."""
    if not may_move():
        return Q()
    item, meter = OuterRef(OuterRef("subscription_item_id")), OuterRef(OuterRef("meter_id"))
    called = moves(item, meter).filter(state=IntentState.PENDING, params__called=True)
    return ~Q(Exists(called)) & Q(subscription_item__fetch_at__isnull=True)


def quantity_of(record: UsageRecord) -> int:
    """A record's that was never sent: in units of the plan that its item is on, read afresh, for
    who holds the item's lock. No query where nothing moves."""
    if not may_move() or record.first_sent_at is not None:
        return record.quantity
    plan = Plan.all_objects.filter(items=record.subscription_item_id).first()
    return units_on(plan, record.run) if plan else record.quantity


def has_moved_since(item: SubscriptionItem, moment: datetime, *, meter_id: str) -> bool:
    """Whether the item has come to another price after a moment. No query where nothing moves."""
    if not may_move():
        return False
    done = moves(Value(item.pk), meter_id).filter(state=IntentState.SUCCEEDED)
    return done.filter(params__moved_at__gte=moment.timestamp()).exists()
