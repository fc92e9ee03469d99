"""Money that a customer has before using it: credit grants, and what is left of them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from comp_billing import shapes
from comp_billing.models.base import StripeObject
from comp_billing.models.customer import Customer


class CreditGrant(StripeObject):
    """A Stripe credit grant: prepaid or promotional money that metered lines are paid from when
    an invoice is finalised. ``amount`` is what was granted, in minor units of the currency."""

    kind = "billing.credit_grant"
    id_prefix = "credgr_"
    collection = "billing/credit_grants"
    is_listed_by_created = False

    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="credit_grants")
    name = models.CharField(max_length=100, blank=True)
    category = models.CharField(max_length=20, blank=True)  # paid | promotional
    amount = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    effective_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    voided_at = models.DateTimeField(null=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        money = shapes.mapping(shapes.mapping(data.get("amount")).get("monetary"))
        return {
            "customer_id": shapes.ref(data.get("customer")),
            "name": shapes.text(data.get("name"))[:100],
            "category": shapes.text(data.get("category")),
            "amount": shapes.integer(money.get("value")),
            "currency": shapes.text(money.get("currency")),
            "effective_at": shapes.moment(data.get("effective_at")),
            "expires_at": shapes.moment(data.get("expires_at")),
            "voided_at": shapes.moment(data.get("voided_at")),
        }


class CreditBalance(models.Model):
    """What is left of a customer's credit grants by Stripe's own word: grants do not tell.

    ``available`` in minor units of ``currency``; ``as_of`` in Unix seconds of Stripe's clock.
    """

    customer = models.OneToOneField(
        Customer, models.PROTECT, primary_key=True, related_name="credit_balance"
    )
    available = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    as_of = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(available__gte=0), name="comp_billing_credit_not_negative"
            )
        ]

    def __str__(self) -> str:
        return f"{self.available} {self.currency}"
