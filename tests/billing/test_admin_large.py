"""Billing's admin pages cost the same, however many rows there are."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from comp_billing.admin.large import BoundedPaginator
from comp_billing.models import Customer
from tests.billing.admin_rig import cost, fill, list_url, page_url, superuser, text
from tests.billing.deliveries import event
from tests.billing.examined import receive
from tests.billing.stripe_objects import customer, item, put, subscription
from tests.core.builders import statements

pytestmark = pytest.mark.django_db(transaction=True)
LISTS = (
    "charge",
    "creditgrant",
    "customer",
    "event",
    "invoice",
    "invoicepayment",
    "meter",
    "plan",
    "product",
)
MORE_LISTS = ("reservation", "subscription", "subscriptionitem", "sync", "usagerecord", "intent")


@pytest.fixture
def operator() -> Client:
    """A superuser, before one object of each kind."""
    fill()
    return superuser()


def fill_more() -> None:
    """Thirty of everything, all of the one customer's."""
    for number in range(2, 32):
        put(
            {"id": f"prod_{number}", "object": "product", "name": "P"},
            {"id": f"mtr_{number}", "object": "billing.meter", "event_name": "e"},
            {"id": f"price_{number}", "object": "price", "product": f"prod_{number}"},
            {"id": f"ch_{number}", "object": "charge", "customer": "cus_1"},
            {**subscription(item(number)), "id": f"sub_{number}"},
            customer(id=f"cus_{number}"),
            {
                "id": f"in_{number}",
                "object": "invoice",
                "customer": "cus_1",
                "payments": {"data": [{"id": f"inpay_{number}"}], "has_more": False},
            },
        )
    receive(event("invoice.sent", customer(), id=f"evt_{n}", created=n) for n in range(2, 32))


@pytest.mark.parametrize("model", [*LISTS, *MORE_LISTS])
def test_a_list_costs_the_same_for_many_rows(operator: Client, model: str) -> None:
    """Session, user, number and rows; for events their types, one statement each, too."""
    url = list_url(model)
    few = cost(lambda: operator.get(url))
    fill_more()
    assert (cost(lambda: operator.get(url)), few <= 8) == (few, True)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("customer", "cus_1"),
        ("subscription", "sub_1"),
        ("subscriptionitem", "si_1"),
        ("invoice", "in_1"),
        ("charge", "ch_1"),
        ("product", "prod_1"),
        ("plan", "price_1"),
        ("meter", "mtr_1"),
        ("event", "evt_1"),
    ],
)
def test_a_page_costs_the_same_for_many_rows(operator: Client, model: str, key: str) -> None:
    """One statement for each relation, however many rows it has."""
    url = page_url(model, key)
    few = cost(lambda: operator.get(url))
    fill_more()
    assert (cost(lambda: operator.get(url)), few <= 10) == (few, True)


def test_rows_are_counted_as_far_as_anybody_would_page(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is found by searching, which is said."""
    monkeypatch.setattr("comp_billing.admin.large.MOST_COUNTED", 2)
    put(*(customer(id=f"cus_{number}") for number in range(2, 9)))
    with statements() as found:
        page = text(operator, list_url("customer"))
    counts = [sql for sql in found if "COUNT" in sql]
    assert (
        len(counts),
        counts[0].count("LIMIT 2"),
        "There may be more: these are the first 2." in page,
    ) == (1, 1, True)


def test_a_paginator_knows_no_order_when_it_counts() -> None:
    """Sorting what is only counted would read all of it."""
    with statements() as found:
        BoundedPaginator(Customer.objects.order_by("email"), 5).count  # noqa: B018  # the count
    assert [bool(re.search("ORDER BY", sql)) for sql in found] == [False]


@pytest.mark.parametrize("model", ["customer", "event"])
def test_lists_read_no_large_column(operator: Client, model: str) -> None:
    """What Stripe sent may be a megabyte a row."""
    with statements() as found:
        operator.get(list_url(model))
    read = [sql for sql in found if f'FROM "comp_billing_{model}"' in sql]
    large = [name for name in ("data", "payload") if f'"{name}"' in " ".join(read)]
    assert (len(read) > 1, large) == (True, [])


def test_pages_read_a_bounded_number_of_related_rows(operator: Client) -> None:
    """Ten are shown, and one more tells that there are more."""
    with statements() as found:
        operator.get(page_url("customer", "cus_1"))
    related = [sql for sql in found if '"customer_id" = ' in sql and "SELECT" in sql]
    assert [sql.count("LIMIT 11") for sql in related] == [1] * len(related) != []
