"""Who becomes a customer, and when: everybody at once, or whoever the site's rule admits."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from comp_billing import customers
from comp_billing.checks import check_settings
from comp_billing.confirmation import ConfirmedEmail
from comp_billing.models import Customer, Intent
from comp_users.models import Profile
from tests.billing.builders import Site, queued_run, refusal

RULES = "tests.billing.test_confirmation"


class Confirmed(ConfirmedEmail):
    """Addresses kept in a table of the site's own; here the admin's log serves as one."""

    model = ("admin", "LogEntry")
    condition = {"action_flag": CHANGE}


class Nowhere(ConfirmedEmail):
    """Addresses in a table that is not there."""

    model = ("nowhere", "Address")


@pytest.fixture
def held(site: Site) -> Site:
    """A site that holds customers back until an address is confirmed."""
    site.configure(CUSTOMER_WHEN=f"{RULES}.Confirmed")
    return site


def note(user: Any, *, confirmed: bool) -> None:
    """An address of the user's."""
    flag = CHANGE if confirmed else ADDITION
    LogEntry.objects.create(user=user, object_repr="address", action_flag=flag)


def asked() -> list[str]:
    """Whom an intent makes a customer."""
    return [intent.params["name"] for intent in Intent.objects.filter(kind="customer.create")]


def test_nobody_is_a_customer_before_the_address_is_confirmed(held: Site) -> None:
    """Neither at sign-up nor by the loop; an address alone is not enough."""
    note(held.user("ada"), confirmed=False)

    made = customers.ensure_customers()

    assert (made, asked()) == (0, [])


def test_the_confirmed_are_found_by_the_loop(held: Site) -> None:
    """And they alone."""
    note(held.user("ada"), confirmed=True)
    held.user("bob")

    made = customers.ensure_customers()

    assert (made, asked()) == (1, ["ada"])


def test_a_sign_up_robot_makes_no_customers(held: Site) -> None:
    """A thousand accounts: no intent, no call, and a round of the loop is as short as ever."""
    users = [get_user_model()(username=f"bot{number}") for number in range(1000)]
    get_user_model().objects.bulk_create(users)
    profiles = [Profile(user=user) for user in get_user_model().objects.all()]
    Profile.objects.bulk_create(profiles)

    with CaptureQueriesContext(connection) as queries:
        customers.ensure_customers()

    assert (Intent.objects.count(), held.standin.calls.total(), len(queries)) == (0, 0, 1)


def test_many_who_are_admitted_take_a_few_statements(site: Site) -> None:
    """For each batch: the profiles, what was asked for before, and all intents at once."""
    site.configure(SECRET_KEY="")
    for number in range(30):
        site.user(f"user{number}")
    site.configure(SECRET_KEY="sk_test_new")

    with CaptureQueriesContext(connection) as queries:
        made = customers.ensure_customers()

    statements = [q["sql"] for q in queries if q["sql"].startswith(("SELECT", "INSERT"))]
    assert (made, len(statements)) == (30, 4)


def test_a_run_is_refused_in_words(held: Site) -> None:
    """That say what to do first."""
    run = queued_run(held.shop(), held.user("ada").profile)

    assert refusal(run).startswith("Please confirm your e-mail address first")


def test_once_confirmed_the_account_is_being_set_up(held: Site) -> None:
    """Which takes a minute."""
    user = held.user("ada")
    note(user, confirmed=True)

    assert "being set up" in refusal(queued_run(held.shop(), user.profile))


def test_a_customer_once_made_stays(held: Site) -> None:
    """Though the address is no longer confirmed: the user may run and pay."""
    project = held.shop()
    user = held.user("ada")
    note(user, confirmed=True)
    customers.ensure_customers()
    held.work()
    LogEntry.objects.all().delete()

    assert Customer.objects.get(user=user).subscriptions.get().plans.get().product.project == (
        project
    )


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ({"CUSTOMER_WHEN": "comp_billing.confirmation.Everybody"}, []),
        ({"CUSTOMER_WHEN": "comp_billing.confirmation.AfterFirstRun"}, []),
        ({"CUSTOMER_WHEN": f"{RULES}.Confirmed"}, []),
        ({"CUSTOMER_WHEN": f"{RULES}.Nowhere"}, ["comp_billing.E012"]),
        ({"CUSTOMER_WHEN": "comp_billing.confirmation.ConfirmedEmail"}, ["comp_billing.E012"]),
        ({"CUSTOMER_WHEN": "comp_users.models.Profile"}, ["comp_billing.E011"]),
        ({"CUSTOMER_WHEN": "no.such.rule"}, ["comp_billing.E011"]),
        ({"SUBSCRIBE_ON": "never"}, ["comp_billing.E013"]),
        ({"SUBSCRIBE_ON": "first_run"}, []),
    ],
)
def test_what_the_settings_name_has_to_be_there(
    settings: Any, values: dict[str, str], ids: list[str]
) -> None:
    """A rule, the table that it reads, and a time that there is."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, **values}

    assert [message.id for message in check_settings(None)] == ids
