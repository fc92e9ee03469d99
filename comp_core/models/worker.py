"""One row per worker process: the proof that somebody is there to run models."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Worker(models.Model):
    """Written by the worker itself when it starts and every ten seconds; removed at its end."""

    id = models.CharField(primary_key=True, max_length=64)
    queues = models.CharField(max_length=200, help_text=_("Comma-separated; empty: loops only."))
    slots = models.PositiveSmallIntegerField(
        default=1, help_text=_("How many runs it executes at a time.")
    )
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.id
