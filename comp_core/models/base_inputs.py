"""The abstract inputs that a modelling project subclasses."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import models
from django.utils.translation import gettext_lazy as _
from model_utils.models import TimeStampedModel

from comp_core.status import InputsStatus
from comp_users.models import Profile

# Names that the form of a run uses beside the parameters.
FORM_NAMES = frozenset(
    {"run_title", "run_public", "idempotency_key", "inputs_source", "csrfmiddlewaretoken"}
)


class CoreInputs(TimeStampedModel):
    """One set of inputs for a model. Every model field that a subclass adds is a parameter.

    Inputs that have a run never change; a re-run copies them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Profile, models.PROTECT, related_name="+", editable=False)
    status = models.CharField(
        _("status"),
        max_length=7,
        choices=InputsStatus.choices,
        default=InputsStatus.PENDING,
        editable=False,
    )
    # {name: value}: values that choose which schema of parameters applies.
    meta_parameters = models.JSONField(default=dict, blank=True, editable=False)
    # {name: value}: what the user changed from the defaults, as it was given.
    adjustment = models.JSONField(default=dict, blank=True, editable=False)
    # {"errors": {field: [messages]}, "warnings": {field: [messages]}}; "__all__" for the whole.
    errors_warnings = models.JSONField(default=dict, blank=True, editable=False)
    schema_version = models.CharField(max_length=200, blank=True, editable=False)
    # The wish to run as soon as the check has passed: {"title", "is_public", "idempotency_key"}.
    # Null: only check. A refusal (say, billing not ready) is kept in errors_warnings.
    run_request = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        """Django's own checks of a model, and those of its parameters."""
        return [*super().check(**kwargs), *_check_names(cls), *_check_kinds(cls)]

    @classmethod
    def parameter_fields(cls) -> list[models.Field[Any, Any]]:
        """The fields that the subclass declares, in order: the model's parameters."""
        inherited = {field.name for field in CoreInputs._meta.get_fields()}
        return [
            field
            for field in cls._meta.concrete_fields
            if field.name not in inherited and not field.primary_key
        ]


def _check_names(model: type[CoreInputs]) -> list[CheckMessage]:
    """A field that hides one of ours would hide it from the lifecycle too."""
    ours = {field.name: field.creation_counter for field in CoreInputs._meta.concrete_fields}
    taken = set(dir(CoreInputs)) | set(ours) | FORM_NAMES
    return [
        Error(
            f"The parameter {field.name!r} has a name that is taken.",
            hint=f"Call it otherwise, such as {field.name}_value; its label may stay.",
            obj=field,
            id="comp_core.E022",
        )
        for field in model._meta.concrete_fields
        # A copy of an inherited field keeps its counter.
        if field.name in taken and ours.get(field.name) != field.creation_counter
    ]


def _check_kinds(model: type[CoreInputs]) -> list[CheckMessage]:
    """Parameters are values of one row that can be handed to another process."""
    unfit: list[Any] = [*model._meta.local_many_to_many]
    unfit += [f for f in model._meta.concrete_fields if isinstance(f, models.BinaryField)]
    return [
        Error(
            f"The parameter {field.name!r} is a {type(field).__name__}, which no model receives.",
            hint="Use a ForeignKey for one row (the model gets its key), a JSONField for several "
            "values, or a FileField for bytes.",
            obj=field,
            id="comp_core.E023",
        )
        for field in unfit
    ]
