"""Every user gets one customer, however the sign-up and Stripe fare."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from comp_billing import customers, intents
from comp_billing.models import Customer, Intent, IntentState
from comp_users.models import Profile
from tests.billing.builders import Site, customer_of, later


class Undone(Exception):
    """Raised to roll a transaction back."""


def test_sign_up_calls_nobody_and_leaves_an_intent(site: Site) -> None:
    """A sign-up makes no call; it leaves the intent to create a customer."""
    user = site.user("ada")

    intent = Intent.objects.get()
    assert (intent.subject, intent.state, dict(site.standin.calls)) == (
        f"customer.create:user:{user.pk}",
        IntentState.PENDING,
        {},
    )


def test_sign_up_rolled_back_leaves_nothing(site: Site) -> None:
    """A sign-up that is rolled back takes its intent with it."""
    with pytest.raises(Undone), transaction.atomic():
        site.user("ada")
        raise Undone

    assert (Intent.objects.count(), get_user_model().objects.count()) == (0, 0)


def test_worker_creates_the_customer(site: Site) -> None:
    """The worker creates a customer with the user's name, address and our marks, and links it."""
    user = site.user("ada", first_name="Ada", last_name="Lovelace")
    intent = Intent.objects.get()

    site.work()

    (made,) = site.objects("customer")
    assert Customer.objects.get().user == user
    assert (made["name"], made["email"], made["metadata"]) == (
        "Ada Lovelace",
        "ada@example.org",
        {
            "comp_user": str(user.pk),
            "comp_install": "comp",
            "comp_intent": str(intent.idempotency_base),
        },
    )


@pytest.mark.parametrize("fault", ["refuse", "500_before", "500_saved", "drop_after", "429", "401"])
def test_one_customer_whatever_went_wrong(site: Site, fault: str) -> None:
    """One failure of any kind in creating the customer still ends in exactly one customer."""
    site.standin.faults.add(fault, verb="POST", path="/v1/customers")
    profile = site.user("ada").profile

    site.work()
    site.configure(SECRET_KEY="sk_test_corrected")  # A refused key is not used for a while.
    site.work()

    (made,) = site.objects("customer")
    assert customer_of(profile).pk == made["id"]


def test_customer_made_before_the_key_was_forgotten_is_found(site: Site) -> None:
    """After a lost answer and a day's pause the customer is found by our mark, not made again."""
    site.standin.faults.add("drop_after", verb="POST", path="/v1/customers")
    profile = site.user("ada").profile
    intents.carry_out_due()
    site.standin.advance(seconds=25 * 3600)
    later(Intent.objects.get(), hours=25)

    site.work()

    (made,) = site.objects("customer")
    assert (customer_of(profile).pk, site.standin.calls["POST /v1/customers"]) == (made["id"], 1)


def test_key_forgotten_and_nothing_made_uses_another_key(site: Site) -> None:
    """When nothing is found after a day, the customer is created under the next key."""
    site.standin.faults.add("refuse", verb="POST", path="/v1/customers")
    site.user("ada")
    intents.carry_out_due()
    later(Intent.objects.get(), hours=25)

    site.work()

    intent = Intent.objects.get(kind="customer.create")
    assert (len(site.objects("customer")), intent.generation, intent.state) == (
        1,
        2,
        IntentState.SUCCEEDED,
    )


def test_address_that_stripe_refuses_is_left_out(site: Site) -> None:
    """A user whose address means nothing to Stripe still becomes a customer."""
    site.user("root")
    Intent.objects.update(params={"email": "root at localhost", "metadata": {"comp_user": "0"}})

    site.work()

    (made,) = site.objects("customer")
    assert made["email"] is None


def test_users_from_before_stripe_was_switched_on_become_customers(site: Site) -> None:
    """Users of a site without a key, superusers too, are found once there is one."""
    site.configure(SECRET_KEY="")
    site.user("ada")
    get_user_model().objects.create_superuser("root", "root@example.org", "pw")
    site.configure(SECRET_KEY="sk_test_new")

    made = customers.ensure_customers()
    site.work()

    assert (made, Customer.objects.filter(user__isnull=False).count()) == (2, 2)


def test_ensuring_customers_again_asks_for_nothing(site: Site) -> None:
    """A round over users who have a customer, or whose is on its way, makes no intent."""
    site.subscriber("ada")
    site.user("bob")

    made = customers.ensure_customers()

    assert made == 0


def test_inactive_users_are_left_alone(site: Site) -> None:
    """Nobody asks for a customer of an account that is switched off."""
    site.configure(SECRET_KEY="")
    profile = site.user("ada").profile
    Profile.objects.filter(pk=profile.pk).update(is_active=False)
    site.configure(SECRET_KEY="sk_test_new")

    made = customers.ensure_customers()

    assert made == 0


def test_sign_up_before_the_tables_exist_is_caught_up_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users that a first ``migrate`` of other apps makes need no table of billing's."""
    intents.forget_table()
    monkeypatch.setattr(Intent._meta, "db_table", "not_there_yet")
    user = site.user("ada")
    monkeypatch.undo()

    made = customers.ensure_customers()

    assert (made, Intent.objects.get().subject) == (1, f"customer.create:user:{user.pk}")
