"""What an operator ends in Stripe's dashboard, and what follows it."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.test import Client

from comp_billing import customers, stripe_api, subscriptions, usage
from comp_billing.metering import StripeMeter
from comp_billing.models import Customer, Intent, SubscriptionItem, UsageRecord
from comp_core.exceptions import RunRefused
from tests.billing.builders import Site, authorized_run, customer_of, ended, queued_run

WEBHOOK = "https://site.example/billing/webhook/"


@pytest.fixture
def site(site: Site) -> Site:
    """The site, its webhook known to the stand-in."""
    site.standin.add_webhook(WEBHOOK, secret="whsec_tests")
    return site


def hear(site: Site) -> None:
    """Take in everything that the stand-in has to tell."""
    client = Client()

    def take(body: bytes, headers: dict[str, str]) -> int:
        answer = client.post("/billing/webhook/", body, "application/json", headers=headers)
        return answer.status_code

    site.standin.deliver(take, everything=True)


def attach_card(customer: str, card: str) -> None:
    """Make one of Stripe's test cards the customer's default."""
    path = f"/v1/payment_methods/{card}/attach"
    method = stripe_api.call("post", path, {"customer": customer}).data["id"]
    default = {"invoice_settings": {"default_payment_method": method}}
    stripe_api.call("post", f"/v1/customers/{customer}", default)


def cancel(site: Site) -> None:
    """The customer's subscription cancelled by hand, and the site told."""
    (live,) = [one for one in site.objects("subscription") if one["status"] == "active"]
    stripe_api.call("delete", f"/v1/subscriptions/{live['id']}")
    hear(site)


def loops(site: Site) -> None:
    """Two rounds of what the worker does for subscriptions."""
    for _round in range(2):
        subscriptions.ensure_items()
        site.work()
        hear(site)


def billed_plans() -> list[str]:
    """The products of the live items."""
    names = subscriptions.live_items().values_list("plan__product__name", flat=True)
    return sorted(names)


def test_cancelled_subscription_is_followed_by_one_with_every_plan(site: Site) -> None:
    """Plans that had been added later are in the new subscription too."""
    site.shop("Epidemic")
    site.subscriber()
    site.shop("Descriptive")
    loops(site)

    cancel(site)
    loops(site)

    assert billed_plans() == ["Descriptive", "Epidemic"]


def test_item_on_its_way_to_a_cancelled_subscription_joins_the_next(site: Site) -> None:
    """A refusal by a subscription that has ended is no refusal of the plan."""
    site.shop("Epidemic")
    site.subscriber()
    site.shop("Descriptive")
    subscriptions.ensure_items()

    cancel(site)
    loops(site)

    assert billed_plans() == ["Descriptive", "Epidemic"]


def test_item_that_was_added_and_removed_is_added_again(site: Site) -> None:
    """One live item per customer and public plan, also after a hand at Stripe removed one."""
    site.shop("Epidemic")
    site.subscriber()
    site.shop("Descriptive")
    loops(site)
    added = SubscriptionItem.objects.get(plan__product__name="Descriptive")
    stripe_api.call("delete", f"/v1/subscription_items/{added.pk}", {"clear_usage": True})
    hear(site)

    loops(site)

    assert billed_plans() == ["Descriptive", "Epidemic"]


def test_plan_refused_by_a_live_subscription_is_not_asked_for_again(site: Site) -> None:
    """A round over such a customer changes nothing."""
    site.shop("Epidemic")
    site.subscriber()
    site.shop("Descriptive")
    subscriptions.ensure_items()
    Intent.objects.filter(kind=subscriptions.ADD).update(state="failed")

    assert subscriptions.ensure_items() == 0


def test_run_that_outlives_its_subscription_is_billed_by_the_next(site: Site) -> None:
    """The record names the successor's item."""
    project, payer = site.shop(), site.subscriber()
    run = authorized_run(project, payer)
    cancel(site)
    loops(site)

    ended(run)

    assert UsageRecord.objects.get().subscription_item == subscriptions.live_items().get()


def test_usage_recorded_before_a_cancellation_is_stamped_when_sent(site: Site) -> None:
    """The ended item's period is closed: its successor bills the meter from now on."""
    project, payer = site.shop(), site.subscriber()
    record_run = ended(authorized_run(project, payer))
    cancel(site)
    loops(site)

    usage.report_due()

    record = UsageRecord.objects.get(run=record_run)
    assert record.timestamp == record.first_sent_at


def test_deleted_customer_is_replaced_when_an_operator_says_so(site: Site) -> None:
    """The user gets another customer, subscribed like the first."""
    project, payer = site.shop(), site.subscriber()
    first = customer_of(payer)
    stripe_api.call("delete", f"/v1/customers/{first.pk}")
    hear(site)

    asked = customers.reopen(Customer.all_objects.filter(pk=first.pk))
    again = customers.reopen(Customer.all_objects.filter(pk=first.pk))
    loops(site)

    with transaction.atomic():
        StripeMeter().authorize(queued_run(project, payer))
    assert (asked, again, len(site.objects("customer"))) == (1, 0, 1)


def test_user_with_a_customer_gets_no_other(site: Site) -> None:
    """Only those whose customer was deleted do."""
    site.subscriber()

    assert customers.reopen(Customer.all_objects.all()) == 0


def test_debt_outlives_the_subscription(site: Site) -> None:
    """When Stripe cancels after the last failed payment, the next subscription runs nothing until
    the invoice is paid."""
    project, payer = site.shop(), site.subscriber()
    site.standin.settings["dunning_end"] = "canceled"
    site.standin.settings["retry_seconds"] = []
    customer = customer_of(payer).pk
    attach_card(customer, "pm_card_chargeCustomerFail")
    ended(authorized_run(project, payer), seconds="1000")
    usage.report_due()
    site.standin.advance(months=1)
    site.standin.advance(seconds=7200)
    hear(site)
    loops(site)
    assert billed_plans() == ["Epidemic"]

    with pytest.raises(RunRefused, match="An earlier invoice has not been paid"):
        authorized_run(project, payer)


def test_debt_that_is_paid_refuses_nothing(site: Site) -> None:
    """The invoice paid, with the subscription gone, the next run is accepted."""
    project, payer = site.shop(), site.subscriber()
    site.standin.settings["dunning_end"] = "canceled"
    site.standin.settings["retry_seconds"] = []
    customer = customer_of(payer).pk
    attach_card(customer, "pm_card_chargeCustomerFail")
    ended(authorized_run(project, payer), seconds="1000")
    usage.report_due()
    site.standin.advance(months=1)
    site.standin.advance(seconds=7200)
    attach_card(customer, "pm_card_visa")
    (debt,) = site.objects("invoice")
    stripe_api.call("post", f"/v1/invoices/{debt['id']}/pay")
    hear(site)
    loops(site)

    assert authorized_run(project, payer).pk is not None
