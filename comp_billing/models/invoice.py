"""What was billed and what was paid."""

from __future__ import annotations

from typing import Any

from django.db import models

from comp_billing import shapes
from comp_billing.models.base import StripeObject
from comp_billing.models.customer import Customer
from comp_billing.models.subscription import Subscription


class Charge(StripeObject):
    """A Stripe charge, read-only. Amounts are minor units of the currency."""

    kind = "charge"
    collection = "charges"

    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="charges")
    payment_intent = models.CharField(max_length=255, blank=True, db_index=True)
    amount = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    status = models.CharField(max_length=20, blank=True)
    created = models.DateTimeField(null=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "customer_id": shapes.ref(data.get("customer")),
            "payment_intent": shapes.ref(data.get("payment_intent")) or "",
            "amount": shapes.integer(data.get("amount")),
            "currency": shapes.text(data.get("currency")),
            "status": shapes.text(data.get("status")),
            "created": shapes.moment(data.get("created")),
        }


class Invoice(StripeObject):
    """A Stripe invoice. Amounts are minor units of the currency.

    Below Stripe's minimum charge an invoice is paid without a charge (its amount moves to the
    customer's balance), so ``charge`` may stay empty on a paid invoice.
    """

    kind = "invoice"
    id_prefix = "in_"
    collection = "invoices"
    vanishes = True

    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="invoices")
    subscription = models.ForeignKey(
        Subscription, models.PROTECT, null=True, related_name="invoices"
    )
    # Stripe links invoice and charge through payments only; filled from the default payment.
    charge = models.OneToOneField(
        Charge, models.PROTECT, null=True, blank=True, related_name="invoice"
    )
    status = models.CharField(max_length=20, blank=True, db_index=True)
    number = models.CharField(max_length=100, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    total = models.BigIntegerField(null=True)
    amount_due = models.BigIntegerField(null=True)
    amount_paid = models.BigIntegerField(null=True)
    created = models.DateTimeField(null=True, db_index=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "customer_id": shapes.ref(data.get("customer")),
            "subscription_id": shapes.invoice_subscription(data),
            "status": shapes.text(data.get("status")),
            "number": shapes.text(data.get("number")),
            "currency": shapes.text(data.get("currency")),
            "total": shapes.integer(data.get("total")),
            "amount_due": shapes.integer(data.get("amount_due")),
            "amount_paid": shapes.integer(data.get("amount_paid")),
            "created": shapes.moment(data.get("created")),
        }

    @classmethod
    def embedded(cls, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Its payments, present when they were expanded."""
        return [
            {"object": "invoice_payment", **payment, "invoice": data["id"]}
            for payment in shapes.listed(data.get("payments"))
        ]

    @classmethod
    def is_final(cls, data: dict[str, Any]) -> bool:
        return data.get("status") in ("paid", "void")


class InvoicePayment(StripeObject):
    """A payment towards an invoice: where Stripe now links invoices and payment intents."""

    kind = "invoice_payment"
    id_prefix = "inpay_"
    collection = "invoice_payments"

    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, related_name="payments")
    charge = models.ForeignKey(Charge, models.PROTECT, null=True, related_name="payments")
    payment_intent = models.CharField(max_length=255, blank=True, db_index=True)
    status = models.CharField(max_length=20, blank=True)
    is_default = models.BooleanField(default=False)
    amount_paid = models.BigIntegerField(null=True)

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        payment = shapes.mapping(data.get("payment"))
        return {
            "invoice_id": shapes.ref(data.get("invoice")),
            "charge_id": shapes.ref(payment.get("charge")),
            "payment_intent": shapes.ref(payment.get("payment_intent")) or "",
            "status": shapes.text(data.get("status")),
            "is_default": shapes.flag(data.get("is_default")),
            "amount_paid": shapes.integer(data.get("amount_paid")),
        }

    @classmethod
    def is_final(cls, data: dict[str, Any]) -> bool:
        return data.get("status") in ("paid", "canceled")
