"""What we are about to ask of Stripe: committed before the call, settled after it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from model_utils.models import TimeStampedModel


class IntentState(models.TextChoices):
    """How far an intent has come."""

    # Committed; to be carried out by the worker (again, if attempts were made).
    PENDING = "pending", _("Pending")
    # Stripe has done it; result_id names what came of it.
    SUCCEEDED = "succeeded", _("Done")
    # Stripe refused it for good; error_message says why.
    FAILED = "failed", _("Refused")


class Intent(TimeStampedModel):
    """One mutating call to Stripe. ``subject`` names what it is about, once per site: a second
    intent for the same subject cannot be made, so nothing is created twice."""

    kind = models.CharField(max_length=60)  # e.g. "customer.create"
    subject = models.CharField(max_length=200, unique=True)  # e.g. "customer.create:user:7"
    params = models.JSONField(help_text=_("Parameters of the call, frozen before it is sent."))
    idempotency_base = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    # A new generation is a new idempotency key: Stripe replays a saved error for 24 hours.
    generation = models.PositiveIntegerField(default=1)
    state = models.CharField(
        max_length=10, choices=IntentState.choices, default=IntentState.PENDING
    )
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    first_sent_at = models.DateTimeField(null=True)
    result_id = models.CharField(max_length=255, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="comp_billing_intent_due",
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="succeeded") | ~Q(result_id=""),
                name="comp_billing_intent_has_result",
            )
        ]

    def __str__(self) -> str:
        return self.subject

    @property
    def idempotency_key(self) -> str:
        return f"comp-{self.idempotency_base}-{self.generation}"
