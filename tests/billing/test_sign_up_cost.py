"""What the library adds to a sign-up of Django's own: no call, and four statements at most."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from comp_billing.models import Intent
from comp_users.models import Profile
from tests.billing.builders import Site

UID = "comp_users.profile_for_user"


def statements(name: str, within: Callable[[], Any]) -> list[str]:
    """Everything that the database is told to make a user, transactions included."""
    with within(), CaptureQueriesContext(connection) as queries:
        get_user_model().objects.create_user(name, f"{name}@example.org", "pw")
    return [query["sql"] for query in queries]


@pytest.fixture
def plain() -> Callable[[str, Callable[[], Any]], list[str]]:
    """The same on a site where nobody hears of new users."""

    def count(name: str, within: Callable[[], Any]) -> list[str]:
        receivers, post_save.receivers = post_save.receivers, []
        post_save.sender_receivers_cache.clear()
        try:
            return statements(name, within)
        finally:
            post_save.receivers = receivers
            post_save.sender_receivers_cache.clear()

    return count


@pytest.mark.parametrize(("key", "most"), [("sk_test_comp", 4), ("", 3)])
@pytest.mark.parametrize("within", [nullcontext, transaction.atomic])
def test_sign_up_adds_no_call_and_four_statements(
    site: Site,
    plain: Callable[[str, Callable[[], Any]], list[str]],
    within: Callable[[], Any],
    key: str,
    most: int,
) -> None:
    """The beginning and the end of a transaction or savepoint, the profile and the intent."""
    site.user("warm")
    site.configure(SECRET_KEY=key)
    before = plain("plain", within)

    after = statements("ours", within)

    assert (len(after) - len(before), site.standin.calls.total()) == (most, 0)
    asked = Intent.objects.filter(params__name="ours").count()
    assert (Profile.objects.filter(user__username="ours").count(), asked) == (1, int(bool(key)))
