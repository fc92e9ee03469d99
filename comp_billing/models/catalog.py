"""What is sold: products, their meters and their plans."""

from __future__ import annotations

from typing import Any

from django.db import models

from comp_billing import shapes
from comp_billing.models.base import StripeObject
from comp_users.models import Project


class Product(StripeObject):
    """A Stripe product: one per project."""

    kind = "product"
    collection = "products"
    tombstone_clears = ("project_id",)

    project = models.OneToOneField(
        Project, models.PROTECT, null=True, blank=True, related_name="product"
    )
    name = models.CharField(max_length=250, blank=True)
    active = models.BooleanField(default=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": shapes.text(data.get("name")),
            "active": shapes.flag(data.get("active"), default=True),
        }


class Meter(StripeObject):
    """A Stripe billing meter: one per project, shared by the project's successive plans."""

    kind = "billing.meter"
    collection = "billing/meters"
    is_listed_by_created = False

    project = models.OneToOneField(
        Project, models.PROTECT, null=True, blank=True, related_name="meter"
    )
    event_name = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=20, blank=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "event_name": shapes.text(data.get("event_name")),
            "status": shapes.text(data.get("status")),
        }


class Plan(StripeObject):
    """A recurring Stripe price (Stripe's former word, and ours, is plan)."""

    kind = "price"
    collection = "prices"
    # Stripe documents a list of active prices, and of inactive ones when asked for them.
    list_params = ({"active": True}, {"active": False})

    product = models.ForeignKey(Product, models.PROTECT, null=True, related_name="plans")
    meter = models.ForeignKey(Meter, models.PROTECT, null=True, related_name="plans")
    usage_type = models.CharField(max_length=10, blank=True)  # metered | licensed
    currency = models.CharField(max_length=3, blank=True)
    # Minor units, with up to twelve decimal places, per unit of the meter or per seat.
    amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    interval = models.CharField(max_length=10, blank=True)
    interval_count = models.PositiveSmallIntegerField(null=True)
    active = models.BooleanField(default=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        recurring = shapes.recurring(data)
        return {
            "product_id": shapes.ref(data.get("product")),
            "meter_id": shapes.ref(recurring.get("meter")),
            "usage_type": shapes.text(recurring.get("usage_type")),
            "currency": shapes.text(data.get("currency")),
            "amount_decimal": shapes.unit_amount(data),
            "interval": shapes.text(recurring.get("interval")),
            "interval_count": shapes.integer(recurring.get("interval_count")),
            "active": shapes.flag(data.get("active"), default=True),
        }
