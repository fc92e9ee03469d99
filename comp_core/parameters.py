"""The inputs of a run as people read them."""

from __future__ import annotations

from typing import Any

from django.db import models

from comp_core.exceptions import UnknownModel
from comp_core.models import Run
from comp_core.registry import spec_of


def parameters_of(run: Run) -> list[tuple[str, Any]]:
    """Label and value of each input of a run; nothing when its model is no longer installed."""
    try:
        spec = spec_of(run)
    except UnknownModel:
        return []
    concrete = spec.run_model._base_manager.select_related("inputs").filter(pk=run.pk).first()
    if concrete is None:
        return []
    inputs = concrete.inputs
    return [(str(field.verbose_name), _shown(inputs, field)) for field in inputs.parameter_fields()]


def _shown(inputs: Any, field: models.Field[Any, Any]) -> Any:
    """A value in words: the label of a choice, the user's own name of a file."""
    if isinstance(field, models.FileField):
        stored = getattr(inputs, field.name)
        return inputs.adjustment.get(field.name) or stored.name.rpartition("/")[2]
    if field.choices:
        return getattr(inputs, f"get_{field.name}_display")()
    return getattr(inputs, field.name)
