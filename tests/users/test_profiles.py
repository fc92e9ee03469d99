"""Every user has exactly one profile, however the user was made."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from comp_users.models import Profile
from comp_users.profiles import ensure_all_profiles, ensure_profile
from comp_users.signals import profile_created

pytestmark = pytest.mark.django_db
User = get_user_model()


@pytest.fixture
def announced() -> Any:
    """The profiles that profile_created has told of."""
    heard: list[Profile] = []

    def listen(sender: type[Profile], profile: Profile, **kwargs: Any) -> None:
        heard.append(profile)

    profile_created.connect(listen)
    yield heard
    profile_created.disconnect(listen)


def test_a_created_user_has_a_profile(announced: list[Profile]) -> None:
    """And it is announced once."""
    user = User.objects.create_user("ada", "ada@example.com", "secret")
    assert announced == [user.profile]


def test_a_superuser_made_by_the_command_has_a_profile() -> None:
    """``createsuperuser`` goes through no page of ours."""
    call_command(
        "createsuperuser", username="root", email="root@example.com", interactive=False,
        stdout=StringIO(),
    )  # fmt: skip
    assert Profile.objects.get().user.get_username() == "root"


def test_users_that_send_no_signal_get_their_profile_at_migrate(announced: list[Profile]) -> None:
    """Users of before the installation, and those of bulk_create."""
    User.objects.bulk_create([User(username=name, email=f"{name}@example.com") for name in "abc"])
    assert Profile.objects.count() == 0
    call_command("migrate", verbosity=0)
    assert {profile.user.get_username() for profile in announced} == {"a", "b", "c"}


def test_a_second_look_makes_nothing(announced: list[Profile]) -> None:
    """Ensuring is idempotent and announces nothing twice."""
    user = User.objects.create_user("ada", "ada@example.com")
    ensure_profile(user)
    assert (ensure_all_profiles(), len(announced)) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_sign_up_leaves_no_profile() -> None:
    """User and profile are one transaction."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        User.objects.create_user("ada", "ada@example.com")
        raise ZeroDivisionError
    assert Profile.objects.count() == 0


@pytest.mark.parametrize("address", ["ADA@example.com", "ada@EXAMPLE.com", "Ada@Example.Com"])
def test_an_address_in_another_case_is_the_same_address(address: str) -> None:
    """The database refuses the second account."""
    User.objects.create_user("ada", "ada@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="other", email=address)


def test_accounts_without_an_address_do_not_collide() -> None:
    """Blank is no address."""
    for name in ("a", "b"):
        User.objects.create_user(name)
    assert Profile.objects.count() == 2


def test_two_profiles_for_one_user_are_impossible() -> None:
    """The one-to-one holds in the database."""
    user = User.objects.create_user("ada")
    with pytest.raises(IntegrityError), transaction.atomic():
        Profile.objects.create(user=user)
    assert connection.in_atomic_block
