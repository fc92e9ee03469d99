"""The time of use as Stripe hears it."""

from __future__ import annotations

from datetime import UTC, datetime

from comp_billing import shapes
from comp_billing.models import LIVE_STATUSES, SubscriptionItem, UsageRecord
from comp_billing.usage import moving


def stamp(record: UsageRecord, now: datetime) -> datetime:
    """The time of use as Stripe shall hear it: the real one while its period is surely open.

    Usage of a period that may be invoiced already would be lost, and so would usage from before
    the item was there, or of an item that has ended (its successor bills the meter); such usage is
    stamped with the time of sending; and so is what was used before its item came to another price.
    ``now`` is of Stripe's clock.
    """
    item: SubscriptionItem = record.subscription_item
    created = shapes.moment(item.data.get("created"))
    if moving.has_moved_since(item, record.used_at, meter_id=record.meter_id):
        # By Stripe's clock not before it has moved.
        return max(now, datetime.fromtimestamp(item.as_of or 0, UTC))
    began = created is None or created <= record.used_at
    return record.used_at if began and is_open(item, record.used_at, now) else now


def is_open(item: SubscriptionItem, moment: datetime, now: datetime) -> bool:
    """Whether usage of a moment still reaches the item's next invoice, which is not made yet."""
    subscription = item.subscription
    if item.deleted or subscription is None or subscription.status not in LIVE_STATUSES:
        return False
    start, end = item.current_period_start, item.current_period_end
    return bool(start and end and start <= moment <= now < end)
