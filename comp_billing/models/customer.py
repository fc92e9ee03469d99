"""Who pays: the Stripe customer of a user."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from comp_billing import shapes
from comp_billing.models.base import StripeObject


class Customer(StripeObject):
    """A Stripe customer. The link to the user is ours and no event touches it, except that the
    tombstone of a deleted customer gives it up."""

    kind = "customer"
    id_prefix = "cus_"
    collection = "customers"
    tombstone_clears = ("user_id",)

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="customer"
    )
    email = models.CharField(max_length=512, blank=True)
    default_payment_method = models.CharField(max_length=255, blank=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        billing = shapes.mapping(data.get("invoice_settings"))
        return {
            "email": shapes.text(data.get("email")),
            "default_payment_method": shapes.ref(billing.get("default_payment_method")) or "",
        }
