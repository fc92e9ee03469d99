"""Pages on money: what a user sees of costs, invoices and card, and nothing of others'."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from comp_billing import mirror
from comp_billing.exceptions import StripeUnavailable
from comp_billing.models import Customer
from comp_billing.pages import card_page
from comp_users.models import Profile
from tests.core.builders import make_profile
from tests.core.pages import finished_run, visitor

pytestmark = pytest.mark.django_db

SPACE = "\N{NARROW NO-BREAK SPACE}"


def customer(profile: Profile, **values: Any) -> Customer:
    """The user's mirrored customer."""
    stripe_id = f"cus_{profile.pk}"
    return Customer.objects.create(stripe_id=stripe_id, user=profile.user, as_of=1, **values)


def invoice(of: Customer, **values: Any) -> None:
    """A mirrored invoice."""
    data = {
        "id": f"in_{of.pk}",
        "object": "invoice",
        "customer": of.pk,
        "status": "open",
        "number": "A-1",
        "currency": "usd",
        "total": 250,
        "created": int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()),
        "hosted_invoice_url": "https://invoice.example/i",
        "invoice_pdf": "https://invoice.example/pdf",
    }
    mirror.upsert([{**data, **values}], as_of=1, rank=2, api_version="2026-10-28.endive")


def text_of(profile: Profile, name: str) -> str:
    return visitor(profile).get(f"/billing/{name}/").content.decode()


@pytest.mark.parametrize("name", ["costs", "invoices", "card"])
def test_pages_on_money_need_a_log_in(name: str) -> None:
    """Visitors are sent to it."""
    assert Client().get(f"/billing/{name}/").url == f"/accounts/login/?next=/billing/{name}/"


def test_costs_are_summed_by_month_and_model(tmp_path: Any) -> None:
    """Two runs of a second and a half at 36 an hour: three cents this month."""
    owner = make_profile()
    finished_run(tmp_path / "a", [], owner)
    finished_run(tmp_path / "b", [], owner)
    text = text_of(owner, "costs")
    assert f"<strong>0.03{SPACE}USD</strong>" in text
    assert "Doubling" in text


def test_costs_are_the_users_own(tmp_path: Any) -> None:
    """Nobody sees another's."""
    finished_run(tmp_path / "a", [], make_profile())
    assert "No run has cost anything yet." in text_of(make_profile(), "costs")


def test_invoices_show_status_amount_and_stripes_pages() -> None:
    """In words, in the currency's own form."""
    owner = make_profile()
    invoice(customer(owner))
    text = text_of(owner, "invoices")
    for part in ("A-1", "Waiting for payment", "$2.50", "https://invoice.example/pdf", "Pay"):
        assert part in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"total": 250, "amount_paid": 250}, "Paid"),
        ({"total": 3, "amount_paid": 0}, "Settled on your balance at Stripe"),
        ({"total": 0, "amount_paid": 0}, "Paid"),
    ],
)
def test_a_paid_invoice_says_whether_the_card_was_charged(
    values: dict[str, int], words: str
) -> None:
    """A few cents are not charged but kept for the next invoice, and nothing needs no balance."""
    owner = make_profile()
    invoice(customer(owner), status="paid", **values)
    assert f"<td>{words}" in text_of(owner, "invoices")


def test_invoices_are_the_users_own() -> None:
    """Nobody sees another's; the empty page says when the first comes."""
    invoice(customer(make_profile()))
    text = text_of(make_profile(), "invoices")
    assert ("A-1" in text, "There is no invoice yet." in text) == (False, True)


def test_only_addresses_of_the_web_become_links() -> None:
    """Whatever the mirrored object holds."""
    owner = make_profile()
    invoice(customer(owner), hosted_invoice_url="javascript:alert(1)", invoice_pdf="data:x")
    text = text_of(owner, "invoices")
    assert [bad for bad in ("javascript:", "data:x") if bad in text] == []


def test_before_there_is_a_customer_the_card_page_asks_for_patience() -> None:
    """And has no button."""
    text = text_of(make_profile(), "card")
    assert ("is being set up" in text, "Add a card" in text) == (True, False)


def test_the_card_button_leads_to_stripes_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """With absolute addresses for coming back."""
    owner = make_profile()
    customer(owner)
    asked: list[dict[str, Any]] = []

    def start(user: Any, **urls: Any) -> str:
        asked.append({"user": user, **urls})
        return "https://checkout.example/c"

    monkeypatch.setattr(card_page, "start_card_setup", start)
    answer = visitor(owner).post("/billing/card/")
    assert (answer.url, asked) == (
        "https://checkout.example/c",
        [
            {
                "user": owner.user,
                "success_url": "http://testserver/billing/card/?added=1",
                "cancel_url": "http://testserver/billing/card/",
            }
        ],
    )


def test_stripe_out_of_reach_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page stays."""
    owner = make_profile()
    customer(owner)

    def start(user: Any, **urls: Any) -> str:
        raise StripeUnavailable

    monkeypatch.setattr(card_page, "start_card_setup", start)
    answer = visitor(owner).post("/billing/card/")
    assert answer.status_code == 200
    assert "Stripe could not be reached" in answer.content.decode()


def test_a_card_that_is_there_is_said_so() -> None:
    """And another one can be entered."""
    owner = make_profile()
    customer(owner, default_payment_method="pm_1")
    assert "Use another card" in text_of(owner, "card")


def test_without_stripe_the_pages_say_so(settings: Any) -> None:
    """Costs are shown, nobody is billed."""
    settings.COMP_BILLING = {}
    texts = [text_of(make_profile(), name) for name in ("costs", "invoices", "card")]
    assert ["nobody is billed" in text for text in texts] == [True, True, True]
