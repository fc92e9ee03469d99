"""How much of a spending cap is used, for the page that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from comp_billing.caps import committed, period_start
from comp_billing.models import LIVE_STATUSES, SubscriptionItem
from comp_users.models import Profile


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Of the cap's present period, in currency units; ``percent`` of the cap, rounded down."""

    spent: Decimal
    held: Decimal
    cap: Decimal
    since: datetime

    @property
    def left(self) -> Decimal:
        return max(Decimal(0), self.cap - self.spent - self.held)

    @property
    def percent(self) -> int:
        if not self.cap:
            return 100
        return int((self.spent + self.held) * 100 / self.cap)


def spending_of(profile: Profile) -> Spending | None:
    """None without a cap. Two queries."""
    if profile.spending_cap is None:
        return None
    items = SubscriptionItem.objects.filter(
        subscription__customer__user=profile.user_id, subscription__status__in=LIVE_STATUSES
    )
    # All of a user's subscriptions turn together.
    latest = items.select_related("plan").order_by("-current_period_start", "pk")
    since = period_start(latest.first())
    spent, held = committed(profile, since)
    return Spending(spent=spent, held=held, cap=profile.spending_cap, since=since)
