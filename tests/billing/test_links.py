"""Whose customer and product it is, told by the marks in their metadata."""

from __future__ import annotations

from typing import Any

import pytest

from comp_billing.models import Customer, Product
from comp_users.models import Project
from tests.billing.told import MARK, customer, tell, user

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_customer_that_we_asked_for_becomes_its_users() -> None:
    """Also when Stripe's answer to us was lost."""
    ada = user()
    tell("customer.created", customer(ada.pk))
    assert Customer.objects.get().user == ada


@pytest.mark.parametrize(
    "metadata",
    [
        {"comp_install": "other"},
        {"comp_intent": "00000000-0000-0000-0000-000000000000"},
        {"comp_user": "0"},
        {"comp_user": "not a key"},
        {"comp_user": "9" * 100},
        {"comp_user": ""},
    ],
)
def test_a_customer_of_nobody_here_stays_nobodys(metadata: dict[str, str]) -> None:
    """Another installation on the same account, or a former database of this one; a removed user,
    somebody's own metadata."""
    tell("customer.updated", customer(user().pk, **metadata))
    assert Customer.objects.get().user is None


def test_a_user_keeps_the_first_customer() -> None:
    """A second one is mirrored without a user."""
    ada = user()
    tell("customer.created", customer(ada.pk))
    tell("customer.created", customer(ada.pk, number=2), number=2)
    users = Customer.objects.order_by("pk").values_list("user", flat=True)
    assert list(users) == [ada.pk, None]


def test_after_a_deletion_the_successor_is_the_users() -> None:
    """The tombstone has given the user up, and does not take them back."""
    ada = user()
    tell("customer.created", customer(ada.pk))
    tell("customer.deleted", customer(ada.pk), number=2, created=1001)
    tell("customer.updated", customer(ada.pk), number=3, created=1002)
    tell("customer.created", customer(ada.pk, number=2), number=4, created=1003)
    users = Customer.all_objects.order_by("pk").values_list("user", flat=True)
    assert list(users) == [None, ada.pk]


def test_a_product_becomes_its_projects() -> None:
    """By the project's key in the metadata."""
    project = Project.objects.create(name="Epidemic", slug="epi")
    marks = {**MARK, "comp_project": str(project.pk)}
    tell("product.created", {"id": "prod_1", "object": "product", "metadata": marks})
    assert Product.objects.get().project == project


@pytest.mark.parametrize("metadata", [None, {"comp_project": "1"}, {**MARK, "comp_project": "x"}])
def test_a_product_of_no_project_here_stays_so(metadata: Any) -> None:
    """The shop's other products."""
    tell("product.updated", {"id": "prod_1", "object": "product", "metadata": metadata})
    assert Product.objects.get().project is None


def test_a_customer_told_in_other_words_becomes_its_users_at_once() -> None:
    """Of another version of the API only the id is trusted, and the marks, which never move."""
    ada = user()
    tell("customer.created", customer(ada.pk), api_version="2025-03-31.basil")
    assert Customer.all_objects.get().user == ada
