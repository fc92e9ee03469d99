"""The meter behind runs: who may run, what is held, what is recorded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction

from comp_billing import catalog, stripe_api, subscriptions
from comp_billing.metering import StripeMeter
from comp_billing.models import (
    Customer,
    Reservation,
    Subscription,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from tests.billing.builders import (
    Site,
    authorized_run,
    customer_of,
    ended,
    queued_run,
    refusal,
    used,
)

BEING_SET_UP = "Your billing account is being set up. Please try again in a minute."


def test_permitted_run_holds_its_worst_case(site: Site) -> None:
    """A run is permitted with the cost of its whole time limit held against its payer."""
    project, payer = site.shop(), site.subscriber()

    run = authorized_run(project, payer, timeout_seconds=10)

    held = Reservation.objects.get()
    assert (held.run_id, held.payer, held.amount, held.settled_amount) == (
        run.pk,
        payer,
        Decimal("0.1"),
        None,
    )


def test_succeeded_run_is_recorded_with_everything_that_the_call_needs(site: Site) -> None:
    """The usage record freezes item, meter, event name, customer, quantity and time."""
    project, payer = site.shop(), site.subscriber()

    run = ended(authorized_run(project, payer), seconds="2.5")

    record = UsageRecord.objects.get()
    item = SubscriptionItem.objects.get()
    assert (record.run_id, record.subscription_item, record.meter) == (
        run.pk,
        item,
        item.plan.meter,
    )
    assert (record.event_name, record.stripe_customer_id, record.quantity, record.used_at) == (
        f"comp_p{project.pk}_micro",
        customer_of(payer).pk,
        25_000,
        run.finished_at,
    )
    assert (record.state, record.timestamp) == (UsageState.PENDING, None)


def test_success_settles_what_was_held(site: Site) -> None:
    """The reservation becomes the cost of the run."""
    project, payer = site.shop(), site.subscriber()

    ended(authorized_run(project, payer), seconds="2.5")

    assert Reservation.objects.get().settled_amount == Decimal("0.025")


@pytest.mark.parametrize("status", ["failed", "cancelled", "timed_out", "aborted", "lost"])
def test_only_success_costs(site: Site, status: str) -> None:
    """Every other end gives back what was held and records no usage."""
    project, payer = site.shop(), site.subscriber()

    ended(authorized_run(project, payer), status=status)

    assert (Reservation.objects.get().settled_amount, UsageRecord.objects.count()) == (0, 0)


def test_run_without_run_time_has_nothing_to_bill(site: Site) -> None:
    """A quantity of zero is recorded and never sent."""
    project, payer = site.shop(), site.subscriber()

    record = used(project, payer, seconds="0")

    assert (record.quantity, record.state) == (0, UsageState.EMPTY)


def test_user_without_a_customer_is_told_to_wait(site: Site) -> None:
    """Right after the sign-up the account is still being set up."""
    project, payer = site.shop(), site.user().profile

    assert refusal(queued_run(project, payer)) == BEING_SET_UP


def test_project_just_published_is_told_to_wait(site: Site) -> None:
    """A run never starts before its item exists, for its usage would not be billed."""
    payer = site.subscriber()
    project = site.shop()

    assert refusal(queued_run(project, payer)) == BEING_SET_UP


def test_item_of_an_older_pricing_policy_does_not_count(site: Site) -> None:
    """After a change of policy runs wait for the item that counts in its units."""
    project, payer = site.shop(), site.subscriber()
    site.configure(PRICING="comp_billing.pricing.PennyPricing")
    catalog.set_up_catalog()

    assert refusal(queued_run(project, payer)) == BEING_SET_UP


def test_runs_go_on_once_the_new_policys_item_is_there(site: Site) -> None:
    """After a change of policy usage is recorded in the new units on the new meter."""
    project, payer = site.shop(), site.subscriber()
    site.configure(PRICING="comp_billing.pricing.PennyPricing")
    catalog.set_up_catalog()
    subscriptions.ensure_items()
    site.work()

    record = used(project, payer, seconds="250")

    assert (record.quantity, record.event_name) == (250, f"comp_p{project.pk}_penny")


def test_run_permitted_under_an_older_policy_is_billed_in_its_items_units(site: Site) -> None:
    """A policy that changes during a run does not change what its old meter counts."""
    project, payer = site.shop(), site.subscriber()
    run = authorized_run(project, payer)
    site.configure(PRICING="comp_billing.pricing.PennyPricing")

    ended(run, seconds="2.5")

    record = UsageRecord.objects.get()
    assert (record.event_name, record.quantity) == (f"comp_p{project.pk}_micro", 20_000)


@pytest.mark.parametrize("status", ["past_due", "unpaid"])
def test_unpaid_invoice_refuses_further_runs(site: Site, status: str) -> None:
    """A subscription in arrears takes no new runs, and the user hears what to do."""
    project, payer = site.shop(), site.subscriber()
    Subscription.objects.update(status=status)

    assert refusal(queued_run(project, payer)).startswith("An earlier invoice has not been paid")


def test_cancelled_subscription_refuses(site: Site) -> None:
    """Usage of a cancelled subscription would not be billed; the next one is on its way."""
    project, payer = site.shop(), site.subscriber()
    Subscription.objects.update(status="canceled")

    assert "is being set up" in refusal(queued_run(project, payer))


def test_customer_deleted_at_stripe_is_refused_with_a_reason(site: Site) -> None:
    """A closed account is told from one that is being set up."""
    project, payer = site.shop(), site.subscriber()
    Customer.objects.update(deleted=True, user=None)

    assert refusal(queued_run(project, payer)).startswith("The billing account was closed.")


def test_customer_deleted_during_a_run_keeps_the_usage_visible(site: Site) -> None:
    """The run still ends, and its usage is recorded for the customer of its permission."""
    project, payer = site.shop(), site.subscriber()
    customer = customer_of(payer)
    run = authorized_run(project, payer)
    Customer.objects.update(deleted=True, user=None)

    ended(run)

    assert UsageRecord.objects.get().stripe_customer_id == customer.pk


def test_inactive_payer_is_refused(site: Site) -> None:
    """An account that is switched off pays for nothing."""
    project, payer = site.shop(), site.subscriber()
    payer.is_active = False

    assert "is not active" in refusal(queued_run(project, payer))


def test_sponsor_pays(site: Site) -> None:
    """The usage of a sponsored run is the sponsor's, whoever owns the run."""
    project, sponsor, owner = site.shop(), site.subscriber("sponsor"), site.user("ada").profile

    ended(authorized_run(project, sponsor, owner=owner))

    assert UsageRecord.objects.get().stripe_customer_id == customer_of(sponsor).pk


def test_private_project_is_not_billed(site: Site) -> None:
    """Runs of projects that are not public are free, customer or not."""
    project = site.public_project(is_public=False)

    ended(authorized_run(project, site.user().profile))

    assert (Reservation.objects.count(), UsageRecord.objects.count()) == (0, 0)


def test_site_without_a_key_is_free(site: Site) -> None:
    """Without Stripe costs are computed and nothing is recorded."""
    site.configure(SECRET_KEY="")
    project, payer = site.public_project(), site.user().profile

    run = ended(authorized_run(project, payer), seconds="2.5")

    assert (run.run_cost, UsageRecord.objects.count()) == (Decimal("0.025"), 0)


def test_receipt_tells_where_the_usage_stands(site: Site) -> None:
    """A receipt has seconds, rate, cost, and the usage record's quantity, state and id."""
    project, payer = site.shop(), site.subscriber()
    run = ended(authorized_run(project, payer), seconds="2.5")
    record = UsageRecord.objects.get()

    receipt = StripeMeter().receipt(run)

    assert receipt is not None
    assert (receipt.seconds, receipt.server_cost, receipt.cost, receipt.currency) == (
        Decimal("2.5"),
        Decimal(36),
        Decimal("0.025"),
        "usd",
    )
    assert (receipt.quantity, receipt.state, receipt.reference) == (
        25_000,
        "Not sent yet",
        str(record.identifier),
    )


def test_unfinished_run_has_no_receipt(site: Site) -> None:
    """Before its end a run has no receipt."""
    project, payer = site.shop(), site.subscriber()

    assert StripeMeter().receipt(authorized_run(project, payer)) is None


def test_metering_calls_nobody(site: Site) -> None:
    """Neither submitting nor finishing a run waits for Stripe."""
    project, payer = site.shop(), site.subscriber()
    before = site.standin.calls.total()

    ended(authorized_run(project, payer))

    assert site.standin.calls.total() == before


def test_usage_is_recorded_once_however_often_the_end_is_told(site: Site) -> None:
    """A second record of the same run writes nothing."""
    project, payer = site.shop(), site.subscriber()
    run = ended(authorized_run(project, payer))

    with transaction.atomic():
        StripeMeter().record(run)

    assert UsageRecord.objects.count() == 1


def test_currency_is_billings(site: Site) -> None:
    """The meter's currency is the one that Stripe bills in."""
    site.configure(CURRENCY="jpy")

    assert (StripeMeter().currency, stripe_api.is_configured()) == ("jpy", True)
