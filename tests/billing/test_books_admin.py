"""The books in the admin: whose they are, what they show, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from comp_billing.models import Customer
from tests.billing.admin_rig import list_url, staff, text
from tests.billing.books import Ledger, edit_line, ledger
from tests.billing.builders import customer_of, used
from tests.billing.stripe_objects import customer, put

__all__ = ["ledger"]

BOOKS = "/admin/comp_billing/usagerecord/books/"


def test_the_list_of_usage_leads_to_the_books(ledger: Ledger) -> None:
    """Where operators look for usage."""
    client = staff("view_usagerecord")

    assert f'<a href="{reverse("admin:comp_billing_books")}">' in text(
        client, list_url("usagerecord")
    )


@pytest.mark.parametrize("address", [BOOKS, f"{BOOKS}cus_1/"])
def test_the_books_are_for_those_who_may_see_usage(ledger: Ledger, address: str) -> None:
    """Another permission does not do."""
    assert staff("view_customer").get(address).status_code == 403


def test_a_month_of_customers(ledger: Ledger, django_assert_num_queries: Any) -> None:
    """Each with what was used, waits, and needs a decision."""
    project, ada = ledger.site.shop(), ledger.site.subscriber("ada")
    ledger.site.subscriber("bob")
    ledger.use(project, ada)
    used(project, ada)
    client = staff("view_usagerecord")
    client.get(BOOKS)

    # The session, the user, the permissions; the count, the customers, and their usage.
    with django_assert_num_queries(7):
        page = client.get(BOOKS)

    rows = {str(one.user): sums for one, sums in page.context["rows"]}
    names = ("records", "cost", "to_send", "to_decide")
    assert (rows["bob"], [rows["ada"][name] for name in names]) == (None, [2, "0.05 USD", 1, 0])


def test_another_month_is_another(ledger: Ledger) -> None:
    """By the time of use."""
    project, ada = ledger.site.shop(), ledger.site.subscriber("ada")
    used(project, ada)

    page = staff("view_usagerecord").get(BOOKS, {"month": "2026-02"})

    assert [sums for _customer, sums in page.context["rows"]] == [None]


@pytest.mark.parametrize("month", ["soon", "2026-13", "9999-12", "0000-01", "2026-1-1"])
def test_no_month(ledger: Ledger, month: str) -> None:
    """What is no month is not found, on both pages."""
    client = staff("view_usagerecord")
    addresses = [BOOKS, f"{BOOKS}cus_1/"]

    assert [client.get(one, {"month": month}).status_code for one in addresses] == [404, 404]


def test_many_customers_have_pages(ledger: Ledger) -> None:
    """Fifty at a time; one is found by id, or by the beginning of the address."""
    put(*({**customer(), "id": f"cus_{number:03}"} for number in range(120)))
    put({**customer(), "id": "cus_last", "email": "zoe@example.org"})
    client = staff("view_usagerecord")

    def shown(**query: str) -> list[str]:
        return [one.pk for one, _sums in client.get(BOOKS, query).context["rows"]]

    assert (len(shown()), shown(page="3")[-1], shown(q="cus_007"), shown(q="ZOE@")) == (
        50,
        "cus_last",
        ["cus_007"],
        ["cus_last"],
    )


def test_without_customers(ledger: Ledger) -> None:
    """Says so; and of a search that finds nobody."""
    client = staff("view_usagerecord")

    pages = [text(client, BOOKS), text(client, BOOKS, q="\0eve")]

    words = ["There are no customers yet.", "No customer has this id, or an address"]
    assert [word in page for word, page in zip(words, pages, strict=True)] == [True, True]


def test_the_books_of_a_customer(ledger: Ledger) -> None:
    """The rows of the command, with what differs and what to do, and no call to Stripe."""
    project, ada = ledger.site.shop(), ledger.site.subscriber("ada")
    ledger.use(project, ada)
    ledger.turn()
    line = edit_line(quantity_decimal="24999", amount=2)
    ledger.site.standin.calls.clear()
    client = staff("view_usagerecord")

    page = text(client, f"{BOOKS}{customer_of(ada).pk}/", month="2026-01")

    cells = "<td>25,000</td><td>25,000</td><td>0</td><td>0</td><td>0</td><td>-</td><td>24,999</td>"
    shown = [cells in page, "24999 units billed of 25000 accepted" in page, line in page]
    assert (shown, dict(ledger.site.standin.calls)) == ([True, True, True], {})


def test_the_books_of_an_idle_customer(ledger: Ledger) -> None:
    """An empty page says so; one of nobody is not found."""
    ledger.site.shop()
    key = customer_of(ledger.site.subscriber("ada")).pk
    client = staff("view_usagerecord")

    page = text(client, f"{BOOKS}{key}/")

    missing = [client.get(f"{BOOKS}{nobody}/").status_code for nobody in ("cus_nobody", "%00")]
    words = "Nothing was used or billed in these periods."
    assert (words in page, missing, Customer.objects.count()) == (True, [404, 404], 1)
