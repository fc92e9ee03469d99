"""Inputs: saved, checked by the model in a worker, and submitted when that was wished for."""

from __future__ import annotations

import math
import uuid
from pathlib import PurePath
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from comp_core.crashpoints import step
from comp_core.db import after_commit
from comp_core.exceptions import InputsFrozen, RunRefused
from comp_core.execution import clean
from comp_core.lifecycle import submit
from comp_core.models import CoreInputs, Run
from comp_core.registry import spec_of
from comp_core.runner import CheckResult, check
from comp_core.status import InputsStatus
from comp_core.tickets import request_check
from comp_users.models import Project

I = TypeVar("I", bound=CoreInputs)  # noqa: E741


def save_inputs(inputs: I, *, run_request: dict[str, Any] | None = None) -> I:
    """Save inputs as pending and have the model check them; the ticket leaves on commit.

    ``run_request`` holds keyword arguments of ``submit`` in JSON's types (``parent`` as an id):
    the run is submitted as soon as the check has passed. Raises ValidationError for values that
    the fields refuse and InputsFrozen for inputs that have a run.
    """
    inputs.clean_fields(exclude=["owner"])
    _refuse_unstorable(inputs)
    _remember_file_names(inputs)
    inputs.status = InputsStatus.PENDING
    inputs.errors_warnings = {}
    inputs.run_request = run_request
    with step("save_inputs"):
        if not inputs._state.adding:
            # Waits for a submit of these inputs that is under way.
            type(inputs)._default_manager.select_for_update().filter(pk=inputs.pk).first()
            if has_run(inputs):
                raise InputsFrozen
        inputs.save()
        after_commit(request_check, inputs)
    return inputs


def has_run(inputs: CoreInputs) -> bool:
    found: bool = spec_of(inputs).run_model._base_manager.filter(inputs=inputs.pk).exists()
    return found


def copy_inputs(inputs: I, *, owner: Any) -> I:
    """An unsaved copy of the parameters for another run, perhaps by somebody else."""
    given = {field.attname: getattr(inputs, field.attname) for field in inputs.parameter_fields()}
    kept = {name: getattr(inputs, name) for name in ("meta_parameters", "adjustment")}
    return type(inputs)(owner=owner, **given, **kept)


def _refuse_unstorable(inputs: CoreInputs) -> None:
    """Range validators let NaN through, because every comparison with it is false; and JSON text
    may hold numbers and characters that no database stores."""
    found = {
        field.name: _unstorable(field.value_from_object(inputs))
        for field in inputs.parameter_fields()
    }
    if any(found.values()):
        raise ValidationError({name: [words] for name, words in found.items() if words})


def _unstorable(value: Any) -> str:
    """What is wrong with a value, or with one inside it; empty: nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return _("Enter a finite number.")
    if isinstance(value, str) and clean(value) != value:
        return _("Remove the characters that are no text, such as zero bytes.")
    if isinstance(value, dict):
        return next(filter(None, map(_unstorable, [*value, *value.values()])), "")
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(_unstorable, value)), "")
    return ""


def _remember_file_names(inputs: CoreInputs) -> None:
    """Storage may rename a file to keep names apart; models get it under the user's name."""
    for field in inputs.parameter_fields():
        file = getattr(inputs, field.attname) if isinstance(field, models.FileField) else None
        if file and not file._committed:
            inputs.adjustment = {**inputs.adjustment, field.name: PurePath(file.name).name}


def carry_out_check(inputs: CoreInputs) -> str:
    """Let the model check pending inputs and store its verdict; answers their status."""
    if inputs.status != InputsStatus.PENDING:
        return inputs.status
    result = check(inputs)
    if result is None:  # this worker has to stop; another one takes over
        request_check(inputs)
        return inputs.status
    return apply_check(inputs, result)


def apply_check(inputs: CoreInputs, result: CheckResult) -> str:
    """Store a verdict on pending inputs and submit the run that was wished for.

    One transaction: inputs are never valid with the wish forgotten. A refusal is kept beside the
    inputs, which stay valid and can be submitted again.
    """
    manager = type(inputs)._default_manager
    status = InputsStatus.INVALID if result.errors else InputsStatus.VALID
    found: dict[str, Any] = {"errors": result.errors} if result.errors else {}
    with step("verdict"):
        pending = manager.filter(pk=inputs.pk, status=InputsStatus.PENDING)
        if not pending.update(status=status, errors_warnings=found, modified=Now()):
            return str(manager.values_list("status", flat=True).get(pk=inputs.pk))
        inputs.status, inputs.errors_warnings = status, found
        _remember_version(inputs, result.version)
        if status == InputsStatus.VALID and inputs.run_request is not None:
            submit_as_wished(inputs, inputs.run_request)
    return status


def _remember_version(inputs: CoreInputs, version: str) -> None:
    if version:
        projects = Project.objects.filter(slug=spec_of(inputs).slug)
        projects.exclude(upstream_version=version).update(upstream_version=version)


def submit_as_wished(inputs: CoreInputs, wish: dict[str, Any]) -> None:
    parent = wish.get("parent")
    if parent is not None:
        wish = {**wish, "parent": Run.objects.filter(pk=uuid.UUID(str(parent))).first()}
    try:
        with step("wish"):
            submit(inputs, **wish)
    except RunRefused as refusal:
        inputs.errors_warnings = {"errors": {NON_FIELD_ERRORS: [str(refusal)]}}
        type(inputs)._default_manager.filter(pk=inputs.pk).update(
            errors_warnings=inputs.errors_warnings
        )
