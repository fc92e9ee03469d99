"""Cards: entered on Stripe's page, made the default by the worker."""

from __future__ import annotations

from typing import Any

import pytest

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import NoBillingAccount
from comp_billing.models import Customer, Event, Intent, IntentState
from comp_billing.paying import cards
from tests.billing.builders import Site, customer_of

PAGES = {"success_url": "https://site.test/ok", "cancel_url": "https://site.test/no"}

SESSION: dict[str, Any] = {
    "id": "cs_1",
    "object": "checkout.session",
    "mode": "setup",
    "customer": "cus_1",
    "setup_intent": "seti_1",
    "metadata": {"comp_user": "1", "comp_install": "comp"},
}


def entered(site: Site, customer: str) -> dict[str, Any]:
    """The Checkout session after its page took a card."""
    (session,) = site.objects("checkout.session")
    setup = stripe_api.call(
        "post",
        f"/v1/setup_intents/{session['setup_intent']}/confirm",
        {"payment_method": "pm_card_visa", "return_url": PAGES["success_url"]},
    )
    return {**session, "status": "complete", "customer": setup.data["customer"]}


def completed(session: dict[str, Any]) -> Event:
    """The event (unsaved) about a session."""
    return Event(
        type="checkout.session.completed", payload={"data": {"object": session}}, stripe_id="evt_1"
    )


def test_card_setup_is_a_page_of_stripes(site: Site) -> None:
    """The session sets up a card for the user's customer in the site's currency."""
    profile = site.subscriber()

    url = cards.start_card_setup(profile.user, **PAGES)

    (session,) = site.objects("checkout.session")
    assert (session["url"], session["mode"], session["customer"], session["currency"]) == (
        url,
        "setup",
        customer_of(profile).pk,
        "usd",
    )


def test_user_without_a_customer_is_told_to_wait(site: Site) -> None:
    """Before the customer exists there is nothing to add a card to."""
    user = site.user()

    with pytest.raises(NoBillingAccount, match="being set up"):
        cards.start_card_setup(user, **PAGES)


def test_card_becomes_the_default(site: Site) -> None:
    """The card that was entered pays the invoices from then on, at Stripe and in the mirror."""
    profile = site.subscriber()
    cards.start_card_setup(profile.user, **PAGES)
    session = entered(site, customer_of(profile).pk)

    cards.take_card(completed(session), None, {})
    site.work()

    (customer,) = site.objects("customer")
    default = customer["invoice_settings"]["default_payment_method"]
    assert (customer_of(profile).default_payment_method, default.startswith("pm_")) == (
        default,
        True,
    )


def test_session_told_twice_is_one_intent(site: Site) -> None:
    """A repeated event sets the card once."""
    cards.take_card(completed(SESSION), None, {})

    cards.take_card(completed(SESSION), None, {})

    assert Intent.objects.filter(kind=cards.SET_DEFAULT).count() == 1


@pytest.mark.parametrize(
    "differing",
    [
        {"mode": "payment"},
        {"metadata": {"comp_install": "other"}},
        {"metadata": {}},
        {"metadata": None},
        {"customer": None},
        {"setup_intent": None},
        {"setup_intent": 5},
    ],
)
def test_other_sessions_are_passed_over(site: Site, differing: dict[str, Any]) -> None:
    """Sessions of a host's own, or of another installation on the account, are none of ours."""
    cards.take_card(completed({**SESSION, **differing}), None, {})

    assert Intent.objects.count() == 0


def test_session_without_a_card_is_refused_for_an_operator_to_see(site: Site) -> None:
    """A set-up that ended without a card leaves the old one, and a reason."""
    profile = site.subscriber()
    cards.start_card_setup(profile.user, **PAGES)
    (session,) = site.objects("checkout.session")

    cards.take_card(completed(session), None, {})
    site.work()

    intent = Intent.objects.get(kind=cards.SET_DEFAULT)
    assert (intent.state, intent.error_message) == (
        IntentState.FAILED,
        "The setup intent has no payment method.",
    )


def test_sessions_with_the_longest_ids_are_told_apart(site: Site) -> None:
    """Stripe's ids may have 255 characters, and differ in the last one only."""
    ids = [f"cs_live_{'a' * 246}{end}" for end in "aab"]

    for key in ids:
        cards.take_card(completed({**SESSION, "id": key}), None, {})

    subjects = Intent.objects.values_list("subject", flat=True)
    assert [len(subject) for subject in subjects] == [200, 200]


def test_card_that_a_subscription_has_kept_is_replaced(site: Site) -> None:
    """It would come before the customer's new default, and be charged instead of it."""
    site.shop()
    profile = site.subscriber()
    customer, (subscription,) = customer_of(profile).pk, site.objects("subscription")
    old = stripe_api.call("post", "/v1/payment_methods/pm_card_visa/attach", {"customer": customer})
    kept = {"default_payment_method": old.data["id"]}
    changed = stripe_api.call("post", f"/v1/subscriptions/{subscription['id']}", kept)
    mirror.upsert([changed.data], as_of=changed.as_of + 1, rank=2, api_version="x")
    cards.start_card_setup(profile.user, **PAGES)

    cards.take_card(completed(entered(site, customer)), None, {})
    site.work()

    ((owner,), (paying,)) = site.objects("customer"), site.objects("subscription")
    default = owner["invoice_settings"]["default_payment_method"]
    assert (paying["default_payment_method"], default == old.data["id"]) == (default, False)


@pytest.mark.parametrize(
    ("customer", "subscription", "expected"),
    [
        ({}, {}, False),
        ({"invoice_settings": {"default_payment_method": "pm_1"}}, {}, True),
        ({"default_source": "card_1"}, {}, True),
        ({}, {"default_payment_method": "pm_1"}, True),
        ({}, {"default_payment_method": {"id": "pm_1"}}, True),
        ({}, {"default_source": "card_1"}, True),
        ({}, {"default_payment_method": "pm_1", "status": "canceled"}, False),
    ],
)
def test_there_is_a_payment_method_wherever_stripe_would_look(
    site: Site, customer: dict[str, Any], subscription: dict[str, Any], expected: bool
) -> None:
    """The customer's default, a source of old, or a live subscription's own."""
    objects: list[dict[str, Any]] = [
        {"id": "cus_1", "object": "customer", **customer},
        {
            "id": "sub_1",
            "object": "subscription",
            "customer": "cus_1",
            "status": "active",
            **subscription,
        },
    ]
    mirror.upsert(objects, as_of=1, rank=2, api_version="x")

    found = cards.has_payment_method(Customer.objects.get(pk="cus_1"))

    assert found is expected
