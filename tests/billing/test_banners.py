"""The banner on every page while a payment is due, with the link to pay."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from comp_billing import mirror
from comp_billing.models import Customer
from comp_users.models import Profile
from tests.core.builders import make_profile
from tests.core.pages import visitor

pytestmark = pytest.mark.django_db

NOW = int(timezone.now().timestamp())
PAY = "https://invoice.example/pay"
REFUSED = "A payment is due."
UNPAID = "An invoice has not been paid."


@pytest.fixture
def ada() -> Profile:
    """A user with a customer."""
    profile = make_profile()
    Customer.objects.create(stripe_id="cus_1", user=profile.user, as_of=1)
    return profile


def told(*objects: dict[str, Any]) -> None:
    """What Stripe says of the customer."""
    rows = [{"customer": "cus_1", **obj} for obj in objects]
    mirror.upsert(rows, as_of=1, rank=2, api_version="x")


def subscription(status: str, **values: Any) -> dict[str, Any]:
    return {"id": "sub_1", "object": "subscription", "status": status, **values}


def invoice(**values: Any) -> dict[str, Any]:
    """An open invoice whose payment was tried once."""
    return {
        "id": "in_1",
        "object": "invoice",
        "status": "open",
        "amount_due": 250,
        "created": NOW,
        "currency": "usd",
        "attempt_count": 1,
        "hosted_invoice_url": PAY,
        **values,
    }


def banner(browser: Client) -> list[str]:
    """Which of the two sentences a page begins with."""
    text = browser.get("/models/").content.decode()
    return [words for words in (REFUSED, UNPAID) if words in text]


def statements(browser: Client) -> int:
    """How many a page takes."""
    with CaptureQueriesContext(connection) as queries:
        browser.get("/models/")
    return len(queries)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("past_due", [REFUSED]),
        ("unpaid", [REFUSED]),
        ("incomplete", [REFUSED]),
        ("active", []),
        ("trialing", []),
        ("paused", []),
        ("canceled", []),
    ],
)
def test_subscription_that_is_behind_is_told(ada: Profile, status: str, expected: Any) -> None:
    """In the states in which new runs are refused because something is unpaid."""
    told(subscription(status))

    assert banner(visitor(ada)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [UNPAID]),
        ({"attempt_count": 0}, []),
        ({"attempt_count": 0, "due_date": NOW - 60}, [UNPAID]),
        ({"attempt_count": 0, "due_date": NOW + 3600}, []),
        ({"attempt_count": None, "due_date": None}, []),
        ({"amount_due": 0}, []),
        ({"status": "paid"}, []),
        ({"status": "draft"}, []),
        ({"status": "void"}, []),
    ],
)
def test_overdue_invoice_is_told(ada: Profile, values: dict[str, Any], expected: Any) -> None:
    """Also when its subscription has ended, or goes on."""
    told(invoice(**values))

    assert banner(visitor(ada)) == expected


def test_banner_leads_to_the_oldest_unpaid_invoice(ada: Profile) -> None:
    """On Stripe's page."""
    told(subscription("past_due"))
    told(
        invoice(),
        invoice(id="in_2", created=NOW - 60, hosted_invoice_url="https://invoice.example/older"),
    )

    text = visitor(ada).get("/models/").content.decode()

    assert ('<a href="https://invoice.example/older">Pay now</a>' in text, PAY in text) == (
        True,
        False,
    )


@pytest.mark.parametrize("url", [None, "javascript:alert(1)"])
def test_without_a_page_of_stripes_the_banner_leads_to_the_invoices(
    ada: Profile, url: str | None
) -> None:
    """Only addresses of the web become links."""
    told(subscription("past_due"))
    told(invoice(hosted_invoice_url=url))

    text = visitor(ada).get("/models/").content.decode()

    found = ('<a href="/billing/invoices/">See your invoices</a>' in text, "javascript" in text)
    assert found == (True, False)


def test_banner_is_the_users_own(ada: Profile) -> None:
    """Nobody is told of another's debts."""
    told(subscription("past_due"))
    told(invoice())

    assert banner(visitor(make_profile())) == []


def test_deleted_customer_owes_nothing_here(ada: Profile) -> None:
    """There is no account to pay for."""
    told(subscription("past_due"))
    Customer.objects.update(deleted=True)

    assert banner(visitor(ada)) == []


def test_banner_costs_one_statement(ada: Profile, settings: Any) -> None:
    """Of every page of a user; none without Stripe."""
    browser = visitor(ada)
    browser.get("/models/")
    with_stripe = statements(browser)
    settings.COMP_BILLING = {}

    assert with_stripe - statements(browser) == 1


def test_visitors_cost_no_statement(settings: Any) -> None:
    """There is nobody to tell."""
    with_stripe = statements(Client())
    settings.COMP_BILLING = {}

    assert with_stripe == statements(Client())
