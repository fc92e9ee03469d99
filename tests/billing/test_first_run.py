"""Sites that subscribe at the first run: the wish survives the submit that is refused for it."""

from __future__ import annotations

import pytest
from django.db import transaction

from comp_billing import customers, subscriptions
from comp_billing.models import Customer, FirstRun, Intent, SubscriptionItem
from comp_core import lifecycle
from comp_core.exceptions import RunRefused
from comp_core.models import Run
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_users.closing import close
from comp_users.models import Profile, Project
from tests.billing.builders import USD_PER_SECOND, Site, used
from tests.core.builders import make_inputs

SETTING_UP = "being set up"


@pytest.fixture
def lazy(site: Site) -> Site:
    """A site that subscribes at the first run."""
    site.configure(SUBSCRIBE_ON="first_run")
    return site


def doubling(site: Site) -> Project:
    """The test model's project, on offer."""
    project = project_for(get_spec("doubling"))
    project.is_public, project.server_cost = True, USD_PER_SECOND
    project.save()
    site.work()
    return project


def refused(owner: Profile) -> str:
    """What submit says instead of queueing a run."""
    with pytest.raises(RunRefused) as raised:
        lifecycle.submit(make_inputs("doubling", owner))
    return str(raised.value)


def items_of(profile: Profile) -> list[str]:
    """The slugs of the projects that a profile's customer has live items for."""
    items = subscriptions.live_items().filter(subscription__customer__user=profile.user)
    return list(items.values_list("plan__meter__project__slug", flat=True))


def test_nobody_is_subscribed_before_the_first_run(lazy: Site) -> None:
    """Neither when the customer is made nor by the fan-out."""
    doubling(lazy)
    profile = lazy.subscriber()

    made = subscriptions.ensure_items()
    lazy.work()

    assert (made, items_of(profile), lazy.objects("subscription")) == (0, [], [])


def test_the_first_submit_asks_for_the_item(lazy: Site) -> None:
    """It is refused, its run is gone, and the intent is there."""
    doubling(lazy)
    profile = lazy.subscriber()

    words = refused(profile)

    assert (SETTING_UP in words, Run.objects.count()) == (True, 0)
    assert Intent.objects.filter(kind="subscription.create", state="pending").count() == 1


def test_the_second_submit_is_billed(lazy: Site) -> None:
    """Once the worker has been."""
    doubling(lazy)
    profile = lazy.subscriber()
    refused(profile)
    lazy.work()

    run = lifecycle.submit(make_inputs("doubling", profile))

    assert (run.status, items_of(profile)) == ("queued", ["doubling"])


def test_other_projects_are_left_alone(lazy: Site) -> None:
    """A first run of one subscribes to no other, and nobody else."""
    doubling(lazy)
    lazy.shop("Other")
    profile, other = lazy.subscriber("ada"), lazy.subscriber("bob")
    refused(profile)

    subscriptions.ensure_items()
    lazy.work()

    assert (items_of(profile), items_of(other)) == (["doubling"], [])


def test_the_wish_survives_within_a_transaction_of_the_callers(lazy: Site) -> None:
    """Where each request is one: only the submit is rolled back."""
    doubling(lazy)
    profile = lazy.subscriber()

    with transaction.atomic():
        refused(profile)

    lazy.work()
    assert items_of(profile) == ["doubling"]


def test_a_wish_from_before_there_was_a_customer_is_kept(lazy: Site) -> None:
    """The customer is subscribed to what its user wanted, as soon as it is made."""
    doubling(lazy)
    profile: Profile = lazy.user().profile
    refused(profile)

    lazy.work()

    assert items_of(profile) == ["doubling"]


def test_an_item_that_is_gone_is_asked_for_again(lazy: Site) -> None:
    """The wish stays, whatever happens at Stripe."""
    doubling(lazy)
    profile = lazy.subscriber()
    refused(profile)
    lazy.work()
    SubscriptionItem.objects.all().delete()
    Customer.objects.get().subscriptions.update(status="canceled")

    subscriptions.ensure_items()
    lazy.work()

    assert items_of(profile) == ["doubling"]


def test_wishing_twice_is_one_wish(lazy: Site) -> None:
    """Impatience makes nothing more."""
    doubling(lazy)
    profile = lazy.subscriber()

    refused(profile)
    refused(profile)

    wishes, asked = FirstRun.objects.count(), Intent.objects.filter(kind="subscription.create")
    assert (wishes, asked.count()) == (1, 1)


def test_the_sponsor_is_subscribed_where_there_is_one(lazy: Site) -> None:
    """Whoever pays is billed."""
    project = doubling(lazy)
    sponsor, user = lazy.subscriber("sponsor"), lazy.subscriber("ada")
    project.sponsor = sponsor
    project.save()

    refused(user)
    lazy.work()

    assert (items_of(sponsor), items_of(user)) == (["doubling"], [])


def test_at_sign_up_nothing_is_written_down(site: Site) -> None:
    """By default the refused submit leaves nothing."""
    doubling(site)
    profile: Profile = site.user().profile

    refused(profile)

    assert FirstRun.objects.count() == 0


def test_a_customer_at_the_first_run(site: Site) -> None:
    """With this rule there is none before, and then one that is subscribed to everything."""
    site.configure(CUSTOMER_WHEN="comp_billing.confirmation.AfterFirstRun")
    doubling(site)
    profile: Profile = site.user().profile
    before = customers.ensure_customers()

    words = refused(profile)
    site.work()

    assert (before, SETTING_UP in words, items_of(profile)) == (0, True, ["doubling"])


def test_a_deleted_account_wishes_for_nothing(lazy: Site) -> None:
    """A submit that crossed the deletion asks for nothing."""
    doubling(lazy)
    profile: Profile = lazy.user().profile
    inputs = make_inputs("doubling", profile)
    close(profile)

    with pytest.raises(RunRefused):
        lifecycle.submit(inputs)

    assert FirstRun.objects.count() == 0


def test_usage_is_billed_on_the_item_of_the_first_run(lazy: Site) -> None:
    """As on any other."""
    project = doubling(lazy)
    profile = lazy.subscriber()
    refused(profile)
    lazy.work()

    assert used(project, profile).subscription_item.plan.meter.project == project
