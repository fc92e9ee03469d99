"""How near a payer has come to their spending cap, told once for each mark."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from model_utils.models import TimeStampedModel

from comp_users.models import Profile


class CapWarning(TimeStampedModel):
    """A payer's spending has passed a percentage of their cap within a period of it, or left too
    little of it for a run. Written with the spending, or the refusal; the worker sends the e-mail.
    """

    payer = models.ForeignKey(Profile, models.PROTECT, related_name="cap_warnings")
    period_start = models.DateTimeField()
    percent = models.PositiveSmallIntegerField()  # 50 | 80 | 100, 0: no room for a run
    # What was spent and what the cap was then, in currency units.
    spent = models.DecimalField(max_digits=14, decimal_places=6)
    cap = models.DecimalField(max_digits=14, decimal_places=2)
    # When the worker is to send it (again, if it was interrupted).
    due_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # Another cap has marks of its own.
            models.UniqueConstraint(
                fields=["payer", "period_start", "cap", "percent"],
                name="comp_billing_cap_warned_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(sent_at__isnull=True),
                name="comp_billing_cap_untold",
            )
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.cap}" if self.percent else f"No room within {self.cap}"
