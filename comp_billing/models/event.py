"""What Stripe has told us: one row per event, kept as received."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from comp_billing import shapes
from comp_billing.models.customer import Customer
from comp_billing.models.invoice import Invoice


class EventState(models.TextChoices):
    """How far an event has been worked through."""

    # Stored and mirrored; its stored handlers (e-mails and the like) are still to run.
    PENDING = "pending", _("Handlers due")
    # Everything that it asks for has been done.
    PROCESSED = "processed", _("Processed")
    # A handler raised; it is tried again.
    FAILED = "failed", _("Failed, will be retried")
    # Tried too often; an operator decides.
    DEAD = "dead", _("Given up")
    # Kept for the record only (unknown type, other mode or account).
    INERT = "inert", _("Stored only")


class Event(models.Model):
    """A verified event. The unique id makes redelivery harmless."""

    stripe_id = models.CharField(primary_key=True, max_length=255)
    type = models.CharField(max_length=120, db_index=True)
    api_version = models.CharField(max_length=40, blank=True)
    account = models.CharField(max_length=255, blank=True)
    livemode = models.BooleanField(default=False)
    is_thin = models.BooleanField(default=False)
    created = models.DateTimeField()
    received_at = models.DateTimeField(auto_now_add=True)
    payload = models.JSONField()
    request_id = models.CharField(max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="events")
    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, related_name="events")
    state = models.CharField(max_length=10, choices=EventState.choices, default=EventState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    # When the mirror and the in-transaction handlers were done, once and for all; from then on only
    # the stored handlers remain.
    applied_at = models.DateTimeField(null=True)
    processed_at = models.DateTimeField(null=True)
    # Names of the stored handlers that are done, so that a repeat for the others leaves them be.
    handled = models.JSONField(default=list, db_default=[])
    error = models.TextField(blank=True)

    #: The payload's text as received, if it can be stored as it is; not kept.
    payload_text: str | None = None

    class Meta:
        ordering = ["-created"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=["pending", "failed"]),
                name="comp_billing_event_due",
            ),
            models.Index(fields=["-created"], name="comp_billing_event_recent"),
            models.Index(
                fields=["-created"], condition=Q(state="dead"), name="comp_billing_event_dead"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.stripe_id}"

    @property
    def object_data(self) -> dict[str, Any]:
        """The object as it was at the time of the event; empty for a thin event."""
        return shapes.mapping(shapes.mapping(self.payload.get("data")).get("object"))

    @property
    def previous(self) -> dict[str, Any]:
        """The old values of what an update changed."""
        return shapes.mapping(shapes.mapping(self.payload.get("data")).get("previous_attributes"))
