"""Which model mirrors which kind of Stripe object, parents before children."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from django.db import models
from django.db.models.signals import post_delete

from comp_billing.mirror import known
from comp_billing.models import (
    Charge,
    CreditGrant,
    Customer,
    Invoice,
    InvoicePayment,
    Meter,
    Plan,
    Product,
    StripeObject,
    Subscription,
    SubscriptionItem,
)

#: Value of the object's ``object`` field -> model. In the order in which tables are written, by
#: every writer alike: two transactions that take the same locks in one order cannot deadlock.
KINDS: dict[str, type[StripeObject]] = {}


def register(model: type[StripeObject]) -> type[StripeObject]:
    """Mirror a further kind of object; usable as a class decorator. Call it from ``ready()``.

    Its foreign keys to other proxies must be nullable and point at kinds registered before.
    """
    kind = getattr(model, "kind", "")
    # Mistakes are told by ``manage.py check``: no kind, or one that another model has.
    if kind:
        KINDS.setdefault(kind, model)
    post_delete.connect(
        known.forget, sender=model, dispatch_uid=f"comp_billing.{model._meta.label}"
    )
    return model


@cache
def parents(model: type[StripeObject]) -> dict[str, type[StripeObject]]:
    """{attname: parent}: the foreign keys of a kind that Stripe tells (not ours)."""
    told = model.columns({"id": ""}).keys()
    return {
        field.attname: field.related_model
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey)
        and field.attname in told
        and issubclass(field.related_model, StripeObject)
    }


def in_order(kinds: Iterable[type[StripeObject]]) -> list[type[StripeObject]]:
    """Models sorted into the order of writing."""
    found = list(kinds)
    if len(found) < 2:
        return found
    rank = {model: place for place, model in enumerate(KINDS.values())}
    return sorted(found, key=lambda model: rank[model])


for _model in (
    Product,
    Meter,
    Plan,
    Customer,
    CreditGrant,
    Charge,
    Subscription,
    SubscriptionItem,
    Invoice,
    InvoicePayment,
):
    register(_model)
