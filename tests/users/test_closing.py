"""Deleting an account: what is personal goes, what is owed and was run stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test import Client

from comp_core import lifecycle
from comp_users import closing
from comp_users.closing import close
from comp_users.exceptions import AccountInUse
from comp_users.models import Profile
from tests.core.builders import make_run

pytestmark = pytest.mark.django_db

User = get_user_model()
PASSWORD = "correct horse battery"
PERSONAL = ("ann", "Ann", "Walter", "Annie", "example.org")


def ann(**values: Any) -> Any:
    """A user with everything personal that the library knows."""
    fields = {"first_name": "Ann", "last_name": "Walter", **values}
    user = User.objects.create_user("ann", "ann@example.org", PASSWORD, **fields)
    Profile.objects.filter(user=user).update(display_name="Annie")
    return User.objects.get(pk=user.pk)


def logged_in(user: Any) -> Client:
    """A browser in which the user has logged in."""
    client = Client()
    assert client.login(username=user.get_username(), password=PASSWORD)
    return client


def row(user: Any) -> str:
    """Everything that the rows of user and profile hold, as text."""
    found = User.objects.filter(pk=user.pk).values().get()
    return f"{found} {Profile.objects.filter(user=user).values().get()}"


def test_nothing_personal_is_left() -> None:
    """Neither name nor address stands in the rows of user and profile any more."""
    user = ann()

    close(user.profile)

    assert [word for word in PERSONAL if word in row(user)] == []


def test_a_closed_account_is_inactive_for_ever() -> None:
    """No log-in, no rights, no runs; and when it was closed is known."""
    user = ann(is_staff=True, is_superuser=True)

    close(user.profile)

    left = User.objects.get(pk=user.pk)
    profile = left.profile
    assert (left.is_active, left.is_staff, left.is_superuser, left.has_usable_password()) == (
        (False,) * 4
    )
    assert (profile.is_active, profile.closed_at is not None) == (False, True)


def test_closing_again_does_nothing() -> None:
    """The second of two clicks is told that there was nothing to do."""
    profile = ann().profile

    assert [close(profile), close(profile)] == [True, False]


def test_two_deleted_accounts_do_not_collide() -> None:
    """Whatever has to be unique stays so."""
    first, second = ann().profile, User.objects.create_user("bob", "bob@example.org").profile

    close(first)
    close(second)

    assert User.objects.values("username").distinct().count() == 2


def test_the_same_address_signs_up_again() -> None:
    """And gets an account that has nothing of the old one."""
    close(ann().profile)

    again = ann()

    assert (again.profile.closed_at, User.objects.count()) == (None, 2)


def test_sessions_end_everywhere() -> None:
    """Another browser that was logged in is not any more."""
    user = ann()
    elsewhere = logged_in(user)

    close(user.profile)

    assert elsewhere.get("/accounts/profile/").status_code == 302


def test_a_step_takes_part_in_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered step that refuses leaves everything as it was."""

    def refuse(profile: Profile) -> None:
        raise AccountInUse

    user = ann()
    before = row(user)
    monkeypatch.setitem(closing._steps, "tests", refuse)

    with pytest.raises(AccountInUse, match="cannot be deleted now"):
        close(user.profile)

    assert row(user) == before


def test_runs_under_way_have_to_end_first() -> None:
    """The user is told how many there are and what to do."""
    run = make_run()

    with pytest.raises(AccountInUse, match="1 run is under way: cancel it, or wait"):
        close(run.owner)


def test_runs_that_have_ended_stay() -> None:
    """Under nobody's name."""
    run = make_run()
    lifecycle.cancel(run)

    close(run.owner)

    run.refresh_from_db()
    assert str(run.owner).startswith("deleted-")


def test_the_admins_log_forgets_the_name() -> None:
    """Django's admin writes names into its log of changes."""
    user = ann()
    kind = ContentType.objects.get_for_model(User)
    values = {"content_type": kind, "object_id": str(user.pk), "action_flag": CHANGE}
    LogEntry.objects.create(user=user, object_repr="ann", change_message="[]", **values)

    close(user.profile)

    assert LogEntry.objects.get().object_repr == str(user.pk)


@pytest.mark.parametrize(
    ("field", "left"),
    [
        (models.CharField(max_length=50), ""),
        (models.CharField(max_length=50, null=True), None),
        (models.CharField(max_length=12, unique=True), "leted-abcdef"),
        (models.EmailField(unique=True), "abcdef@deleted.invalid"),
        (models.DateField(null=True), None),
        (models.IntegerField(default=7), 7),
        (models.FileField(), ""),
    ],
)
def test_a_hosts_own_fields_are_emptied(field: Any, left: object) -> None:
    """Nothing, or where nothing would collide a word that belongs to nobody."""
    field.contribute_to_class(type("Made", (), {"USERNAME_FIELD": "", "_meta": _Meta()}), "made")

    assert closing._blank(field, "abcdef") == left


class _Meta:
    """As much of a model's options as a field asks for."""

    label = "tests.Made"

    def add_field(self, field: Any, private: bool = False) -> None:
        field.model = type("Made", (), {"USERNAME_FIELD": ""})


def test_fields_that_the_user_model_lacks_are_passed_over(settings: Any) -> None:
    """A host names its own in a setting."""
    settings.COMP_USERS = {"PERSONAL_FIELDS": ["last_name", "phone"]}
    user = ann()

    close(user.profile)

    left = User.objects.get(pk=user.pk)
    assert (left.first_name, left.last_name) == ("Ann", "")


def test_confirmed_addresses_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the site has django-allauth, its rows of the user are removed."""
    user = ann()
    rows = ("django.contrib.admin", "admin", "LogEntry")
    monkeypatch.setattr(closing, "LOGIN_ROWS", (rows,))
    entry = {"user": user, "object_repr": "x", "action_flag": CHANGE}
    apps.get_model("admin", "LogEntry").objects.create(**entry)

    close(user.profile)

    assert LogEntry.objects.count() == 0
