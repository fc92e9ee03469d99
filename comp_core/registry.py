"""What models this site serves: read from the loaded apps, without decorators or imports."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from comp_core.declaration import ModelSpec, read_declaration
from comp_core.exceptions import UnknownModel
from comp_core.models import CoreInputs, CoreRun, Run

__all__ = ["ModelSpec", "get_spec", "registered", "run_models", "spec_of"]


def run_models() -> list[type[CoreRun]]:
    """Every run model of the installed apps that has a table; a proxy only looks at another's."""
    return [
        model for model in apps.get_models() if issubclass(model, CoreRun) and not model._meta.proxy
    ]


def registered() -> dict[str, ModelSpec]:
    """The declared models by slug. Broken declarations are left out; ``check`` explains them."""
    specs = (read_declaration(model) for model in run_models())
    return {spec.slug: spec for spec in specs if spec is not None}


def get_spec(slug: str) -> ModelSpec:
    """Raises UnknownModel for a slug that no installed app declares."""
    try:
        return registered()[slug]
    except KeyError:
        raise UnknownModel(f"No installed app declares a model with the slug {slug!r}.") from None


def spec_of(run_or_inputs: Run | CoreInputs) -> ModelSpec:
    """The spec of a run (base or concrete row) or of inputs; raises UnknownModel."""
    kind: Any = run_or_inputs._meta.concrete_model
    for spec in registered().values():
        if kind in (spec.run_model, spec.inputs_model):
            return spec
    if isinstance(run_or_inputs, Run):
        return get_spec(run_or_inputs.project.slug)
    raise UnknownModel(f"No installed app declares a run with {kind.__name__} as its inputs.")
