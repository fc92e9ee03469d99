"""Items on their way to another price (of per-second pricing): their usage waits for the outcome,
which tells in whose units it is billed.

Stripe bills usage at the price in force when it is told. So while the call that moves an item may
have been made, nothing of the item's is told; when it is settled, what waits is counted in units of
the plan that bills it now, and told as of then. An item's row is locked by whoever decides: by the
end of a run, by the reporter, by the call and by its outcome. Other policies, whose price never
changes, are spared all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KT
from django.utils import timezone

from comp_billing.catalog import units_on
from comp_billing.models import Intent, IntentState, Plan, SubscriptionItem, UsageRecord, UsageState
from comp_billing.pricing import get_pricing

MOVE = "subscription_item.reprice"


def may_move() -> bool:
    """Whether items change their price at all. No query."""
    return get_pricing().follows_rate


def lock(**which: Any) -> None:
    """An item's row, until the transaction at hand ends. No query where nothing moves. (Whoever
    wants to know its plan reads it afterwards: in one statement with the lock a database would
    answer with what was before it had to wait.)"""
    if may_move():
        rows = SubscriptionItem.all_objects.select_for_update(of=("self",), no_key=True)
        list(rows.filter(**which).order_by().values_list("pk"))


@contextmanager
def locked(item_id: str) -> Iterator[None]:
    """A transaction with the item's row locked; nothing of the kind where nothing moves."""
    if not may_move():
        yield
        return
    with transaction.atomic():
        lock(pk=item_id)
        yield


def is_still() -> Q:
    """Of usage records: that no call may have moved their item whose outcome is not known."""
    if not may_move():
        return Q()
    called = Intent.objects.filter(kind=MOVE, state=IntentState.PENDING, params__called=True)
    of_item = called.annotate(moved=KT("params__item")).filter(moved=OuterRef("subscription_item"))
    return ~Q(Exists(of_item))


def has_moved_since(item_id: str, moment: datetime) -> bool:
    """Whether the item has come to another price after a moment."""
    if not may_move():
        return False
    moves = Intent.objects.filter(subject__startswith=f"{MOVE}:{item_id}:")
    done = moves.filter(kind=MOVE, state=IntentState.SUCCEEDED)
    return done.filter(params__moved_at__gte=moment.timestamp()).exists()


def quantity_now(record: UsageRecord) -> int:
    """A record's, in units of the plan that its item is on by now. No query where nothing moves."""
    plan = record.subscription_item.plan if may_move() else None
    return units_on(plan, record.run) if plan else record.quantity


def recount(item_id: str, plan: Plan) -> None:
    """Count what waits in the units of the plan that the item has come to."""
    waiting = UsageRecord.objects.filter(
        subscription_item=item_id, state=UsageState.PENDING, first_sent_at__isnull=True
    )
    for record in waiting.select_related("run"):
        quantity = units_on(plan, record.run)
        UsageRecord.objects.filter(pk=record.pk).update(quantity=quantity, modified=timezone.now())
