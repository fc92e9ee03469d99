"""Refunds as Stripe tells them, and what the host writes down about them."""

from __future__ import annotations

from typing import Any

from django.db import models

from comp_billing import shapes
from comp_billing.models import Charge, StripeObject


class Refund(StripeObject):
    """Money given back."""

    kind = "refund"
    id_prefix = "re_"
    collection = "refunds"

    charge = models.ForeignKey(Charge, models.PROTECT, null=True, related_name="refunds")
    amount = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    status = models.CharField(max_length=30, blank=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "charge_id": shapes.ref(data.get("charge")),
            "amount": shapes.integer(data.get("amount")),
            "currency": shapes.text(data.get("currency")),
            "status": shapes.text(data.get("status")),
        }


class Note(models.Model):
    """One line in the host's own book."""

    refund = models.ForeignKey(Refund, models.PROTECT, null=True, related_name="notes")
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text
