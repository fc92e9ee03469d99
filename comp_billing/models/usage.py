"""The outbox of billable usage, and the money held back for runs under way."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from model_utils.models import TimeStampedModel

from comp_billing.models.catalog import Meter
from comp_billing.models.subscription import SubscriptionItem
from comp_core.models import Run
from comp_users.models import Profile


class UsageState(models.TextChoices):
    """How far a usage record has come on its way to Stripe."""

    # Committed with its run; not sent yet.
    PENDING = "pending", _("Not sent yet")
    # A call has been started (first_sent_at is set); its answer is not known yet.
    SENDING = "sending", _("Being sent")
    # Stripe has accepted the meter event, now or earlier (a duplicate answer is a success).
    ACCEPTED = "accepted", _("Accepted")
    # Stripe refused it, at once or later; error_code says why. An operator decides.
    REJECTED = "rejected", _("Rejected")
    # In doubt for longer than Stripe remembers identifiers: never sent again blindly.
    AMBIGUOUS = "ambiguous", _("Unclear")
    # Older than Stripe takes usage (35 days).
    EXPIRED = "expired", _("Expired")
    # Nothing to send: the quantity is zero.
    EMPTY = "empty", _("Nothing to bill")
    # Was accepted, and was cancelled at Stripe by an operator's correction.
    CANCELLED = "cancelled", _("Taken back")
    # Will not be billed, by an operator's correction.
    WAIVED = "waived", _("Not billed")


class UsageRecord(TimeStampedModel):
    """One billable run, written in the transaction that finishes it. Sent to Stripe as a meter
    event under ``identifier``; everything that the call needs is frozen here."""

    identifier = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.OneToOneField(Run, models.PROTECT, related_name="usage_record")
    subscription_item = models.ForeignKey(
        SubscriptionItem, models.PROTECT, related_name="usage_records"
    )
    meter = models.ForeignKey(Meter, models.PROTECT, related_name="usage_records")
    event_name = models.CharField(max_length=100)
    stripe_customer_id = models.CharField(max_length=255)
    quantity = models.BigIntegerField(help_text=_("In the meter's units."))
    used_at = models.DateTimeField(help_text=_("When the run finished."))
    timestamp = models.DateTimeField(
        null=True, help_text=_("The time of use as told to Stripe; never changed once sent.")
    )
    state = models.CharField(max_length=10, choices=UsageState.choices, default=UsageState.PENDING)
    # A new generation is a new identifier at Stripe: for usage that Stripe has surely rejected. Its
    # former identifier would be answered as a duplicate although it was not counted.
    generation = models.PositiveSmallIntegerField(default=1, db_default=1)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    first_sent_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    request_id = models.CharField(max_length=255, blank=True)
    error_code = models.CharField(max_length=100, blank=True)
    error_message = models.TextField(blank=True)
    # When the operators were told that it needs a person. Null: they were not.
    alarmed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=["pending", "sending"]),
                name="comp_billing_usage_due",
            ),
            # The reporter works through each pair of customer and meter in this order.
            models.Index(
                fields=["stripe_customer_id", "meter", "created"],
                condition=Q(state__in=["pending", "sending"]),
                name="comp_billing_usage_queue",
            ),
            models.Index(
                fields=["stripe_customer_id", "used_at"], name="comp_billing_usage_customer"
            ),
            models.Index(fields=["-created"], name="comp_billing_usage_recent"),
            # What needs a person: read by the doctor, the admin and the reconciliation.
            models.Index(
                fields=["used_at"],
                condition=Q(state__in=["rejected", "ambiguous", "expired"]),
                name="comp_billing_usage_open",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                # Stripe takes at most 15 significant digits.
                condition=Q(quantity__gte=0) & Q(quantity__lt=10**15),
                name="comp_billing_usage_quantity",
            ),
            # Sent implies that the stamp is fixed and that we said so before the call.
            models.CheckConstraint(
                condition=Q(state__in=["pending", "empty", "expired", "waived"])
                | Q(first_sent_at__isnull=False, timestamp__isnull=False),
                name="comp_billing_usage_sent_is_stamped",
            ),
        ]

    def __str__(self) -> str:
        return str(self.identifier)

    @property
    def stripe_identifier(self) -> str:
        """What Stripe knows this record's meter event by."""
        first = str(self.identifier)
        return first if self.generation == 1 else f"{first}.{self.generation}"


class Reservation(TimeStampedModel):
    """The worst case of a run, held against its payer's cap until the run ends."""

    run = models.OneToOneField(Run, models.PROTECT, related_name="reservation")
    payer = models.ForeignKey(Profile, models.PROTECT, related_name="reservations")
    # What would be billed, known when the run was permitted: the customer may be gone at its end.
    subscription_item = models.ForeignKey(
        SubscriptionItem, models.PROTECT, related_name="reservations"
    )
    amount = models.DecimalField(max_digits=14, decimal_places=6)
    # Null while held; the final cost once settled; zero once released.
    settled_amount = models.DecimalField(max_digits=14, decimal_places=6, null=True)
    # When the run ended: the period in which the amount counts.
    settled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["payer"],
                condition=Q(settled_at__isnull=True),
                name="comp_billing_reserved",
            ),
            # What a payer has spent since some moment, without reading what was spent before.
            models.Index(fields=["payer", "settled_at"], name="comp_billing_spent"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gte=0)
                & (Q(settled_amount__isnull=True) | Q(settled_amount__gte=0)),
                name="comp_billing_reservation_amounts",
            ),
            models.CheckConstraint(
                condition=Q(settled_amount__isnull=True, settled_at__isnull=True)
                | Q(settled_amount__isnull=False, settled_at__isnull=False),
                name="comp_billing_reservation_settled",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} for {self.run_id}"
