"""Who has wanted to run what: the fact that a site may wait for before it subscribes anybody."""

from __future__ import annotations

from django.db import models

from comp_users.models import Profile, Project


class FirstRun(models.Model):
    """That a payer was to pay for a run of a project for the first time, and could not be billed
    yet. Written when the site subscribes, or makes customers, at the first run only."""

    profile = models.ForeignKey(Profile, models.CASCADE, related_name="first_runs")
    project = models.ForeignKey(Project, models.CASCADE, related_name="first_runs")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "project"], name="comp_billing_first_run_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.profile_id} of {self.project_id}"
