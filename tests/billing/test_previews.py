"""What the next invoice would be: Stripe's word, our own count beside it, and neither for free."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import NoBillingAccount, StripeUnavailable
from comp_billing.models import SubscriptionItem, UsageRecord, UsageState
from comp_billing.paying import previews
from comp_users.models import Profile
from tests.billing.builders import Site, customer_of, used
from tests.billing.news import consumed
from tests.core.pages import visitor

PREVIEW = "POST /v1/invoices/create_preview"
PAGE = "/billing/invoices/upcoming/"


def told(record: UsageRecord, state: str, *, days: float = 0) -> None:
    """The record in a state, its use told to Stripe for so many days after its period began."""
    SubscriptionItem.objects.update(current_period_start=record.used_at - timedelta(days=10))
    at = record.used_at - timedelta(days=10) + timedelta(days=days)
    UsageRecord.objects.filter(pk=record.pk).update(state=state, timestamp=at, first_sent_at=at)


def subscribed(payer: Profile, *, price: str) -> None:
    """A further subscription of the payer's, mirrored."""
    params = {
        "customer": customer_of(payer).pk,
        "items": [{"price": price}],
        "billing_mode": {"type": "flexible"},
    }
    answer = stripe_api.call("post", "/v1/subscriptions", params)
    mirror.upsert([answer.data], as_of=answer.as_of, rank=0, api_version="x")


def text_of(profile: Profile, page: str = PAGE) -> str:
    """A page as the profile's user sees it."""
    return visitor(profile).get(page).content.decode()


def test_preview_is_what_stripe_would_invoice(site: Site) -> None:
    """By the model's name, with the day on which it comes."""
    site.shop("Epidemic")
    payer = site.subscriber()
    consumed(site, payer, dollars=4)

    found = previews.preview_of(payer.user)

    (part,) = found.parts
    due_at = SubscriptionItem.objects.get().current_period_end
    assert (found.total_text, part.lines, part.due_at, part.has_more_lines) == (
        "$4.00",
        [{"text": "Epidemic", "amount": "$4.00"}],
        due_at,
        False,
    )


def test_shards_are_listed_and_added_up(site: Site) -> None:
    """A call for each subscription."""
    site.shop("Epidemic")
    payer = site.subscriber()
    site.shop("Weather")
    subscribed(payer, price=site.objects("price")[1]["id"])
    consumed(site, payer, dollars=4)
    consumed(site, payer, dollars=3, meter=1)
    site.standin.calls.clear()

    found = previews.preview_of(payer.user)

    amounts = sorted(part.total_text for part in found.parts)
    calls = dict(site.standin.calls)
    assert (found.total_text, amounts, calls) == ("$7.00", ["$3.00", "$4.00"], {PREVIEW: 2})


def test_credit_within_a_preview_is_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Stripe takes it off in a preview is Stripe's to say."""
    site.shop()
    payer = site.subscriber()
    ask = stripe_api.call

    def call(verb: str, path: str, params: Any = None, **options: Any) -> Any:
        answer = ask(verb, path, params, **options)
        answer.data.update(total=300, total_pretax_credit_amounts=[{"amount": 100}])
        return answer

    monkeypatch.setattr(stripe_api, "call", call)

    (part,) = previews.preview_of(payer.user).parts

    assert (part.credit_text, part.total_text) == ("-$1.00", "$3.00")


def test_subscription_without_a_next_invoice_is_left_out(site: Site) -> None:
    """It was cancelled a moment ago, and the mirror does not know yet."""
    site.shop()
    payer = site.subscriber()
    (subscription,) = site.objects("subscription")
    stripe_api.call("delete", f"/v1/subscriptions/{subscription['id']}")

    found = previews.preview_of(payer.user)

    assert (found.parts, found.total_text) == ([], "")


def test_user_without_a_customer_has_no_preview(site: Site) -> None:
    """And is told to wait."""
    with pytest.raises(NoBillingAccount):
        previews.preview_of(site.user())


def test_visitor_does_not_wait_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many subscriptions all answers together have an end too."""
    site.shop()
    payer = site.subscriber()
    monkeypatch.setattr(previews, "ALL_SECONDS", -1.0)
    site.standin.calls.clear()

    with pytest.raises(StripeUnavailable, match="too long"):
        previews.preview_of(payer.user)

    assert site.standin.calls[PREVIEW] == 0


def test_preview_is_asked_with_short_patience_and_once(site: Site) -> None:
    """A page must not wait for the SDK's retries."""
    site.configure(NETWORK_RETRIES=2)
    site.shop()
    payer = site.subscriber()
    site.standin.faults.add("500_before", verb="POST", path=previews.PATH, times=9)
    site.standin.calls.clear()

    with pytest.raises(StripeUnavailable):
        previews.preview_of(payer.user)

    assert site.standin.calls[PREVIEW] == 1


def test_page_shows_both_counts(site: Site) -> None:
    """Stripe's and ours."""
    project = site.shop()
    payer = site.subscriber()
    used(project, payer, seconds="250")
    consumed(site, payer, dollars=4)

    text = text_of(payer)

    wanted = ("invoice <strong>$4.00</strong>", "2.50\N{NARROW NO-BREAK SPACE}USD")
    assert [part in text for part in wanted] == [True, True]


def test_page_without_an_answer_says_so_and_shows_our_count(site: Site) -> None:
    """Nothing is charged by looking."""
    project = site.shop()
    payer = site.subscriber()
    used(project, payer, seconds="250")
    site.standin.faults.add("refuse", times=9)

    text = text_of(payer)

    wanted = ("Stripe could not be asked.", "nothing is charged by looking", "2.50\u202fUSD")
    assert [part in text for part in wanted] == [True, True, True]


def test_invoices_page_makes_no_call(site: Site) -> None:
    """It shows our own count, and links to Stripe's."""
    project = site.shop()
    payer = site.subscriber()
    used(project, payer, seconds="250")
    site.standin.calls.clear()

    text = text_of(payer, "/billing/invoices/")

    found = ("2.50\u202fUSD" in text, PAGE in text, sum(site.standin.calls.values()))
    assert found == (True, True, 0)


@pytest.mark.parametrize(
    ("state", "days", "expected"),
    [
        (UsageState.PENDING, 1, ("0", "0.025", "0")),
        (UsageState.SENDING, 1, ("0", "0.025", "0")),
        (UsageState.ACCEPTED, 1, ("0.025", "0", "0")),
        (UsageState.ACCEPTED, 0, ("0.025", "0", "0")),
        (UsageState.ACCEPTED, -0.001, ("0", "0", "0")),
        (UsageState.REJECTED, 1, ("0", "0", "0.025")),
        (UsageState.AMBIGUOUS, 1, ("0", "0", "0.025")),
        (UsageState.EXPIRED, 1, ("0", "0", "0.025")),
        (UsageState.CANCELLED, 1, ("0", "0", "0")),
        (UsageState.WAIVED, 1, ("0", "0", "0")),
    ],
)
def test_own_count_is_of_what_no_invoice_has_billed(
    site: Site, state: str, days: float, expected: tuple[str, str, str]
) -> None:
    """By the time that was told to Stripe: what was before the period is on its invoice."""
    project = site.shop()
    payer = site.subscriber()
    told(used(project, payer), state, days=days)

    found = previews.accrued(payer)

    amounts = (found.reported, found.waiting, found.in_doubt)
    assert amounts == tuple(map(Decimal, expected))


def test_own_count_is_the_payers(site: Site) -> None:
    """Nobody else's usage is in it."""
    project = site.shop()
    ada, grace = site.subscriber("ada"), site.subscriber("grace")
    told(used(project, ada), UsageState.ACCEPTED, days=1)

    found = previews.accrued(grace)

    assert found.total == Decimal(0)


def test_own_count_is_two_statements(site: Site, django_assert_num_queries: Any) -> None:
    """However much was used."""
    project = site.shop()
    payer = site.subscriber()
    used(project, payer)
    used(project, payer)

    with django_assert_num_queries(2):
        found = previews.accrued(payer)

    assert (found.total, customer_of(payer).pk[:4]) == (Decimal("0.05"), "cus_")
