"""Descriptive statistics: what the user gives, and where the functions are."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from comp_core.models import CoreInputs, CoreRun


class DescriptiveInputs(CoreInputs):
    """A table and how closely to look at it."""

    class Confidence(models.IntegerChoices):
        NINETY = 90, "90 %"
        NINETY_FIVE = 95, "95 %"
        NINETY_NINE = 99, "99 %"

    data = models.FileField(
        "Table (CSV)",
        upload_to="uploads/descriptive/",
        blank=True,
        help_text="UTF-8 text with a header line; separated by comma, semicolon or tab. "
        "Leave it empty to use the sample data: the population of the United States "
        "1790-2020 (U.S. Census Bureau).",
    )
    confidence = models.PositiveSmallIntegerField(
        "Confidence level", choices=Confidence.choices, default=Confidence.NINETY_FIVE
    )
    resamples = models.PositiveIntegerField(
        "Resamples",
        default=1_000_000,
        validators=[MinValueValidator(1_000), MaxValueValidator(5_000_000)],
        help_text="How often each column is drawn again to find the confidence interval.",
    )
    seed = models.PositiveIntegerField(
        "Seed",
        default=1790,
        help_text="The same seed gives the same intervals.",
    )


class DescriptiveRun(CoreRun):
    """One look at one table."""

    inputs = models.OneToOneField(DescriptiveInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "descriptive", "Descriptive statistics", "descriptive.functions"
        overview = "Upload a table, get the statistics of every column of numbers."
        description = (
            "Count, mean, spread, quartiles and skewness of every column of numbers, with "
            "*bootstrap* confidence intervals of mean and median."
        )
        server_cost, exp_task_time, is_public = "36", 2, True
        timeout_seconds = 120
