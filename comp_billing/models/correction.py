"""What operators did about usage that was billed wrongly, or of which nobody knew."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from model_utils.models import TimeStampedModel

from comp_billing.models.intent import Intent
from comp_billing.models.usage import UsageRecord


class CorrectionKind(models.TextChoices):
    """What was done."""

    # The meter event is cancelled at Stripe, within 24 hours of its arrival: it is not billed.
    CANCEL = "cancel", _("Taken back")
    # The amount is credited to the customer's balance, which the next invoice is paid from.
    CREDIT = "credit", _("Credited")
    # Reported once more under its identifier, because Stripe has not counted it.
    RESEND = "resend", _("Reported again")
    # Settled without a call: Stripe has counted it.
    COUNTED = "counted", _("Found counted")
    # Settled without a call: it is not billed, and that is accepted.
    WAIVE = "waive", _("Waived")


class Correction(TimeStampedModel):
    """The audit line of one act: who did what to which usage record, and why. Never changed."""

    record = models.ForeignKey(UsageRecord, models.PROTECT, related_name="corrections")
    kind = models.CharField(max_length=10, choices=CorrectionKind.choices)
    reason = models.TextField()
    # Null: done by the library itself, from Stripe's totals.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    # What is given back, in currency units; zero unless money is.
    amount = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    # The call at Stripe that carries it out, of several credits together; null when none is needed.
    intent = models.ForeignKey(Intent, models.PROTECT, null=True, related_name="corrections")
    # When Stripe refused that call: then nothing was given back.
    refused_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            # Money is given back once: by taking the usage back or by a credit, not by both.
            models.UniqueConstraint(
                fields=["record"],
                condition=Q(kind__in=["cancel", "credit"], refused_at__isnull=True),
                name="comp_billing_corrected_once",
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=0), name="comp_billing_correction_amount"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="comp_billing_correction_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.record_id}"
