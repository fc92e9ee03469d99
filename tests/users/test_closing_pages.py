"""The pages by which users, and staff, delete accounts."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from comp_users.closing import close
from comp_users.models import Profile
from tests.core.builders import make_run
from tests.users.test_closing import PASSWORD, ann, logged_in

pytestmark = pytest.mark.django_db

User = get_user_model()
DELETE = "/accounts/profile/delete/"


def test_the_page_says_what_stays_and_what_is_billed() -> None:
    """Before anything is done."""
    text = logged_in(ann()).get(DELETE).content.decode()

    assert [word for word in ("cannot be undone", "runs stay", "last invoice") if word in text] == [
        "cannot be undone",
        "runs stay",
        "last invoice",
    ]


def test_the_profile_leads_to_the_page() -> None:
    """By a link."""
    assert DELETE in logged_in(ann()).get("/accounts/profile/").content.decode()


def test_a_visitor_logs_in_first() -> None:
    """There is no account to delete."""
    assert Client().post(DELETE, {"password": PASSWORD}).status_code == 302


def test_the_password_deletes_the_account() -> None:
    """And ends the session at hand."""
    user = ann()
    client = logged_in(user)

    answer = client.post(DELETE, {"password": PASSWORD})

    assert ("has been deleted" in answer.content.decode(), "_auth_user_id" in client.session) == (
        True,
        False,
    )
    assert Profile.objects.get(user=user).closed_at is not None


def test_a_wrong_password_deletes_nothing() -> None:
    """And says so."""
    user = ann()

    answer = logged_in(user).post(DELETE, {"password": "guessed"})

    assert "This is not your password." in answer.content.decode()
    assert Profile.objects.get(user=user).closed_at is None


@pytest.mark.parametrize(("typed", "closed"), [("ann", True), ("Ann", False)])
def test_who_has_no_password_types_the_user_name(typed: str, closed: bool) -> None:
    """Of an account elsewhere that the user logs in with."""
    user = ann()
    user.set_unusable_password()
    user.save()
    client = Client()
    client.force_login(user)

    client.post(DELETE, {"username": typed})

    assert (Profile.objects.get(user=user).closed_at is not None) == closed


def test_the_page_tells_of_runs_under_way() -> None:
    """Instead of a fault."""
    run = make_run()
    run.owner.user.set_password(PASSWORD)
    run.owner.user.save()

    answer = logged_in(run.owner.user).post(DELETE, {"password": PASSWORD})

    assert "1 run is under way" in answer.content.decode()


# -- the admin


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.org"))
    return client


def act(admin: Client, *profiles: Profile) -> str:
    """What the admin's list says after the action on these."""
    form = {"action": "delete_accounts", "_selected_action": [profile.pk for profile in profiles]}
    return admin.post("/admin/comp_users/profile/", form, follow=True).content.decode()


def test_staff_delete_accounts_by_an_action(admin: Client) -> None:
    """Those that can be deleted; of others the reason is told."""
    free, busy = ann().profile, make_run().owner

    text = act(admin, free, busy)

    assert ("1 account deleted." in text, ": 1 run is under way" in text) == (True, True)
    assert Profile.objects.filter(closed_at__isnull=False).get() == free


def test_staff_do_not_delete_their_own_account_in_passing(admin: Client) -> None:
    """That takes the password."""
    text = act(admin, Profile.objects.get(user__username="root"))

    assert ("with your password" in text, Profile.objects.get().closed_at) == (True, None)


def test_a_deleted_account_is_not_switched_on_again(admin: Client) -> None:
    """The admin's form does not offer it."""
    profile = ann().profile
    close(profile)

    answer = admin.post(f"/admin/comp_users/profile/{profile.pk}/change/", {"is_active": "on"})

    profile.refresh_from_db()
    assert (answer.status_code, profile.is_active) == (302, False)
