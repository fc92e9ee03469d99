"""A project that is not public any more: everybody is billed to the end, then it is archived."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from comp_billing import mirror, retirement, stripe_api, subscriptions, usage
from comp_billing.models import Intent, Invoice, SubscriptionItem, UsageRecord
from comp_users.models import Profile, Project
from tests.billing.builders import Site, authorized_run, customer_of, ended, used


def unpublish(project: Project, *, public: bool = False) -> None:
    """In the admin."""
    project.refresh_from_db()
    project.is_public = public
    project.save()


def rounds(site: Site) -> None:
    """Some rounds of the loop and of the worker."""
    for _round in range(3):
        retirement.retire()
        site.work()


def on_sale(site: Site) -> dict[str, Any]:
    """At Stripe: what is in use."""
    return {
        "product": [one["active"] for one in site.objects("product")],
        "price": [one["active"] for one in site.objects("price")],
        "meter": [one["status"] for one in site.objects("billing.meter")],
        "items": len(live(site)),
    }


def live(site: Site) -> list[dict[str, Any]]:
    """At Stripe: items of subscriptions that have not ended."""
    ended = {one["id"] for one in site.objects("subscription") if one["status"] == "canceled"}
    return [one for one in site.objects("subscription_item") if one["subscription"] not in ended]


def next_period() -> None:
    """A period has begun since, more than a day ago, and what was used is on a final invoice."""
    SubscriptionItem.objects.update(current_period_start=timezone.now() - timedelta(days=2))
    past = timezone.now() - timedelta(days=5)
    UsageRecord.objects.update(used_at=past, timestamp=past)


SOLD = {"product": [True], "price": [True], "meter": ["active"], "items": 1}
ARCHIVED = {"product": [False], "price": [False], "meter": ["inactive"], "items": 0}


@pytest.fixture
def project(site: Site) -> Project:
    """On sale."""
    return site.shop()


@pytest.fixture
def payer(site: Site, project: Project) -> Profile:
    """Subscribed to it."""
    return site.subscriber()


def test_a_project_that_nobody_has_used_goes_at_once(
    site: Site, project: Project, payer: Profile
) -> None:
    """Its items, its price, its product and its meter."""
    unpublish(project)

    rounds(site)

    assert on_sale(site) == ARCHIVED


def test_no_new_runs(site: Site, project: Project, payer: Profile) -> None:
    """From the moment that it is not public."""
    unpublish(project)

    assert not payer.may_run(project)


def test_nobody_joins_what_is_going(site: Site, project: Project, payer: Profile) -> None:
    """Its item is still there for who has used it; a new customer gets none."""
    used(project, payer)
    unpublish(project)

    site.subscriber("bob")
    subscriptions.ensure_items()
    rounds(site)

    assert on_sale(site) == SOLD


def test_everybody_keeps_what_else_they_are_subscribed_to(site: Site, project: Project) -> None:
    """The item goes, the subscription stays."""
    other = site.shop("Other")
    site.subscriber()
    unpublish(project)

    rounds(site)

    assert [item["price"]["product"] for item in live(site)] == [other.product.pk]


def test_usage_of_this_period_keeps_the_item(site: Site, project: Project, payer: Profile) -> None:
    """Until the period is over: removing it would lose what was used."""
    used(project, payer)
    usage.report_due()
    unpublish(project)
    rounds(site)
    before = on_sale(site)
    next_period()

    rounds(site)

    assert (before, on_sale(site)) == (SOLD, ARCHIVED)


def test_a_draft_keeps_the_item(site: Site, project: Project, payer: Profile) -> None:
    """The last invoice has to be final."""
    used(project, payer)
    usage.report_due()
    unpublish(project)
    next_period()
    draft = Invoice.objects.create(
        stripe_id="in_1",
        status="draft",
        customer=customer_of(payer),
        subscription=customer_of(payer).subscriptions.get(),
        as_of=1,
    )
    rounds(site)
    before = on_sale(site)
    Invoice.objects.filter(pk=draft.pk).update(status="paid")

    rounds(site)

    assert (before, on_sale(site)) == (SOLD, ARCHIVED)


def test_a_run_under_way_keeps_everything(site: Site, project: Project, payer: Profile) -> None:
    """It was permitted and will be billed."""
    run = authorized_run(project, payer)
    unpublish(project)
    rounds(site)
    before = on_sale(site)
    ended(run)
    usage.report_due()
    next_period()

    rounds(site)

    assert (before, on_sale(site)) == (SOLD, ARCHIVED)


@pytest.mark.parametrize("state", ["pending", "rejected", "ambiguous"])
def test_unsettled_usage_keeps_the_meter(
    site: Site, project: Project, payer: Profile, state: str
) -> None:
    """Also when no item is left."""
    used(project, payer)
    usage.report_due()
    next_period()
    SubscriptionItem.objects.update(deleted=True)
    UsageRecord.objects.update(state=state, next_attempt_at=timezone.now())
    unpublish(project)

    rounds(site)

    assert on_sale(site) == SOLD


def test_the_last_period_is_billed_in_full(site: Site, project: Project, payer: Profile) -> None:
    """By Stripe's own books: four dollars, and nothing after."""
    used(project, payer, seconds="400")
    usage.report_due()
    unpublish(project)
    rounds(site)
    site.standin.advance(months=1)
    site.standin.advance(seconds=2 * 3600)
    next_period()

    rounds(site)

    assert ([one["total"] for one in site.objects("invoice")], on_sale(site)) == (
        [400, 0],
        ARCHIVED,
    )


def test_published_again_before_it_has_gone(site: Site, project: Project, payer: Profile) -> None:
    """Nothing has happened."""
    unpublish(project)
    retirement.retire()
    unpublish(project, public=True)

    rounds(site)

    assert (on_sale(site), Intent.objects.filter(kind=retirement.REMOVE).count()) == (SOLD, 0)


def test_published_again_comes_back(site: Site, project: Project, payer: Profile) -> None:
    """The product and the meter as they were, the next price, and an item for everybody."""
    unpublish(project)
    rounds(site)
    unpublish(project, public=True)
    site.work()

    subscriptions.ensure_items()
    site.work()

    assert on_sale(site) == {**SOLD, "price": [False, True]}
    assert used(project, payer).quantity > 0


def test_as_often_as_it_is_published(site: Site, project: Project, payer: Profile) -> None:
    """The second time it goes as it went the first."""
    for public in (False, True, False):
        unpublish(project, public=public)
        rounds(site)
        subscriptions.ensure_items()
        site.work()

    assert on_sale(site) == {**ARCHIVED, "price": [False, False]}


@pytest.mark.parametrize("fault", ["500_before", "500_saved", "drop_after", "429"])
@pytest.mark.parametrize(
    "call",
    [
        "DELETE /v1/subscription_items/*",
        "DELETE /v1/subscriptions/*",
        "POST /v1/products/*",
        "POST /v1/prices/*",
        "POST /v1/billing/meters/*/deactivate",
    ],
)
def test_one_end_whatever_went_wrong(
    site: Site, project: Project, payer: Profile, fault: str, call: str
) -> None:
    """One failure of any kind still ends with everything archived."""
    unpublish(project)
    verb, _, path = call.partition(" ")
    site.standin.faults.add(fault, verb=verb, path=path)

    rounds(site)

    assert on_sale(site) == ARCHIVED


def test_an_item_that_was_removed_by_hand_is_a_fine_end(site: Site, project: Project) -> None:
    """The second removal is told that there is none."""
    site.shop("Other")
    site.subscriber()
    unpublish(project)
    item = SubscriptionItem.objects.get(plan__meter__project=project)
    stripe_api.call("delete", f"/v1/subscription_items/{item.pk}")

    rounds(site)

    assert Intent.objects.get(kind=retirement.REMOVE).state == "succeeded"


def test_a_licence_keeps_its_product(site: Site, project: Project) -> None:
    """A plan that somebody made by hand is sold on, the metered one is not."""
    recurring = {"interval": "month", "usage_type": "licensed"}
    params = {"product": project.product.pk, "currency": "usd", "unit_amount": 500}
    made = stripe_api.call("post", "/v1/prices", {**params, "recurring": recurring})
    version = stripe_api.API_VERSION
    mirror.upsert([made.data], as_of=made.as_of, rank=mirror.Rank.LIST, api_version=version)
    unpublish(project)

    rounds(site)

    assert on_sale(site) == {**ARCHIVED, "product": [True], "price": [False, True]}


@pytest.mark.parametrize("used_up", [True, False])
def test_what_becomes_of_it_is_told(
    site: Site, project: Project, payer: Profile, used_up: bool
) -> None:
    """In words, for the set-up command's dry run."""
    unpublish(project)
    SubscriptionItem.objects.update(deleted=used_up)

    words = retirement.outlook(project)

    assert ("removes its 1 item," in words, "archives" in words) == (not used_up, True)


def test_the_dry_run_tells_of_it(site: Site, project: Project, payer: Profile) -> None:
    """And calls nobody."""
    unpublish(project)
    told, before = StringIO(), site.standin.calls.total()

    call_command("comp_setup_stripe", "--dry-run", stdout=told)

    assert "Epidemic: is not public any more" in told.getvalue()
    assert site.standin.calls.total() == before
