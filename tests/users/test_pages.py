"""Sign-up, log-in, log-out, and the header's links."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory

from comp_users import navigation
from comp_users.navigation import Link, links_for

pytestmark = pytest.mark.django_db

User = get_user_model()
PASSWORD = "correct horse battery"
OWN_FRAME = "OWN FRAME {% block title %}{% endblock %}{% block content %}{% endblock %}"


def sign_up(client: Client, **values: str) -> Any:
    form = {
        "username": "ann",
        "email": "ann@example.org",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    return client.post("/accounts/signup/", {**form, **values})


def test_signing_up_makes_an_account_and_logs_in() -> None:
    """With a profile, and on to where the visitor came from."""
    client = Client()
    answer = sign_up(client, next="/models/runs/")
    user = User.objects.get()
    assert (answer.url, client.session["_auth_user_id"], user.profile.public_access) == (
        "/models/runs/",
        str(user.pk),
        True,
    )


def test_sign_up_leads_nowhere_else() -> None:
    """An address of another site is not followed."""
    assert sign_up(Client(), next="https://evil.example/").url == "/accounts/profile/"


@pytest.mark.parametrize("email", ["ann@example.org", "ANN@Example.org", " ann@example.org "])
def test_an_address_serves_one_account(email: str) -> None:
    """In whatever case it is written; the answer does not say whose it is."""
    sign_up(Client())
    answer = sign_up(Client(), username="other", email=email)
    text = answer.content.decode()
    assert (User.objects.count(), "cannot be used for a new account" in text) == (1, True)


def test_an_address_taken_a_moment_ago_is_no_server_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people in the same second: the database decides, the form says it."""
    sign_up(Client())
    monkeypatch.setattr("comp_users.forms.SignUpForm.clean", lambda self: self.cleaned_data)
    monkeypatch.setattr(User, "validate_constraints", lambda self, exclude=None: None)
    answer = sign_up(Client(), username="other", email="ANN@example.org")
    text = answer.content.decode()
    assert (answer.status_code, "cannot be used for a new account" in text) == (200, True)


@pytest.mark.parametrize(
    "values",
    [
        {"email": ""},
        {"email": "nonsense"},
        {"username": ""},
        {"password2": "another"},
        {"password1": "", "password2": ""},
    ],
)
def test_incomplete_sign_ups_are_refused(values: dict[str, str]) -> None:
    """The form comes back with a summary of what is wrong; nobody is made."""
    answer = sign_up(Client(), **values)
    text = answer.content.decode()
    assert ('class="error-summary"' in text, User.objects.count()) == (True, 0)


def test_visitors_find_the_sign_up_in_the_header() -> None:
    """Beside the log-in; who has logged in is offered neither."""
    client = Client()
    before = client.get("/models/").content.decode()
    sign_up(client)
    after = client.get("/models/").content.decode()
    found = [
        [f'href="/accounts/{name}/"' in text for name in ("login", "signup")]
        for text in (before, after)
    ]
    assert found == [[True, True], [False, False]]


def test_a_site_may_close_its_sign_up(settings: Any) -> None:
    """Then there is no such page, and the log-in does not mention it."""
    settings.COMP_USERS = {"SIGN_UP_OPEN": False}
    login = Client().get("/accounts/login/").content.decode()
    assert (Client().get("/accounts/signup/").status_code, "Sign up" in login) == (404, False)


def test_logging_in_and_out() -> None:
    """By name and password; out by POST alone."""
    User.objects.create_user("ann", "ann@example.org", PASSWORD)
    client = Client()
    entered = client.post("/accounts/login/", {"username": "ann", "password": PASSWORD})
    by_link = client.get("/accounts/logout/").status_code
    still_in = "_auth_user_id" in client.session
    left = client.post("/accounts/logout/").url
    assert (entered.url, by_link, still_in, left, "_auth_user_id" in client.session) == (
        "/accounts/profile/",
        405,
        True,
        "/accounts/login/",
        False,
    )


def test_a_wrong_password_says_so_at_the_top() -> None:
    """Without saying which of the two was wrong."""
    User.objects.create_user("ann", "ann@example.org", PASSWORD)
    answer = Client().post("/accounts/login/", {"username": "ann", "password": "wrong"})
    text = answer.content.decode()
    assert ('class="error-summary"' in text, "<title>Error: Log in" in text) == (True, True)


def test_the_users_own_page() -> None:
    """Shows what the site knows."""
    client = Client()
    sign_up(client)
    assert "ann@example.org" in client.get("/accounts/profile/").content.decode()


def labels(user: Any, path: str = "/") -> list[tuple[str, bool]]:
    request = RequestFactory().get(path)
    request.user = user
    return [(str(link.label), link.is_current) for link in links_for(request)]


def test_links_follow_the_user() -> None:
    """Staff see the admin, visitors the models."""
    staff = User.objects.create_user("root", "root@example.org", is_staff=True)
    client = Client()
    visitors = client.get("/models/").content.decode()
    assert (("Admin", False) in labels(staff), ">My runs<" in visitors) == (True, False)


def test_the_closest_link_is_the_current_one() -> None:
    """Of links that lie within each other."""
    user = User.objects.create_user("ann", "ann@example.org")
    current = [label for label, is_current in labels(user, "/models/runs/") if is_current]
    assert current == ["My runs"]


def test_a_link_is_current_on_the_pages_that_it_covers() -> None:
    """Invoices and card are reached through Costs."""
    user = User.objects.create_user("ann", "ann@example.org")
    pages = ("/billing/costs/", "/billing/invoices/", "/billing/card/")
    current = [[label for label, is_current in labels(user, page) if is_current] for page in pages]
    assert current == [["Costs"], ["Costs"], ["Costs"]]


def test_links_to_pages_that_are_not_mounted_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A site that serves only some of the apps has no dead links."""
    link = Link(label="Nowhere", url_name="nowhere:index")
    monkeypatch.setitem(navigation._links, link.url_name, link)
    user = User.objects.create_user("ann", "ann@example.org")
    assert "Nowhere" not in dict(labels(user))


def test_the_frame_is_the_hosts(settings: Any) -> None:
    """``BASE_TEMPLATE`` puts every page into another frame."""
    loaders = [
        (
            "django.template.loaders.locmem.Loader",
            {"own.html": OWN_FRAME},
        ),
        "django.template.loaders.app_directories.Loader",
    ]
    template = settings.TEMPLATES[0]
    options = {**template["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [{**template, "APP_DIRS": False, "OPTIONS": options}]
    settings.COMP_USERS = {"BASE_TEMPLATE": "own.html"}
    pages = [Client().get(address).content for address in ("/models/", "/accounts/login/")]
    assert [page.startswith(b"OWN FRAME") for page in pages] == [True, True]
