"""Whether what a customer has used is surely told and counted, so that nothing can be lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from comp_billing.models import Reservation, UsageRecord
from comp_billing.usage.limits import COUNTED_AFTER, UNSETTLED

__all__ = ["UNSETTLED", "held_runs", "is_all_counted", "unsettled_usage"]


def unsettled_usage(
    *, counted_after: timedelta = timedelta(0), **whose: Any
) -> QuerySet[UsageRecord]:
    """Usage on its way to Stripe, or accepted less than ``counted_after`` ago. ``whose`` narrows
    it: ``stripe_customer_id``, ``meter``; what needs a person's decision is none of it."""
    recent = Q(accepted_at__gt=timezone.now() - counted_after)
    return UsageRecord.objects.filter(Q(state__in=UNSETTLED) | recent, **whose)


def held_runs(**whose: Any) -> QuerySet[Reservation]:
    """Runs under way, whose usage is still to come. ``whose`` narrows it, by fields of the
    reservation."""
    return Reservation.objects.filter(settled_at__isnull=True, **whose)


def is_all_counted(customer_id: str) -> bool:
    """Whether a subscription of the customer's can end with a last invoice that has everything."""
    usage = unsettled_usage(counted_after=COUNTED_AFTER, stripe_customer_id=customer_id)
    held = held_runs(subscription_item__subscription__customer=customer_id)
    return not (usage.exists() or held.exists())
