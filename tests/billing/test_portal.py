"""The customer portal: configured by the set-up command, opened by a button."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from comp_billing import intents, stripe_api
from comp_billing.exceptions import NoBillingAccount, NoPortal
from comp_billing.models import Intent
from comp_billing.paying import portal
from tests.billing.builders import Site, customer_of, later
from tests.core.pages import visitor

CREATE = "POST /v1/billing_portal/configurations"
HERE = "https://site.test/billing/card/"


def set_up(*args: str) -> str:
    """What ``comp_setup_stripe`` says."""
    out = StringIO()
    call_command("comp_setup_stripe", *args, stdout=out)
    return out.getvalue()


def features(site: Site) -> dict[str, bool]:
    """What the one configuration allows."""
    (made,) = site.objects("billing_portal.configuration")
    return {name: feature["enabled"] for name, feature in made["features"].items()}


def test_set_up_makes_a_configuration_without_cancelling(site: Site) -> None:
    """Cards, invoices and addresses; subscriptions are the site's."""
    said = set_up()

    (made,) = site.objects("billing_portal.configuration")
    assert (features(site), f"{portal.KIND}: {made['id']}" in said, portal.configuration_id()) == (
        {
            "customer_update": True,
            "invoice_history": True,
            "payment_method_update": True,
            "subscription_cancel": False,
            "subscription_pause": False,
            "subscription_update": False,
        },
        True,
        made["id"],
    )


def test_set_up_again_changes_nothing(site: Site) -> None:
    """And says nothing of it."""
    set_up()

    said = set_up()

    assert (portal.KIND in said, site.standin.calls[CREATE]) == (False, 1)


def test_configuration_of_before_is_adopted(site: Site) -> None:
    """By a database that was set up anew."""
    set_up()
    (made,) = site.objects("billing_portal.configuration")
    Intent.objects.all().delete()

    set_up()

    assert (portal.configuration_id(), site.standin.calls[CREATE]) == (made["id"], 1)


def test_configuration_of_another_installation_is_left_alone(site: Site) -> None:
    """Two sites may share an account."""
    set_up()
    site.configure(METER_PREFIX="other")

    set_up()

    assert len(site.objects("billing_portal.configuration")) == 2


@pytest.mark.parametrize(
    "by_hand",
    [
        {"features": {"subscription_cancel": {"enabled": True}}},
        {"features": {"customer_update": {"enabled": True, "allowed_updates": ["email"]}}},
        {"active": False},
    ],
)
def test_what_a_hand_has_changed_is_set_right(site: Site, by_hand: dict[str, Any]) -> None:
    """A cancelled subscription would take every model with it."""
    set_up()
    (before,) = site.objects("billing_portal.configuration")
    stripe_api.call("post", f"/v1/billing_portal/configurations/{before['id']}", by_hand)

    set_up()

    (after,) = site.objects("billing_portal.configuration")
    assert {**after, "updated": 0} == {**before, "updated": 0}


def test_order_of_allowed_changes_means_nothing(site: Site) -> None:
    """Stripe need not keep ours."""
    set_up()
    (made,) = site.objects("billing_portal.configuration")
    other = {"enabled": True, "allowed_updates": ["tax_id", "email", "address"]}
    path = f"/v1/billing_portal/configurations/{made['id']}"
    stripe_api.call("post", path, {"features": {"customer_update": other}})
    site.standin.calls.clear()

    set_up()

    assert site.standin.calls["POST /v1/billing_portal/configurations/{id}"] == 0


def test_configuration_that_stripe_does_not_know_is_made_anew(site: Site) -> None:
    """Such as after the account's test data was deleted."""
    set_up()
    site.standin.store.remove("billing_portal.configuration", portal.configuration_id())

    set_up()

    (made,) = site.objects("billing_portal.configuration")
    assert portal.configuration_id() == made["id"]


def test_lost_answer_makes_no_second_configuration(site: Site) -> None:
    """It is found by its mark, also when the key is forgotten."""
    site.standin.faults.add("drop_after", verb="POST", path=portal.CONFIGURATIONS)
    with pytest.raises(CommandError):
        set_up()
    later(Intent.objects.get(kind=portal.KIND), hours=25)

    set_up()

    assert len(site.objects("billing_portal.configuration")) == 1


def test_interrupted_set_up_is_ended_by_the_worker(site: Site) -> None:
    """The intent is committed before the call."""
    intents.intend(portal.KIND, portal._subject(), portal._params())

    site.work()

    assert portal.configuration_id() != ""


def test_dry_run_tells_of_the_configuration_and_calls_nobody(site: Site) -> None:
    """Until it is there."""
    before, calls = set_up("--dry-run"), sum(site.standin.calls.values())
    set_up()
    after = set_up("--dry-run")

    assert (["customer portal" in said for said in (before, after)], calls) == ([True, False], 0)


def test_portal_is_opened_with_our_configuration(site: Site) -> None:
    """For the user's customer, and leads back to the card page."""
    set_up()
    profile = site.subscriber()

    url = portal.open_portal(profile.user, return_url=HERE)

    (session,) = site.objects("billing_portal.session")
    found = (session["customer"], session["configuration"], session["return_url"], session["url"])
    assert found == (customer_of(profile).pk, portal.configuration_id(), HERE, url)


def test_without_a_configuration_the_accounts_own_is_not_used(site: Site) -> None:
    """It may let users cancel."""
    profile = site.subscriber()

    with pytest.raises(NoPortal):
        portal.open_portal(profile.user, return_url=HERE)

    assert site.objects("billing_portal.session") == []


def test_without_a_customer_there_is_no_portal(site: Site) -> None:
    """The account is being set up."""
    set_up()

    with pytest.raises(NoBillingAccount):
        portal.open_portal(site.user().profile.user, return_url=HERE)


def test_button_leads_to_stripes_page(site: Site) -> None:
    """It is on the card page once there is a configuration."""
    profile = site.subscriber()
    browser = visitor(profile)
    before = "Manage at Stripe" in browser.get("/billing/card/").content.decode()
    set_up()
    after = "Manage at Stripe" in browser.get("/billing/card/").content.decode()

    answer = browser.post("/billing/card/portal/")

    (session,) = site.objects("billing_portal.session")
    assert (before, after, answer["Location"]) == (False, True, session["url"])


def test_portal_that_cannot_be_opened_is_said_in_words(site: Site) -> None:
    """The card page stays, with what to do instead."""
    answer = visitor(site.subscriber()).post("/billing/card/portal/")

    text = answer.content.decode()
    assert (answer.status_code, "has not been set up for this site yet" in text) == (200, True)
