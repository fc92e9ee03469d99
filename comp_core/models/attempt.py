"""Attempts that were interrupted: what happened to a run before the attempt that ended it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from comp_core.models.run import Run


class Interruption(models.TextChoices):
    """Why an attempt ended without an outcome of its own."""

    # Its lease ran out: the worker died, hung, or lost the database.
    WORKER_LOST = "worker_lost", _("Worker fell silent")
    # Its worker was told to stop and gave the run back.
    RELEASED = "released", _("Given back by a stopping worker")
    # An operator put the run back into the queue.
    REQUEUED = "requeued", _("Put back by an operator")
    # An operator gave the run up.
    GIVEN_UP = "given_up", _("Given up by an operator")


class Attempt(models.Model):
    """One attempt that was interrupted. The attempt that ended a run stands on the run itself.

    Written in the transaction of the move that takes the run from its worker. Files that the
    attempt may have left in storage are swept some time later (``swept_at``).
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    worker_id = models.CharField(_("worker"), max_length=64, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    reason = models.CharField(_("reason"), max_length=11, choices=Interruption.choices)
    progress = models.FloatField(default=0.0)
    swept_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "number"]
        indexes = [
            models.Index(
                fields=["ended_at"],
                condition=Q(swept_at__isnull=True),
                name="comp_core_attempt_unswept",
            ),
        ]
        constraints = [
            # An attempt is interrupted once: it had one lease, and that is gone.
            models.UniqueConstraint(fields=["run", "number"], name="comp_core_attempt_once"),
            models.CheckConstraint(
                condition=Q(reason__in=Interruption.values), name="comp_core_attempt_reason_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} / {self.number}"
