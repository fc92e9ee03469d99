"""Billing's admin: money held, what is left of credit, and how near caps came."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from comp_billing.limits import cap_warnings
from comp_billing.models import CreditBalance, Customer
from tests.billing.admin_rig import cost, list_url, superuser, text
from tests.billing.builders import Site, authorized_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("reservation", ["0.100000"]),
        ("capwarning", ["50 % of 10.00", "80 % of 10.00", "No room within 10.00", "8.500000"]),
        ("creditbalance", ["$12.34"]),
    ],
)
def test_lists_show_what_payers_may_still_spend(site: Site, model: str, shown: list[str]) -> None:
    """Found by the payer's name, with every figure."""
    project, payer = site.shop(), site.subscriber()
    authorized_run(project, payer)
    cap_warnings.note(payer.pk, timezone.now(), Decimal("8.5"), Decimal("10.00"))
    cap_warnings.note_no_room(payer.pk, timezone.now(), Decimal("8.5"), Decimal("10.00"))
    kept(Customer.objects.get(), available=1234)

    page = text(superuser(), f"{list_url(model)}?q=ada")

    assert [figure for figure in shown if figure not in page] == []


@pytest.mark.parametrize("model", ["capwarning", "creditbalance"])
def test_lists_cost_the_same_for_many_rows(site: Site, model: str) -> None:
    """However many payers there are."""
    operator = superuser()
    add_payer(site, 0)
    few = cost(lambda: operator.get(list_url(model)))
    for number in range(1, 12):
        add_payer(site, number)

    many = cost(lambda: operator.get(list_url(model)))

    assert many == few


def add_payer(site: Site, number: int) -> None:
    """Who has credit, and has come near a cap."""
    payer = site.user(f"payer{number}").profile
    start = timezone.now() - timedelta(days=number)
    cap_warnings.note(payer.pk, start, Decimal(5), Decimal("10.00"))
    kept(Customer.objects.create(stripe_id=f"cus_{number}", as_of=1, user=payer.user), available=1)


def kept(customer: Customer, *, available: int) -> None:
    """What is left of a customer's credit, in cents."""
    CreditBalance.objects.create(customer=customer, available=available, currency="usd", as_of=1)
