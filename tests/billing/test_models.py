"""The relations of the proxies, and what their tables never hold."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, models, transaction

from comp_billing import mirror
from comp_billing.models import (
    Charge,
    Customer,
    Event,
    Intent,
    Invoice,
    Meter,
    Plan,
    Product,
    Subscription,
    SubscriptionItem,
    UsageRecord,
)
from comp_core.models import Run
from comp_users.models import Project

USER = get_user_model()


@pytest.mark.parametrize(
    ("model", "name", "kind", "target"),
    [
        (Product, "project", models.OneToOneField, Project),
        (Plan, "product", models.ForeignKey, Product),
        (Plan, "meter", models.ForeignKey, Meter),
        (Meter, "project", models.OneToOneField, Project),
        (Customer, "user", models.OneToOneField, USER),
        (Subscription, "customer", models.ForeignKey, Customer),
        (Subscription, "plans", models.ManyToManyField, Plan),
        (SubscriptionItem, "plan", models.ForeignKey, Plan),
        (SubscriptionItem, "subscription", models.ForeignKey, Subscription),
        (UsageRecord, "subscription_item", models.ForeignKey, SubscriptionItem),
        (UsageRecord, "run", models.OneToOneField, Run),
        (Event, "customer", models.ForeignKey, Customer),
        (Event, "invoice", models.ForeignKey, Invoice),
        (Invoice, "customer", models.ForeignKey, Customer),
        (Invoice, "subscription", models.ForeignKey, Subscription),
        (Invoice, "charge", models.OneToOneField, Charge),
        (Charge, "customer", models.ForeignKey, Customer),
    ],
)
def test_the_relations_of_the_original_schema_exist(
    model: Any, name: str, kind: type[models.Field[Any, Any]], target: type[models.Model]
) -> None:
    """With real constraints."""
    field = model._meta.get_field(name)
    constrained = getattr(field, "db_constraint", True)
    assert (type(field), field.related_model, constrained) == (kind, target, True)


def test_plans_are_a_subscriptions_through_its_items() -> None:
    """Many to many, with periods on the item."""
    assert Subscription._meta.get_field("plans").remote_field.through is SubscriptionItem


@pytest.mark.django_db(transaction=True)
def test_a_foreign_key_is_followed_to_a_tombstone() -> None:
    """An invoice knows its customer after the customer is gone; lists do not show it."""
    customer = {"id": "cus_1", "object": "customer"}
    invoice = {"id": "in_1", "object": "invoice", "customer": "cus_1"}
    mirror.upsert([customer, invoice], as_of=1, rank=2, api_version="x")
    mirror.upsert([{**customer, "deleted": True}], as_of=2, rank=3, api_version="x")
    assert (Invoice.objects.get().customer.deleted, Customer.objects.count()) == (True, 0)


@pytest.mark.django_db(transaction=True)
def test_what_usage_refers_to_cannot_be_removed() -> None:
    """Rows of proxies are protected by whatever names them."""
    invoice = {"id": "in_1", "object": "invoice", "customer": "cus_1"}
    mirror.upsert([invoice], as_of=1, rank=2, api_version="x")
    with pytest.raises(models.ProtectedError):
        Customer.all_objects.get().delete()


@pytest.mark.django_db
@pytest.mark.parametrize("values", [{"state": "succeeded", "result_id": ""}])
def test_an_intent_that_is_done_names_its_result(values: dict[str, Any]) -> None:
    """Held by the database."""
    with pytest.raises(IntegrityError), transaction.atomic():
        Intent.objects.create(kind="k", subject="s", params={}, **values)


@pytest.mark.django_db
def test_an_intents_subject_exists_once() -> None:
    """So nothing is made twice."""
    Intent.objects.create(kind="k", subject="s", params={})
    with pytest.raises(IntegrityError), transaction.atomic():
        Intent.objects.create(kind="k", subject="s", params={})
