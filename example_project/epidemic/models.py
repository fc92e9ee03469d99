"""Epidemic: typed parameters become the form."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from comp_core.models import CoreInputs, CoreRun


class EpidemicInputs(CoreInputs):
    """How an infection spreads, and how long to watch."""

    beta = models.FloatField(
        "Transmission rate",
        default=0.3,
        validators=[MinValueValidator(0), MaxValueValidator(5)],
        help_text="New infections that one case causes per day while all others are susceptible.",
    )
    gamma = models.FloatField(
        "Recovery rate",
        default=0.1,
        validators=[MinValueValidator(0.001), MaxValueValidator(1)],
        help_text="Share of cases that recover per day: one divided by the days of illness.",
    )
    population = models.PositiveIntegerField(
        "Population",
        default=100_000,
        validators=[MinValueValidator(2), MaxValueValidator(2_000_000_000)],
    )
    infected = models.PositiveIntegerField(
        "Infected at the start", default=10, validators=[MinValueValidator(1)]
    )
    days = models.PositiveSmallIntegerField(
        "Days", default=160, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    steps_per_day = models.PositiveIntegerField(
        "Steps per day",
        default=10_000,
        validators=[MinValueValidator(1), MaxValueValidator(50_000)],
        help_text="More steps are more exact and take longer.",
    )


class EpidemicRun(CoreRun):
    """One course of an epidemic."""

    inputs = models.OneToOneField(EpidemicInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "epidemic", "Epidemic (SIR)", "epidemic.functions"
        overview = "How an infection runs through a population that mixes evenly."
        description = (
            "The model of Kermack and McKendrick (1927): *susceptible*, *infected* and "
            "*recovered*, integrated by the classical Runge-Kutta method."
        )
        server_cost, exp_task_time, is_public = "18", 2, True
        timeout_seconds = 60
