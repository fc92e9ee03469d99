"""A deleted account at Stripe: billed to the end, then nobody's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from comp_billing import closing, customers, intents, stripe_api, subscriptions, usage
from comp_billing.models import Customer, Event, Intent, Invoice, UsageRecord
from comp_billing.sync import fetching
from comp_users.closing import close
from comp_users.models import Profile
from tests.billing.builders import Site, authorized_run, customer_of, ended, later, used

CANCELLED = "DELETE /v1/subscriptions/{id}"


def counted(site: Site) -> None:
    """Hours have gone by since Stripe took the usage."""
    site.standin.advance(seconds=2 * 3600)
    UsageRecord.objects.update(accepted_at=timezone.now() - timedelta(hours=2))


def finish(site: Site) -> None:
    """What the worker does until nothing is left to do, the last invoice's hour included."""
    usage.report_due()
    counted(site)
    site.work()
    site.standin.advance(seconds=2 * 3600)
    Invoice.all_objects.update(fetch_at=timezone.now(), fetch_attempts=0)
    fetching.fetch_due()
    site.work()


def at_stripe(site: Site) -> dict[str, Any]:
    """The customer's name and address, the states of its subscriptions, what was billed."""
    (customer,) = site.objects("customer")
    return {
        "name": customer.get("name"),
        "email": customer.get("email"),
        "subscriptions": [one["status"] for one in site.objects("subscription")],
        "billed": [one["total"] for one in site.objects("invoice")],
    }


def left(billed: int) -> dict[str, Any]:
    """What is at Stripe when all has gone well."""
    return {"name": None, "email": None, "subscriptions": ["canceled"], "billed": [billed]}


@pytest.fixture
def profile(site: Site) -> Profile:
    """A subscriber who has used four dollars' worth, not reported yet."""
    project = site.shop()
    profile = site.subscriber()
    used(project, profile, seconds="400")
    return profile


def test_everything_used_is_billed_and_then_the_name_goes(site: Site, profile: Profile) -> None:
    """The subscription ends with a last invoice; the customer stays, as nobody."""
    close(profile)

    finish(site)

    assert at_stripe(site) == left(400)


def test_nothing_ends_before_usage_is_reported_and_counted(site: Site, profile: Profile) -> None:
    """It would be lost: first it is on its way, then Stripe may not have counted it."""
    close(profile)
    site.work()
    waiting = at_stripe(site)["subscriptions"]
    usage.report_due()
    site.work()

    assert (waiting, at_stripe(site)["subscriptions"]) == (["active"], ["active"])


def test_nothing_ends_while_a_run_is_under_way(site: Site) -> None:
    """One that somebody else has made and the closed account pays for is billed too."""
    project = site.shop()
    profile = site.subscriber()
    run = authorized_run(project, profile, owner=site.user("bob").profile)
    close(profile)
    site.work()
    waiting = at_stripe_of(site, profile)
    ended(run, seconds="100")

    finish(site)

    assert (waiting, at_stripe_of(site, profile)) == (["active"], ["canceled"])


def at_stripe_of(site: Site, profile: Profile) -> list[str]:
    """The states of one customer's subscriptions."""
    key = Customer.objects.get(user=profile.user).pk
    return [one["status"] for one in site.objects("subscription") if one["customer"] == key]


def test_the_name_stays_until_the_last_invoice_is_final(site: Site, profile: Profile) -> None:
    """It is addressed to somebody."""
    close(profile)
    usage.report_due()
    counted(site)
    site.work()

    assert at_stripe(site) == {**left(400), "name": "ada", "email": "ada@example.org"}


def test_an_invoice_that_stays_a_draft_keeps_no_name_for_ever(site: Site, profile: Profile) -> None:
    """After a week it goes all the same."""
    close(profile)
    usage.report_due()
    counted(site)
    site.work()
    Intent.objects.update(created=timezone.now() - timedelta(days=8))

    site.work()

    assert at_stripe(site)["email"] is None


@pytest.mark.parametrize("path", ["/v1/subscriptions/*", "/v1/customers/*"])
@pytest.mark.parametrize("fault", ["500_before", "500_saved", "drop_after", "429"])
def test_one_end_whatever_went_wrong(site: Site, profile: Profile, fault: str, path: str) -> None:
    """One failure of any kind still ends in one last invoice and no name."""
    close(profile)
    verb = "DELETE" if "subscriptions" in path else "POST"
    site.standin.faults.add(fault, verb=verb, path=path)

    finish(site)

    assert at_stripe(site) == left(400)


def test_a_cancellation_whose_answer_was_lost_a_day_ago(site: Site, profile: Profile) -> None:
    """Is found to have been made."""
    close(profile)
    usage.report_due()
    counted(site)
    site.standin.faults.add("drop_after", verb="DELETE")
    intents.carry_out_due()
    later(Intent.objects.get(kind=closing.CANCEL), hours=25)

    finish(site)

    assert (at_stripe(site), site.standin.calls[CANCELLED]) == (left(400), 1)


def test_a_subscription_that_was_cancelled_by_hand_is_a_fine_end(
    site: Site, profile: Profile
) -> None:
    """The second cancellation is told that there is none."""
    key = customer_of(profile).subscriptions.get().pk
    close(profile)
    usage.report_due()
    counted(site)
    stripe_api.call("delete", f"/v1/subscriptions/{key}", {"invoice_now": True})

    finish(site)

    states = set(
        Intent.objects.filter(kind__in=[closing.CANCEL, closing.FORGET]).values_list("state")
    )
    assert (at_stripe(site), states) == (left(400), {("succeeded",)})


def test_a_customer_that_was_deleted_by_hand_is_a_fine_end(site: Site, profile: Profile) -> None:
    """There is nobody left to forget."""
    key = customer_of(profile).pk
    close(profile)
    stripe_api.call("delete", f"/v1/customers/{key}")

    finish(site)

    assert Intent.objects.get(kind=closing.FORGET).state == "succeeded"


def test_a_closed_account_is_subscribed_to_nothing_again(site: Site, profile: Profile) -> None:
    """Neither to what it had nor to what is published later."""
    close(profile)
    finish(site)
    site.shop("Later")

    made = subscriptions.ensure_items(), customers.ensure_customers(), closing.end_closed()
    site.work()

    assert (made, at_stripe(site)["subscriptions"]) == ((0, 0, 0), ["canceled"])


def test_an_account_closed_before_it_was_a_customer_never_is_one(site: Site) -> None:
    """The intent that nobody has sent goes with the account."""
    profile: Profile = site.user().profile

    close(profile)
    site.work()

    assert (site.objects("customer"), Intent.objects.count()) == ([], 0)


@pytest.mark.parametrize(("fault", "made"), [("drop_after", 1), ("500_before", 0)])
def test_a_customer_in_doubt_is_looked_for_and_not_made(site: Site, fault: str, made: int) -> None:
    """If there is one its name is removed; if there is none there never will be."""
    site.standin.faults.add(fault, verb="POST", path="/v1/customers")
    profile: Profile = site.user().profile
    intents.carry_out_due()

    close(profile)
    site.work()
    closing.end_closed()
    site.work()

    names = [customer.get("email") for customer in site.objects("customer")]
    assert (names, Intent.objects.get(kind="customer.create").state) == (
        [None] * made,
        "succeeded" if made else "failed",
    )


def test_a_subscription_in_doubt_ends_too(site: Site) -> None:
    """One that was being made when the account was deleted."""
    site.shop()
    profile: Profile = site.user().profile
    intents.carry_out_due(kinds=["customer.create"])
    site.standin.faults.add("drop_after", verb="POST", path="/v1/subscriptions")
    intents.carry_out_due()
    close(profile)
    site.work()
    closing.end_closed()

    finish(site)

    assert at_stripe(site)["subscriptions"] == ["canceled"]


def test_nothing_personal_stays_in_our_calls(site: Site) -> None:
    """A refused intent keeps its parameters for the operator, until then."""
    profile: Profile = site.user().profile
    Intent.objects.update(state="failed", first_sent_at=timezone.now())

    close(profile)

    assert list(Intent.objects.get().params) == ["metadata"]


def test_signing_up_again_makes_another_customer(site: Site, profile: Profile) -> None:
    """With the same address; the old one is not found for it."""
    close(profile)
    finish(site)

    again = site.subscriber("ada")

    assert len({customer_of(again).pk, Customer.objects.exclude(user=again.user).get().pk}) == 2
    assert get_user_model().objects.count() == 2


def test_without_a_key_nothing_is_asked_for(site: Site, profile: Profile) -> None:
    """A free site calls nobody; once there is a key again, the loop catches up."""
    site.configure(SECRET_KEY="")
    close(profile)
    asked = Intent.objects.filter(kind=closing.CANCEL).count()
    site.configure(SECRET_KEY="sk_test_new")

    assert (asked, closing.end_closed(), Event.objects.count()) == (0, 1, 0)
