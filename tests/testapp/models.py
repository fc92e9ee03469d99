"""Small modelling projects for the tests: they keep the contract, their models may not."""

from __future__ import annotations

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


class UnrulyInputs(CoreInputs):
    """Which of the ways to misbehave, and how much of it."""

    behaviour = models.CharField(max_length=40)
    amount = models.FloatField(default=0)


class UnrulyRun(CoreRun):
    """Does to its worker what models do when they go wrong."""

    inputs = models.OneToOneField(UnrulyInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "unruly", "Unruly", "tests.testapp.unruly"
        server_cost = "36"


class ParcelInputs(CoreInputs):
    """A parameter of every kind."""

    document = models.FileField(upload_to="uploads/", blank=True)
    day = models.DateField(null=True, blank=True)
    moment = models.DateTimeField(null=True, blank=True)
    clock = models.TimeField(null=True, blank=True)
    length = models.DurationField(null=True, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    tree = models.JSONField(default=dict, blank=True)
    mark = models.UUIDField(null=True, blank=True)
    flag = models.BooleanField(default=False)
    words = models.TextField(blank=True)


class ParcelRun(CoreRun):
    """Says what it was given."""

    inputs = models.OneToOneField(ParcelInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "parcel", "Parcel", "tests.testapp.parcel"


class IdleInputs(CoreInputs):
    """Nothing to set."""


class IdleRun(CoreRun):
    """A model whose module has no ``run``."""

    inputs = models.OneToOneField(IdleInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "idle", "Idle", "tests.testapp.idle"


class BrokenInputs(CoreInputs):
    """Nothing to set."""


class BrokenRun(CoreRun):
    """A model whose module cannot be imported."""

    inputs = models.OneToOneField(BrokenInputs, models.PROTECT, related_name="run")

    class Comp:
        slug, title, functions = "broken", "Broken", "tests.testapp.broken"
