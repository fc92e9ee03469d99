"""What a payer has spent within a period, and what is held for runs under way."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from comp_billing import clock
from comp_billing.models import LIVE_STATUSES, Plan, Reservation, SubscriptionItem
from comp_core.metering import COST_STEP
from comp_users.models import Profile

DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Of a period, in currency units. ``cap`` is the payer's; None: there is none."""

    spent: Decimal
    held: Decimal
    since: datetime
    cap: Decimal | None

    @property
    def total(self) -> Decimal:
        return self.spent + self.held

    @property
    def left(self) -> Decimal | None:
        """Of the cap."""
        return None if self.cap is None else max(Decimal(0), self.cap - self.total)

    @property
    def percent(self) -> int | None:
        """Of the cap that is used, rounded down."""
        if self.cap is None:
            return None
        return int(self.total * 100 / self.cap) if self.cap else 100


def period_start(item: SubscriptionItem | None) -> datetime:
    """Of the cap's month: the subscription's period, before there is one the calendar month.

    A whole period before its end: an item that joined within it began later, and what was spent
    before that counts all the same.
    """
    if item and item.current_period_start:
        whole = _a_period_before(item.current_period_end, item.plan)
        return min(item.current_period_start, whole or item.current_period_start)
    return timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _a_period_before(end: datetime | None, plan: Plan | None) -> datetime | None:
    if end is None or plan is None:
        return None
    count = plan.interval_count or 1
    if plan.interval in DAYS:
        return end - timedelta(days=count * DAYS[plan.interval])
    months = end.year * 12 + end.month - 1 - count * (12 if plan.interval == "year" else 1)
    year, month = divmod(months, 12)
    return end.replace(year=year, month=month + 1, day=min(end.day, monthrange(year, month + 1)[1]))


def committed(payer: Profile, since: datetime) -> tuple[Decimal, Decimal]:
    """What the payer has spent since, and what is held for runs under way; currency units.

    ``since`` is of Stripe's clock; runs end by ours, which is another one where time is played.
    """
    since -= clock.now() - timezone.now()
    held = Q(settled_at__isnull=True)
    sums = Reservation.objects.filter(held | Q(settled_at__gte=since), payer=payer).aggregate(
        spent=Coalesce(Sum("settled_amount", filter=~held), Decimal(0)),
        held=Coalesce(Sum("amount", filter=held), Decimal(0)),
    )
    # SQLite adds up in floating point; what it is off by is far less than half a step.
    spent, held_back = (
        cast("Decimal", sums[name]).quantize(COST_STEP) for name in ("spent", "held")
    )
    return spent, held_back


def spending(payer: Profile, item: SubscriptionItem | None) -> Spending:
    """The payer's in the period of an item of theirs. One query."""
    since = period_start(item)
    spent, held = committed(payer, since)
    return Spending(spent=spent, held=held, since=since, cap=payer.spending_cap)


def current_spending(payer: Profile) -> Spending:
    """The payer's in the present period: all of their items turn together. Two queries."""
    items = SubscriptionItem.objects.filter(
        subscription__customer__user=payer.user_id,
        subscription__status__in=LIVE_STATUSES,
        current_period_start__isnull=False,
    )
    latest = items.select_related("plan").order_by("-current_period_start", "pk")
    return spending(payer, latest.first())
