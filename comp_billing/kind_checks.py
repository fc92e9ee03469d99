"""System checks of kinds of Stripe objects: what a host's own may get wrong.

They look at every model that derives from StripeObject, registered or not, and ask ``columns`` for
the least that an object can be: its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import models

from comp_billing.mirror import KINDS
from comp_billing.models import StripeObject

OURS = frozenset(field.attname for field in StripeObject._meta.fields)
Kind = type[StripeObject]


def check_kinds(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    found = [model for model in apps.get_models() if issubclass(model, StripeObject)]
    return [message for model in found for message in mistakes(model)]


def mistakes(model: Kind) -> Iterator[checks.CheckMessage]:
    """What is wrong with one kind; the later questions need an answer to the earlier ones."""
    registered = KINDS.get(getattr(model, "kind", ""))
    if registered is not model:
        yield _unregistered(model, registered)
        return
    told = _told(model)
    if isinstance(told, checks.CheckMessage):
        yield told
        return
    yield from _unwritable(model, told)
    yield from _unfit_parents(model, told)
    yield from _unclearable(model)
    yield from _unlistable(model)


def _unregistered(model: Kind, registered: Kind | None) -> checks.CheckMessage:
    if not getattr(model, "kind", ""):
        return _error(
            "comp_billing.E020",
            model,
            "The kind of Stripe object has no name.",
            'Write kind = "refund", or whatever stands in the field "object" of these objects.',
        )
    if registered is not None:
        return _error(
            "comp_billing.E021",
            model,
            f"{registered._meta.label} mirrors objects of the kind {model.kind!r} already.",
            "One kind has one table: use that model, or derive both from an abstract base and "
            "install one.",
        )
    return checks.Warning(
        f"Objects of the kind {model.kind!r} are not mirrored: the model is not registered.",
        hint="Call comp_billing.mirror.register with it in the ready() of its app.",
        obj=model,
        id="comp_billing.W012",
    )


def _told(model: Kind) -> dict[str, Any] | checks.CheckMessage:
    """The columns that the kind reads from an object, or what is wrong with its reading."""
    try:
        return model.columns({"id": "x"})
    except Exception as exc:  # whatever a host's code raises
        return _error(
            "comp_billing.E022",
            model,
            f"columns() fails for an object with nothing but an id: {type(exc).__name__}.",
            "Stripe leaves fields out and moves them: read them with data.get and the readers of "
            "comp_billing.shapes.",
        )


def _unwritable(model: Kind, told: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    unknown = sorted(name for name in told if name not in fields or name in OURS)
    if unknown:
        yield _error(
            "comp_billing.E023",
            model,
            f"columns() names what is no column of its own: {', '.join(unknown)}.",
            f"Its own columns are {', '.join(sorted(fields.keys() - OURS))}; of a foreign key, the "
            "one that ends in _id.",
        )
    for name, value in told.items():
        if value is None and name in fields and name not in unknown and not fields[name].null:
            yield _not_null(fields[name])


def _not_null(field: models.Field[Any, Any]) -> checks.CheckMessage:
    what = "foreign key" if field.is_relation else "column"
    return _error(
        "comp_billing.E024",
        field,
        f"The {what} has to be nullable: columns() answers None for what Stripe leaves out.",
        "Write null=True.",
    )


def _unfit_parents(model: Kind, told: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    order = list(KINDS.values())
    for field in model._meta.concrete_fields:
        parent = field.related_model
        if field.attname not in told or not isinstance(parent, type):
            continue
        if not issubclass(parent, StripeObject) or parent is model:
            continue
        if parent not in order or order.index(parent) > order.index(model):
            yield _error(
                "comp_billing.E025",
                field,
                f"The foreign key points at {parent._meta.label}, which is not registered before.",
                "Tables are written in the order of registration: register parents first.",
            )


def _unclearable(model: Kind) -> Iterator[checks.CheckMessage]:
    nullable = {field.attname for field in model._meta.concrete_fields if field.null}
    wrong = sorted(set(model.tombstone_clears) - nullable)
    if wrong:
        yield _error(
            "comp_billing.E026",
            model,
            f"tombstone_clears names what is no nullable column: {', '.join(wrong)}.",
            "Name columns of the model that may be null; of a foreign key, the one that ends in "
            "_id.",
        )


def _unlistable(model: Kind) -> Iterator[checks.CheckMessage]:
    given: Any = model.list_params
    if not isinstance(given, tuple) or not given or not all(isinstance(one, dict) for one in given):
        yield _error(
            "comp_billing.E027",
            model,
            "list_params is no tuple of dicts.",
            'Write one dict for each list that is to be read: ({"status": "all"},), or ({},).',
        )


def _error(identifier: str, obj: Any, message: str, hint: str) -> checks.CheckMessage:
    return checks.Error(message, hint=hint, obj=obj, id=identifier)
