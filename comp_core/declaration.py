"""Reads a run model's ``Comp`` declaration and says what is wrong with it.

Knows no concrete model, so that the abstract base can check its subclasses with it.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from comp_core.conf import conf

REQUIRED = ("slug", "title", "functions")
# Names of pages that stand beside the models' own.
RESERVED_SLUGS = frozenset({"runs", "inputs", "api"})
SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What a modelling project declares about one model.

    ``server_cost`` is in currency units per hour, None: free and private; ``exp_task_time`` and
    ``timeout_seconds`` are seconds; ``python`` is an interpreter's path, empty: the site's.
    """

    slug: str
    title: str
    functions: str
    run_model: type[Any]
    inputs_model: type[Any]
    overview: str = ""
    description: str = ""
    repository_url: str = ""
    server_cost: Decimal | None = None
    exp_task_time: int = 60
    is_public: bool = False
    queue: str = "default"
    priority: int = 0
    timeout_seconds: int | None = None
    python: str = ""

    @property
    def deadline_seconds(self) -> int:
        """How long a run may take: the model's own limit, within the site's."""
        longest = int(conf.DEADLINE_SECONDS)
        return min(self.timeout_seconds or longest, longest)

    @property
    def interpreter(self) -> str:
        return self.python or conf.PYTHON


OPTIONAL = frozenset(ModelSpec.__dataclass_fields__) - {*REQUIRED, "run_model", "inputs_model"}


def inputs_model_of(run_model: type[models.Model]) -> type[models.Model] | None:
    """What the run's ``inputs`` points to; None without a one-to-one of that name."""
    try:
        field = run_model._meta.get_field("inputs")
    except FieldDoesNotExist:
        return None
    related = field.related_model
    if isinstance(field, models.OneToOneField) and isinstance(related, type):
        return related
    return None


def declared_values(run_model: type[Any]) -> dict[str, Any]:
    """The public attributes of ``Comp``, inherited ones included."""
    comp = getattr(run_model, "Comp", None)
    return {} if comp is None else {k: getattr(comp, k) for k in dir(comp) if k[0] != "_"}


def read_declaration(run_model: type[Any]) -> ModelSpec | None:
    """The model's spec; None while the declaration is too broken to serve (see the checks)."""
    values, inputs_model = declared_values(run_model), inputs_model_of(run_model)
    if inputs_model is None or not all(values.get(key) for key in REQUIRED):
        return None
    rate = _rate(values.get("server_cost"))
    if rate is not None and not rate.is_finite():
        return None
    known = {key: value for key, value in values.items() if key in OPTIONAL or key in REQUIRED}
    known["server_cost"] = rate
    return ModelSpec(run_model=run_model, inputs_model=inputs_model, **known)


def _rate(value: Any) -> Decimal | None:
    """Currency units per hour; a float goes by its shortest text, what is no number is NaN."""
    if value is None:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal("NaN")


def check_declaration(run_model: type[Any]) -> list[checks.CheckMessage]:
    """System check messages about one run model; imports and queries nothing."""
    messages = _check_inputs(run_model)
    values = declared_values(run_model)
    if not values:
        hint = "Add an inner class Comp with slug, title and functions."
        return [*messages, _error("E011", "declares no Comp.", hint, run_model)]
    for key in REQUIRED:
        if not isinstance(values.get(key), str) or not values[key]:
            hint = f"Write {key} = ... in {run_model.__name__}.Comp."
            messages.append(_error("E012", f"has no Comp.{key}.", hint, run_model))
    for key in sorted(set(values) - OPTIONAL - set(REQUIRED)):
        hint = f"Known names: {', '.join(sorted(OPTIONAL | set(REQUIRED)))}."
        messages.append(_error("E016", f"has an unknown Comp.{key}.", hint, run_model))
    return [*messages, *_check_slug(run_model, values), *_check_rest(run_model, values)]


def _check_inputs(run_model: type[Any]) -> list[checks.CheckMessage]:
    if inputs_model_of(run_model) is not None:
        return []
    hint = "Add inputs = models.OneToOneField(YourInputs, models.PROTECT, related_name='run')."
    return [_error("E010", "has no one-to-one field named inputs.", hint, run_model)]


def _check_slug(run_model: type[Any], values: dict[str, Any]) -> list[checks.CheckMessage]:
    slug = values.get("slug")
    if not isinstance(slug, str) or not slug:
        return []
    if slug in RESERVED_SLUGS:
        hint = f"These names belong to pages: {', '.join(sorted(RESERVED_SLUGS))}."
        return [_error("E014", f"has the reserved slug {slug!r}.", hint, run_model)]
    if not SLUG.fullmatch(slug) or len(slug) > 80:
        hint = "Use lower-case letters, digits, hyphens and underscores; at most 80."
        return [_error("E014", f"has the slug {slug!r}, unfit for an address.", hint, run_model)]
    return []


def _check_rest(run_model: type[Any], values: dict[str, Any]) -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    path = values.get("functions")
    if isinstance(path, str) and path and not _module_exists(path):
        hint = "Comp.functions is the dotted path of the module that holds run(inputs)."
        messages.append(_error("E013", f"names a module {path!r} not found.", hint, run_model))
    rate = _rate(values.get("server_cost"))
    if rate is not None and not (rate.is_finite() and rate >= 0):
        hint = "Write currency units per hour as text, such as '0.36'."
        messages.append(_error("E017", "has a Comp.server_cost that is no rate.", hint, run_model))
    if values.get("is_public") and rate is None:
        hint = "Add server_cost (currency units per hour; '0' for free), or is_public = False."
        messages.append(_error("E015", "is public without a server_cost.", hint, run_model))
    return messages


def _module_exists(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _error(number: str, what: str, hint: str, run_model: type[Any]) -> checks.Error:
    text = f"{run_model.__name__} {what}"
    return checks.Error(text, hint=hint, obj=run_model, id=f"comp_core.{number}")
