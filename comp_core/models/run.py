"""The concrete run: one row for every execution of every model on the site."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from model_utils.managers import InheritanceManager
from model_utils.models import TimeStampedModel

from comp_core.status import TERMINAL, RunStatus
from comp_users.access import is_staff
from comp_users.models import Profile, Project


class Run(TimeStampedModel):
    """Everything that every run has; a project's own run adds its ``inputs`` (see CoreRun).

    Status changes are made by ``comp_core.lifecycle`` alone, as UPDATEs on ``Run.objects`` that
    name the state they leave. Never through a subclass's manager: there Django selects first and
    updates by id, and the guard is gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Profile, models.PROTECT, related_name="runs")
    payer = models.ForeignKey(Profile, models.PROTECT, related_name="paid_runs")
    project = models.ForeignKey(Project, models.PROTECT, related_name="runs")
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="children"
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    is_public = models.BooleanField(_("public"), default=False)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True, editable=False)

    status = models.CharField(
        _("status"), max_length=10, choices=RunStatus.choices, default=RunStatus.QUEUED
    )
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    start_deadline_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    timeout_seconds = models.PositiveIntegerField(default=3600)
    progress = models.FloatField(default=0.0)
    progress_message = models.CharField(max_length=200, blank=True)

    queue = models.CharField(max_length=32, default="default")
    priority = models.SmallIntegerField(default=0, help_text=_("Higher starts sooner."))
    # Start-time fair queueing: the owner's n-th waiting run comes after everybody's (n-1)-th.
    start_tag = models.BigIntegerField(default=0)
    # Waits behind its owner's own runs, not for a worker: the owner has as many under way as the
    # site allows at a time. It has no ticket until it is admitted.
    held = models.BooleanField(default=False, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=2)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    worker_id = models.CharField(max_length=64, blank=True)

    # A small manifest; the bytes live in storage:
    # [{"id", "title", "kind", "media_type", "filename", "path", "size", "sha256", ...}]
    outputs = models.JSONField(default=list, blank=True)
    # When retention removed the bytes; the manifest stays.
    outputs_pruned_at = models.DateTimeField(null=True, blank=True, editable=False)
    run_time = models.DecimalField(
        max_digits=14, decimal_places=6, null=True, blank=True, help_text=_("Seconds.")
    )
    run_cost = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    currency = models.CharField(max_length=3, default="usd")
    # The terms, frozen at submit. Currency units per hour; null: free.
    server_cost = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    upstream_version = models.CharField(max_length=200, blank=True)
    comp_version = models.CharField(max_length=50, blank=True)

    error_type = models.CharField(max_length=100, blank=True)
    error_message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    stdout_tail = models.TextField(blank=True)
    peak_memory_bytes = models.BigIntegerField(null=True, blank=True)

    objects = InheritanceManager()

    class Meta:
        ordering = ["-created"]
        indexes = [
            models.Index(fields=["owner", "-created"], name="comp_core_run_by_owner"),
            models.Index(fields=["project", "-created"], name="comp_core_run_by_project"),
            # The claim reads the head of this index, whatever waits behind it.
            models.Index(
                F("queue"),
                F("priority").desc(),
                F("start_tag"),
                F("queued_at"),
                condition=Q(status=RunStatus.QUEUED, held=False),
                name="comp_core_run_claim",
            ),
            # An owner's runs under way: the last one's place, and how many of them wait.
            models.Index(
                fields=["owner", "queue", "priority", "-start_tag"],
                condition=Q(finished_at__isnull=True),
                name="comp_core_run_share",
            ),
            models.Index(
                fields=["owner", "status", "held"],
                condition=Q(finished_at__isnull=True),
                name="comp_core_run_under_way",
            ),
            models.Index(
                fields=["owner", "-priority", "start_tag"],
                condition=Q(held=True),
                name="comp_core_run_held",
            ),
            models.Index(
                fields=["lease_expires_at"],
                condition=Q(status=RunStatus.RUNNING),
                name="comp_core_run_leases",
            ),
            # Every worker asks every few seconds whether one has waited too long.
            models.Index(
                fields=["start_deadline_at"],
                condition=Q(status=RunStatus.QUEUED, held=False),
                name="comp_core_run_deadlines",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="comp_core_run_status_known"
            ),
            # A run is leased exactly while it runs, so a late writer never finds its token.
            models.CheckConstraint(
                condition=Q(
                    status=RunStatus.RUNNING,
                    lease_token__isnull=False,
                    lease_expires_at__isnull=False,
                )
                | (~Q(status=RunStatus.RUNNING) & Q(lease_token__isnull=True)),
                name="comp_core_run_leased_iff_running",
            ),
            models.CheckConstraint(
                condition=Q(status__in=TERMINAL, finished_at__isnull=False)
                | (~Q(status__in=TERMINAL) & Q(finished_at__isnull=True)),
                name="comp_core_run_finished_iff_terminal",
            ),
            models.CheckConstraint(
                condition=Q(held=False) | Q(status=RunStatus.QUEUED),
                name="comp_core_run_held_is_queued",
            ),
            models.CheckConstraint(
                condition=Q(attempt__lte=F("max_attempts")), name="comp_core_run_attempts"
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0) & Q(progress__lte=1), name="comp_core_run_progress"
            ),
            # Only a success has a price, and it always has one.
            models.CheckConstraint(
                condition=Q(status=RunStatus.SUCCEEDED, run_time__gte=0, run_cost__gte=0)
                | (~Q(status=RunStatus.SUCCEEDED) & (Q(run_cost__isnull=True) | Q(run_cost=0))),
                name="comp_core_run_priced_iff_succeeded",
            ),
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"], name="comp_core_run_idempotent"
            ),
        ]

    def __str__(self) -> str:
        return self.title or f"{self.project} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("comp_core:run", args=[self.pk])

    @property
    def is_finished(self) -> bool:
        return self.status in TERMINAL

    def visible_to(self, user: Any) -> bool:
        """Owner and staff always; everybody when the run is public."""
        profile = getattr(user, "profile", None)
        return self.is_public or is_staff(user) or profile == self.owner
