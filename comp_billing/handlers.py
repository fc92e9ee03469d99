"""What happens when Stripe tells something: the registry of handlers, and the built-in ones.

Every event is mirrored before its handlers run, so a handler is only needed for what follows from
the news: subscriptions and invoices, for example, are as true as their rows without one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from comp_billing import shapes
from comp_billing.conf import conf
from comp_billing.customers import subject_of
from comp_billing.models import Customer, Event, Intent, Product, StripeObject
from comp_users.models import Project

#: ``handler(event, obj, previous)``: the event; the row of its object as it is now (None for
#: objects that are not mirrored); the old values of what an ``*.updated`` event changed.
Handler = Callable[[Event, StripeObject | None, dict[str, Any]], None]

_in_transaction: defaultdict[str, list[Handler]] = defaultdict(list)
_stored: defaultdict[str, list[Handler]] = defaultdict(list)


def on(*types: str, stored: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler: ``@on("invoice.paid")``, in a module that ``ready()`` imports.

    An in-transaction handler (the default) takes effect exactly once, with the event's row: its
    database writes are committed together or rolled back together; it must do nothing outside the
    database. A stored handler is run by the worker afterwards, outside any transaction, at least
    once: the place for e-mails and calls. The order among handlers is not promised. A handler
    that raises is tried again, up to ``COMP_BILLING["EVENT_MAX_ATTEMPTS"]`` times.
    """

    def register(handler: Handler) -> Handler:
        for event_type in types:
            registry = _stored if stored else _in_transaction
            if handler not in registry[event_type]:
                registry[event_type].append(handler)
        return handler

    return register


def handlers_of(event_type: str, *, stored: bool) -> list[Handler]:
    return list((_stored if stored else _in_transaction).get(event_type, ()))


def unregister(handler: Handler) -> None:
    """Take a handler out again: for tests, and for hosts that replace a built-in one."""
    for registry in (_in_transaction, _stored):
        for handlers in registry.values():
            if handler in handlers:
                handlers.remove(handler)


@on("customer.created", "customer.updated")
def link_customer(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Give a customer that this site asked for to the user it was made for.

    Usually the worker has done so when Stripe answered; this is for an answer that was lost. Our
    intent's mark is in the metadata; a customer of another installation on the same account, or
    of a database that was here before, is not ours.
    """
    if not isinstance(obj, Customer) or obj.deleted or obj.user_id is not None:
        return
    metadata = shapes.mapping(obj.data.get("metadata"))
    if metadata.get("comp_install") != conf.METER_PREFIX:
        return
    user = _user(metadata.get("comp_user"))
    if user is None or not _is_asked_for(metadata):
        return
    if not Customer.objects.filter(user=user).exists():
        Customer.all_objects.filter(pk=obj.pk, user=None, deleted=False).update(user=user)


@on("product.created", "product.updated")
def link_product(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Give a product that this site asked for to its project."""
    if not isinstance(obj, Product) or obj.deleted or obj.project_id is not None:
        return
    metadata = shapes.mapping(obj.data.get("metadata"))
    key = shapes.text(metadata.get("comp_project"))
    if metadata.get("comp_install") != conf.METER_PREFIX or not key.isdecimal():
        return
    project = Project.objects.filter(pk=key, product=None).first()
    if project is not None:
        Product.all_objects.filter(pk=obj.pk, project=None, deleted=False).update(project=project)


def _is_asked_for(metadata: dict[str, Any]) -> bool:
    """Whether one of our intents is what made the customer, and for this user."""
    asked = Intent.objects.filter(subject=subject_of(metadata.get("comp_user"))).first()
    return asked is not None and metadata.get("comp_intent") == str(asked.idempotency_base)


def _user(key: Any) -> Any:
    """The user with this primary key as text; None for none such."""
    model = get_user_model()
    try:
        return model._default_manager.filter(pk=model._meta.pk.to_python(key)).first()
    except (ValidationError, ValueError, OverflowError):
        return None
