"""One row per maintenance loop: whose turn it is, and how the last round went."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class MaintenanceLoop(models.Model):
    """Written by whichever worker carries out a round, so that one of many does it at a time."""

    name = models.CharField(primary_key=True, max_length=100)
    # Before this moment nobody starts a round.
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    worker_id = models.CharField(_("worker"), max_length=64, blank=True)
    # The class of the last round's error; its text may hold what no row should.
    error_type = models.CharField(_("error"), max_length=100, blank=True)

    def __str__(self) -> str:
        return self.name
