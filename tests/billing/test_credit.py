"""Credit: what is left by Stripe's last word, asked for when it may have changed."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from comp_billing import stripe_api
from comp_billing.exceptions import StripeRefused, StripeUnavailable
from comp_billing.limits import credit
from comp_billing.models import CreditBalance, Customer
from comp_users.models import Profile
from tests.billing.builders import Site, customer_of
from tests.billing.news import granted, hear, listen, month_billed
from tests.core.pages import visitor

DAY = 86_400
SUMMARY = "GET /v1/billing/credit_balance_summary"


@pytest.fixture
def ada(site: Site) -> Profile:
    """A subscriber of a site that hears Stripe's news."""
    listen(site)
    site.shop()
    payer = site.subscriber()
    hear(site)
    site.standin.calls.clear()
    return payer


def kept(payer: Profile) -> tuple[int, str]:
    """What is kept of a payer's credit."""
    balance = CreditBalance.objects.get(customer__user=payer.user)
    return balance.available, balance.currency


def test_credit_given_in_the_dashboard_can_be_spent_here(site: Site, ada: Profile) -> None:
    """The events of a grant have the worker ask what there is, in the site's currency."""
    granted(site, ada)

    hear(site)

    assert (credit.available(ada), kept(ada)) == (Decimal("10.00"), (1000, "usd"))


def test_a_grant_is_asked_about_once(site: Site, ada: Profile) -> None:
    """Stripe tells of it twice; the second event is older than the answer."""
    granted(site, ada)

    hear(site)

    assert site.standin.calls[SUMMARY] == 1


def test_available_is_one_statement(
    site: Site, ada: Profile, django_assert_num_queries: Any
) -> None:
    """Whether there is credit or not."""
    with django_assert_num_queries(1):
        left = credit.available(ada)

    assert left == Decimal(0)


def test_credit_that_paid_for_an_invoice_is_gone(site: Site, ada: Profile) -> None:
    """Of ten dollars, a month of four leaves six."""
    granted(site, ada)
    hear(site)

    month_billed(site, ada, dollars=4)

    assert kept(ada) == (600, "usd")


def test_credit_of_a_voided_invoice_is_there_again(site: Site, ada: Profile) -> None:
    """The invoice's event is enough to ask."""
    granted(site, ada)
    month_billed(site, ada, dollars=25)
    (invoice,) = site.objects("invoice")

    stripe_api.call("post", f"/v1/invoices/{invoice['id']}/void")
    hear(site)

    assert kept(ada) == (1000, "usd")


def test_invoices_of_customers_without_credit_ask_nothing(site: Site, ada: Profile) -> None:
    """Most have none."""
    month_billed(site, ada, dollars=4)

    assert site.standin.calls[SUMMARY] == 0


def test_credit_that_expires_is_gone(site: Site, ada: Profile) -> None:
    """Stripe tells of it by a transaction, which names the grant only."""
    granted(site, ada, expires_at=site.standin.now() + DAY)
    hear(site)

    site.standin.advance(seconds=DAY)
    hear(site)

    assert kept(ada) == (0, "usd")


def test_credit_that_begins_later_counts_from_then_on(site: Site, ada: Profile) -> None:
    """Nothing is told at that moment: the loop looks."""
    site.configure(CLOCK="tests.billing.builders.standin_now")
    granted(site, ada, effective_at=site.standin.now() + DAY)
    hear(site)
    before = kept(ada)

    site.standin.advance(seconds=DAY + 2)
    rounds = (credit.refresh_due(), credit.refresh_due())

    assert (before, rounds, kept(ada)) == ((0, "usd"), (1, 0), (1000, "usd"))


def test_grants_found_by_a_bulk_sync_are_asked_about(site: Site, ada: Profile) -> None:
    """No event told of them; the loop finds that nothing is known."""
    granted(site, ada)
    call_command("comp_sync_stripe", "billing.credit_grant", stdout=StringIO())

    rounds = (credit.refresh_due(), credit.refresh_due())

    assert (rounds, kept(ada)) == ((1, 0), (1000, "usd"))


def test_site_without_credit_asks_nobody(site: Site, ada: Profile) -> None:
    """The loop makes one statement and no call."""
    assert (credit.refresh_due(), site.standin.calls[SUMMARY]) == (0, 0)


def test_customer_that_stripe_says_no_about_holds_up_nobody(
    site: Site, ada: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' credit is kept."""
    other = site.subscriber("grace")
    granted(site, ada)
    granted(site, other)
    call_command("comp_sync_stripe", "billing.credit_grant", stdout=StringIO())
    refused, ask = customer_of(ada).pk, credit.refresh

    def refresh(customer_id: str) -> None:
        if customer_id == refused:
            raise StripeRefused("No.", code="odd")
        ask(customer_id)

    monkeypatch.setattr(credit, "refresh", refresh)

    done = credit.refresh_due()

    assert (done, kept(other)) == (1, (1000, "usd"))


def test_credit_for_certain_models_is_not_counted(site: Site, ada: Profile) -> None:
    """It pays for those only; what is promised for every run must hold for every run."""
    (price,) = site.objects("price")
    granted(site, ada, applicability_config={"scope": {"prices": [{"id": price["id"]}]}})

    hear(site)

    assert (kept(ada), [grant.is_for_all for grant in credit.grants_of(ada.user)]) == (
        (0, "usd"),
        [False],
    )


def test_credit_in_another_currency_is_not_counted(site: Site, ada: Profile) -> None:
    """Nobody converts it."""
    euros = {"type": "monetary", "monetary": {"currency": "eur", "value": 1000}}
    granted(site, ada, amount=euros)

    hear(site)

    assert kept(ada) == (0, "usd")


def test_deleted_customer_has_no_credit(site: Site, ada: Profile) -> None:
    """It went with the customer; asking about it is no error."""
    granted(site, ada)
    hear(site)
    key = customer_of(ada).pk
    stripe_api.call("delete", f"/v1/customers/{key}")

    credit.refresh(key)
    hear(site)

    assert credit.available(ada) == Decimal(0)


def test_customer_that_stripe_no_longer_knows_has_no_credit(site: Site, ada: Profile) -> None:
    """Even while the row is still the user's."""
    granted(site, ada)
    hear(site)
    Customer.all_objects.filter(user=ada.user).update(deleted=True)

    assert credit.available(ada) == Decimal(0)


def test_grants_are_listed_as_they_were_given(site: Site, ada: Profile) -> None:
    """The latest first; one that was voided was never given."""
    granted(site, ada, name="Prepaid", effective_at=site.standin.now() - DAY)
    granted(site, ada, 500, name="Welcome", category="promotional")
    wrong = granted(site, ada, name="Mistake")
    stripe_api.call("post", f"/v1/billing/credit_grants/{wrong['id']}/void")
    hear(site)

    found = [
        (one.name, one.is_promotional, one.amount_text, one.is_for_all, one.is_over)
        for one in credit.grants_of(ada.user)
    ]

    assert found == [
        ("Welcome", True, "$5.00", True, False),
        ("Prepaid", False, "$10.00", True, False),
    ]


def test_answers_of_one_second_that_differ_are_settled_by_a_later_one(
    site: Site, ada: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two is the later nobody can say."""
    granted(site, ada)
    hear(site)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        site.standin.advance(seconds=1)

    monkeypatch.setattr("comp_billing.limits.credit.time.sleep", pause)
    CreditBalance.objects.update(available=5, as_of=site.standin.now())

    credit.refresh(customer_of(ada).pk)

    assert (len(pauses), kept(ada)) == (1, (1000, "usd"))


def test_answers_that_go_on_differing_are_an_outage(
    site: Site, ada: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is tried again later."""
    granted(site, ada)
    monkeypatch.setattr("comp_billing.limits.credit.time.sleep", lambda seconds: None)
    monkeypatch.setattr(credit, "_keep", lambda *args, **kwargs: False)

    with pytest.raises(StripeUnavailable):
        credit.refresh(customer_of(ada).pk)


def test_an_older_answer_does_not_overwrite_a_newer_one(site: Site, ada: Profile) -> None:
    """Of two workers that asked, the slower one may have the older answer."""
    granted(site, ada)
    hear(site)
    CreditBalance.objects.update(available=5, as_of=site.standin.now() + 60)

    credit.refresh(customer_of(ada).pk)

    assert kept(ada) == (5, "usd")


def test_pages_show_the_grants_and_what_is_left(site: Site, ada: Profile) -> None:
    """By name, kind, amount and expiry; the costs page names the sum."""
    granted(site, ada, 500, name="Welcome", category="promotional")
    hear(site)
    browser = visitor(ada)

    costs, invoices = (
        browser.get(f"/billing/{name}/").content.decode() for name in ("costs", "invoices")
    )

    wanted = ("Welcome", "Promotional", "$5.00", "Does not expire", "<strong>$5.00</strong> are")
    found = ([part in invoices for part in wanted], "$5.00 of credit are left" in costs)
    assert found == ([True] * 5, True)


def test_grant_whose_rest_is_not_known_yet_is_not_called_empty(site: Site, ada: Profile) -> None:
    """Between the grant's arrival and the worker's question."""
    granted(site, ada)
    hear(site)
    CreditBalance.objects.all().delete()

    text = visitor(ada).get("/billing/invoices/").content.decode()

    assert "is being asked of Stripe" in text
