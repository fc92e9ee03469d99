"""What a customer is subscribed to, item by item."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from comp_billing import shapes
from comp_billing.models.base import StripeObject
from comp_billing.models.catalog import Plan
from comp_billing.models.customer import Customer

# Subscription states in which usage will still be billed.
LIVE_STATUSES = ("active", "trialing", "past_due", "incomplete", "unpaid", "paused")
# Subscription states in which new runs are accepted.
USABLE_STATUSES = ("active", "trialing")


class Subscription(StripeObject):
    """A Stripe subscription; its periods live on its items."""

    kind = "subscription"
    id_prefix = "sub_"
    collection = "subscriptions"
    list_params = ({"status": "all"},)

    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="subscriptions")
    plans = models.ManyToManyField(Plan, through="SubscriptionItem", related_name="subscriptions")
    status = models.CharField(max_length=30, blank=True, db_index=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "customer_id": shapes.ref(data.get("customer")),
            "status": shapes.text(data.get("status")),
        }

    @classmethod
    def embedded(cls, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Its items; an item names no subscription of its own in every API version."""
        # Until 2025-03-31 the periods were the subscription's.
        periods: dict[str, Any] = {
            key: data[key] for key in ("current_period_start", "current_period_end") if key in data
        }
        return [
            {**periods, "object": "subscription_item", **item, "subscription": data["id"]}
            for item in shapes.listed(data.get("items"))
        ]

    @classmethod
    def is_final(cls, data: dict[str, Any]) -> bool:
        return data.get("status") in ("canceled", "incomplete_expired")

    @classmethod
    def removes_missing(cls, data: dict[str, Any]) -> type[StripeObject] | None:
        """Items that a complete list no longer names have been removed."""
        return SubscriptionItem if shapes.is_whole(data.get("items")) else None


class SubscriptionItem(StripeObject):
    """One plan within a subscription. A removed item stays, marked deleted: usage refers to it."""

    kind = "subscription_item"
    id_prefix = "si_"
    # Stripe lists them by subscription only, and there they are embedded.
    collection = "subscription_items"
    is_listed = False
    vanishes = True

    subscription = models.ForeignKey(Subscription, models.PROTECT, null=True, related_name="items")
    plan = models.ForeignKey(Plan, models.PROTECT, null=True, related_name="items")
    current_period_start = models.DateTimeField(null=True)
    current_period_end = models.DateTimeField(null=True)

    class Meta(StripeObject.Meta):
        indexes = [
            *StripeObject.Meta.indexes,
            models.Index(
                fields=["subscription", "plan"],
                condition=Q(deleted=False),
                name="comp_billing_item_live",
            ),
        ]

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "subscription_id": shapes.ref(data.get("subscription")),
            "plan_id": shapes.ref(data.get("price")) or shapes.ref(data.get("plan")),
            "current_period_start": shapes.moment(data.get("current_period_start")),
            "current_period_end": shapes.moment(data.get("current_period_end")),
        }
