"""Reads a run model's ``Comp`` declaration and says what is wrong with it.

Knows no concrete model, so that the abstract base can check its subclasses with it.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
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
# Whether a value fits, and what would.
Rule = tuple[Callable[[Any], bool], str]
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


def _text(longest: int) -> Rule:
    return (
        lambda value: isinstance(value, str) and len(value) <= longest,
        f"text of at most {longest} characters",
    )


def _whole(smallest: int, largest: int, *, optional: bool = False) -> Rule:
    return (
        lambda value: (
            (optional and value is None) or (type(value) is int and smallest <= value <= largest)
        ),
        f"a whole number from {smallest} to {largest}",
    )


# What the columns take that keep these values.
MAX_RATE = 10**6
VALUES: dict[str, Rule] = {
    "overview": _text(300),
    "description": _text(100_000),
    "repository_url": _text(200),
    "queue": (
        lambda value: isinstance(value, str) and 0 < len(value) <= 32,
        "text of 1 to 32 characters",
    ),
    "priority": _whole(-100, 100),
    "exp_task_time": _whole(0, 2**31 - 1),
    "timeout_seconds": _whole(1, 2**31 - 1, optional=True),
    "is_public": (lambda value: isinstance(value, bool), "True or False"),
    "python": _text(4096),
}

OPTIONAL = frozenset(ModelSpec.__dataclass_fields__) - {*REQUIRED, "run_model", "inputs_model"}


def inputs_model_of(run_model: type[models.Model]) -> type[models.Model] | None:
    """The CoreInputs that the run's ``inputs`` points to; None without a one-to-one to such."""
    try:
        field = run_model._meta.get_field("inputs")
    except FieldDoesNotExist:
        return None
    related = field.related_model
    # By what it offers: the base of all inputs cannot be imported here.
    if isinstance(field, models.OneToOneField) and hasattr(related, "parameter_fields"):
        found: Any = related
        return found  # type: ignore[no-any-return]  # a model class, by its method
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
        if not isinstance(values.get(key), str) or not 0 < len(values[key]) <= 200:
            hint = f"Write {key} = ... in {run_model.__name__}.Comp."
            what = f"has no Comp.{key} of 1 to 200 characters."
            messages.append(_error("E012", what, hint, run_model))
    for key in sorted(set(values) - OPTIONAL - set(REQUIRED)):
        hint = f"Known names: {', '.join(sorted(OPTIONAL | set(REQUIRED)))}."
        messages.append(_error("E016", f"has an unknown Comp.{key}.", hint, run_model))
    return [*messages, *_check_slug(run_model, values), *_check_rest(run_model, values)]


def _check_inputs(run_model: type[Any]) -> list[checks.CheckMessage]:
    if inputs_model_of(run_model) is not None:
        return []
    hint = "Add inputs = models.OneToOneField(YourInputs, models.PROTECT, related_name='run')."
    what = "has no one-to-one field named inputs to a subclass of CoreInputs."
    return [_error("E010", what, hint, run_model)]


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
    if rate is not None and not (rate.is_finite() and 0 <= rate < MAX_RATE):
        hint = "Write currency units per hour as text, such as '0.36'."
        messages.append(_error("E017", "has a Comp.server_cost that is no rate.", hint, run_model))
    for key, (fits, wanted) in VALUES.items():
        if key in values and not fits(values[key]):
            hint = f"Write {wanted}."
            messages.append(_error("E021", f"has an unfit Comp.{key}.", hint, run_model))
    if values.get("is_public") and rate is None:
        hint = "Add server_cost (currency units per hour; '0' for free), or is_public = False."
        messages.append(_error("E015", "is public without a server_cost.", hint, run_model))
    return messages


def _module_exists(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except Exception:
        return False  # its package is imported to look inside, and may raise anything


def _error(number: str, what: str, hint: str, run_model: type[Any]) -> checks.Error:
    text = f"{run_model.__name__} {what}"
    return checks.Error(text, hint=hint, obj=run_model, id=f"comp_core.{number}")
