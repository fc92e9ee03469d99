"""A model whose classes are named like those of another app."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from comp_core.models import CoreInputs, CoreRun


class ModelInputs(CoreInputs):
    """A number, and a row of the host's."""

    number = models.IntegerField(default=1)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["number"]


class ModelRun(CoreRun):
    """Its Meta says nothing of ours."""

    inputs = models.OneToOneField(ModelInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "model-one", "Model one", "one.functions"
        server_cost, is_public = "1", True

    class Meta:
        db_table = "runs_of_model_one"
