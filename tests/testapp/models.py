"""Small modelling projects for the tests: one that keeps the contract."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from comp_core.models import CoreInputs, CoreRun


class DoublingInputs(CoreInputs):
    """A number to double."""

    number = models.FloatField(
        "Number", default=1.0, validators=[MinValueValidator(0), MaxValueValidator(1000)]
    )


class DoublingRun(CoreRun):
    """Doubles a number."""

    inputs = models.OneToOneField(DoublingInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "doubling", "Doubling", "tests.testapp.functions"
        server_cost, exp_task_time, is_public = "36", 2, True
