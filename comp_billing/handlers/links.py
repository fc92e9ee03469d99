"""Whose customer and product it is: links that Stripe's objects carry in their metadata."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from comp_billing import shapes
from comp_billing.conf import conf
from comp_billing.customers import subject_of
from comp_billing.handlers.registry import on
from comp_billing.models import Customer, Event, Intent, Product, StripeObject
from comp_users.models import Project


@on("customer.created", "customer.updated", model=Customer)
def link_customer(event: Event, obj: Customer | None, previous: dict[str, Any]) -> None:
    """Give a customer that this site asked for to the user it was made for.

    Usually the worker has done so when Stripe answered; this is for an answer that was lost. Our
    intent's mark is in the metadata; a customer of another installation on the same account, or
    of a database that was here before, is not ours.
    """
    if obj is None or obj.deleted or obj.user_id is not None:
        return
    metadata = _metadata(event, obj)
    if metadata.get("comp_install") != conf.METER_PREFIX:
        return
    user = _user(metadata.get("comp_user"))
    if user is None or not _is_asked_for(metadata):
        return
    if not Customer.all_objects.filter(user=user).exists():
        Customer.all_objects.filter(pk=obj.pk, user=None, deleted=False).update(user=user)


@on("product.created", "product.updated", model=Product)
def link_product(event: Event, obj: Product | None, previous: dict[str, Any]) -> None:
    """Give a product that this site asked for to its project."""
    if obj is None or obj.deleted or obj.project_id is not None:
        return
    metadata = _metadata(event, obj)
    key = shapes.text(metadata.get("comp_project"))
    if metadata.get("comp_install") != conf.METER_PREFIX or not key.isdecimal():
        return
    project = Project.objects.filter(pk=key, product=None).first()
    if project is not None:
        Product.all_objects.filter(pk=obj.pk, project=None, deleted=False).update(project=project)


def _metadata(event: Event, obj: StripeObject) -> dict[str, Any]:
    """The row's; of one that has not arrived yet the event's, which no version has elsewhere."""
    return shapes.mapping((obj.data or event.object_data).get("metadata"))


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
