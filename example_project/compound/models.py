"""Savings: a private model. Only its owner and staff see it, and it has no price."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from comp_core.models import CoreInputs, CoreRun


class CompoundInputs(CoreInputs):
    """A sum of money and what it is left to do."""

    principal = models.DecimalField(
        "Savings at the start", max_digits=12, decimal_places=2, default=1000,
        validators=[MinValueValidator(0)],
    )  # fmt: skip
    rate = models.DecimalField(
        "Interest per year", max_digits=5, decimal_places=2, default=3,
        validators=[MinValueValidator(0), MaxValueValidator(100)], help_text="Per cent.",
    )  # fmt: skip
    years = models.PositiveSmallIntegerField(
        "Years", default=30, validators=[MinValueValidator(1), MaxValueValidator(200)]
    )
    reinvest = models.BooleanField("Leave the interest in the account", default=True)


class CompoundRun(CoreRun):
    """One forecast of savings."""

    inputs = models.OneToOneField(CompoundInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "compound", "Savings", "compound.functions"
        overview = "What savings become with interest, year by year."
        exp_task_time, is_public = 1, False
