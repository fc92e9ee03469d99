"""Projects: what the database refuses, and who sees and runs them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from comp_users.models import Profile, Project

pytestmark = pytest.mark.django_db


def profile(name: str, **user_fields: bool) -> Profile:
    user = get_user_model().objects.create_user(name, f"{name}@example.com", **user_fields)
    return Profile.objects.get(user=user)


def project(slug: str, **fields: object) -> Project:
    return Project.objects.create(**{"slug": slug, "name": slug.title(), **fields})


@pytest.fixture(autouse=True)
def _no_models_of_the_test_apps() -> None:
    Project.objects.all().delete()


def test_a_public_project_without_a_rate_is_impossible() -> None:
    """The rule is a constraint, not care."""
    with pytest.raises(IntegrityError), transaction.atomic():
        project("a", is_public=True)


def test_the_form_says_what_a_public_project_needs() -> None:
    """The same rule in words."""
    with pytest.raises(ValidationError) as refusal:
        Project(slug="a", name="A", is_public=True).full_clean()
    assert refusal.value.messages == ["A public project needs a server cost."]


def test_a_negative_rate_is_impossible() -> None:
    """Nobody is paid for running a model."""
    with pytest.raises(IntegrityError), transaction.atomic():
        project("a", server_cost=Decimal("-0.01"))


def test_visitors_see_public_and_listed_projects() -> None:
    """An owner sees their own besides; staff see all."""
    owner, staff = profile("owner"), profile("staff", is_staff=True)
    project("public", is_public=True, server_cost=1)
    project("unlisted", is_public=True, server_cost=1, listed=False)
    project("private", owner=owner)
    seen = [
        sorted(Project.objects.visible_to(user).values_list("slug", flat=True))
        for user in (AnonymousUser(), owner.user, staff.user)
    ]
    assert seen == [["public"], ["private", "public"], ["private", "public", "unlisted"]]


def test_who_may_run_what() -> None:
    """Public: everybody with access; private: its owner and staff; inactive: nobody."""
    owner, staff, other = profile("owner"), profile("staff", is_staff=True), profile("other")
    barred, gone = profile("barred"), profile("gone")
    barred.public_access = False
    gone.is_active = False
    public = project("public", is_public=True, server_cost=1)
    private = project("private", owner=owner)
    answers = {
        p.user.get_username(): (p.may_run(public), p.may_run(private))
        for p in (owner, staff, other, barred, gone)
    }
    assert answers == {
        "owner": (True, True),
        "staff": (True, True),
        "other": (True, False),
        "barred": (False, False),
        "gone": (False, False),
    }
