"""Users, profiles and projects in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from comp_users.models import Profile, Project

pytestmark = pytest.mark.django_db

User = get_user_model()


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.org"))
    return client


def project_form(**values: Any) -> dict[str, Any]:
    form = {"name": "Tides", "slug": "tides", "exp_task_time": "60", "listed": "on"}
    return {**form, **values}


def test_a_public_project_needs_a_server_cost_in_words(admin: Client) -> None:
    """The sentence stands at the field that lacks it and names the ways out."""
    answer = admin.post("/admin/comp_users/project/add/", project_form(is_public="on"))
    errors = answer.context["adminform"].form.errors
    assert list(errors) == ["server_cost"]
    assert "make the project private" in errors["server_cost"][0]


@pytest.mark.parametrize("cost", ["0", "0.36"])
def test_a_public_project_with_a_cost_is_saved(admin: Client, cost: str) -> None:
    """Zero is a cost."""
    form = project_form(is_public="on", server_cost=cost)
    answer = admin.post("/admin/comp_users/project/add/", form)
    assert (answer.status_code, Project.objects.filter(slug="tides").count()) == (302, 1)


def test_the_slug_stays(admin: Client) -> None:
    """It is the model's address and the meter's name: changing a project leaves it."""
    project = Project.objects.create(name="Tides", slug="tides")
    form = project_form(name="Tides and currents", slug="currents")
    admin.post(f"/admin/comp_users/project/{project.pk}/change/", form)
    project.refresh_from_db()
    assert (project.name, project.slug) == ("Tides and currents", "tides")


def test_a_user_made_in_the_admin_has_a_profile(admin: Client) -> None:
    """Exactly one."""
    form = {
        "username": "ann",
        "email": "ann@example.org",
        "usable_password": "true",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
    }
    answer = admin.post("/admin/comp_users/user/add/", form)
    assert (answer.status_code, Profile.objects.filter(user__username="ann").count()) == (302, 1)


@pytest.mark.parametrize("page", ["user", "profile", "project"])
def test_lists_and_pages_open(admin: Client, page: str) -> None:
    """With search."""
    Project.objects.create(name="Tides", slug="tides")
    User.objects.create_user("ann", "ann@example.org")
    pk = {
        "user": User.objects.get(username="ann").pk,
        "profile": Profile.objects.get(user__username="ann").pk,
        "project": Project.objects.get(slug="tides").pk,
    }[page]
    addresses = [f"/admin/comp_users/{page}/?q=a", f"/admin/comp_users/{page}/{pk}/change/"]
    assert [admin.get(address).status_code for address in addresses] == [200, 200]


def test_profiles_are_neither_added_nor_removed(admin: Client) -> None:
    """They come with the user and stay for the books."""
    profile = User.objects.create_user("ann", "ann@example.org").profile
    addresses = ["add/", f"{profile.pk}/delete/"]
    codes = [admin.get(f"/admin/comp_users/profile/{a}").status_code for a in addresses]
    assert codes == [403, 403]
