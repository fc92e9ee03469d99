"""With the key of another account nothing is sent: it waits until the key is ours again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comp_billing import catalog, stripe_api, usage
from comp_billing.exceptions import OtherAccount
from comp_billing.models import Customer, Intent, UsageState
from comp_billing.testing import StandIn, StandInClient
from tests.billing.builders import Site, used


@pytest.fixture
def other(site: Site) -> Iterator[StandIn]:
    """An empty account at Stripe, which is not the site's."""
    standin = StandIn()
    standin.settings["account"] = "acct_other"
    yield standin
    standin.close()


def changes(standin: StandIn) -> dict[str, int]:
    """Calls that were no questions."""
    return {call: count for call, count in standin.calls.items() if not call.startswith("GET")}


def test_customers_are_made_when_the_key_is_ours_again(site: Site, other: StandIn) -> None:
    """And not in the other account."""
    site.shop()
    with stripe_api.use_http_client(StandInClient(other)):
        user = site.user("bob")
        site.work()
        waiting = Intent.objects.filter(state="pending").count()
    site.work()
    assert (changes(other), waiting > 0, Customer.objects.filter(user=user).count()) == (
        {},
        True,
        1,
    )


def test_usage_is_reported_when_the_key_is_ours_again(site: Site, other: StandIn) -> None:
    """It has not been sent, so nothing is in doubt."""
    record = used(site.shop(), site.subscriber())
    with stripe_api.use_http_client(StandInClient(other)):
        settled = usage.report_due()
        record.refresh_from_db()
        waiting = record.state
    usage.report_due()
    record.refresh_from_db()
    assert (changes(other), settled, waiting, record.state) == (
        {},
        0,
        UsageState.PENDING,
        UsageState.ACCEPTED,
    )


def test_a_command_refuses(site: Site, other: StandIn) -> None:
    """Before it has made anything."""
    site.shop()
    site.public_project("Another")
    with (
        stripe_api.use_http_client(StandInClient(other)),
        pytest.raises(OtherAccount, match="acct_other"),
    ):
        catalog.set_up_catalog()
    assert changes(other) == {}
