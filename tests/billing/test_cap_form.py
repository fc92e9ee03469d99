"""A user's own spending cap, set on the costs page; what of it is used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from comp_users.models import Profile
from tests.billing.builders import Site, authorized_run, capped, used
from tests.core.builders import make_profile
from tests.core.pages import visitor

pytestmark = pytest.mark.django_db

PAGE = "/billing/costs/"
SPACE = "\N{NARROW NO-BREAK SPACE}"


def submitted(profile: Profile, cap: str) -> tuple[int, Decimal | None]:
    """The status of the answer to a cap sent, and the cap that holds then."""
    answer = visitor(profile).post(PAGE, {"cap-spending_cap": cap})
    profile.refresh_from_db()
    return answer.status_code, profile.spending_cap


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("25", (302, Decimal("25.00"))),
        ("0", (302, Decimal("0.00"))),
        ("0.01", (302, Decimal("0.01"))),
        ("", (302, None)),
        ("-1", (200, Decimal("5.00"))),
        ("0.001", (200, Decimal("5.00"))),
        ("much", (200, Decimal("5.00"))),
        ("NaN", (200, Decimal("5.00"))),
        ("Infinity", (200, Decimal("5.00"))),
        ("1e30", (200, Decimal("5.00"))),
    ],
)
def test_user_sets_their_own_cap(sent: str, expected: tuple[int, Decimal | None]) -> None:
    """To the cent, not below nothing; empty is none; a mistake changes nothing."""
    profile = capped(make_profile(), "5")

    assert submitted(profile, sent) == expected


@pytest.mark.parametrize(
    ("currency", "sent", "status"),
    [("jpy", "500", 302), ("jpy", "0.5", 200), ("usd", "0.5", 302), ("kwd", "0.25", 302)],
)
def test_cap_has_the_places_of_the_sites_currency(
    settings: Any, currency: str, sent: str, status: int
) -> None:
    """Half a yen does not exist."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "CURRENCY": currency}

    assert submitted(make_profile(), sent)[0] == status


def test_mistake_is_said_and_the_old_cap_shown() -> None:
    """At the top, linked to the field."""
    profile = capped(make_profile(), "5")

    text = visitor(profile).post(PAGE, {"cap-spending_cap": "-1"}).content.decode()

    wanted = ("Please correct this:", 'href="#id_cap-spending_cap"', f"your cap of 5{SPACE}USD")
    assert [part in text for part in wanted] == [True, True, True]


def test_cap_in_force_stands_in_the_field() -> None:
    """To be changed; the browser knows that it is not below nothing."""
    profile = capped(make_profile(), "5")

    text = visitor(profile).get(PAGE).content.decode()

    assert ('value="5.00"' in text, 'min="0"' in text) == (True, True)


def test_cap_needs_the_token() -> None:
    """A page of somebody else's cannot set it."""
    profile = make_profile()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(profile.user)

    assert browser.post(PAGE, {"cap-spending_cap": "1"}).status_code == 403


def test_nothing_else_of_the_profile_can_be_sent_along() -> None:
    """Only the cap is the form's."""
    profile = make_profile()
    visitor(profile).post(PAGE, {"cap-spending_cap": "1", "cap-max_queued_runs": "999"})

    profile.refresh_from_db()

    assert (profile.spending_cap, profile.max_queued_runs) == (Decimal("1.00"), None)


@pytest.mark.django_db(transaction=True)
def test_page_shows_what_is_spent_held_and_left(site: Site) -> None:
    """In amounts and per cent of the cap."""
    project, payer = site.shop(), capped(site.subscriber(), "1.00")
    used(project, payer, seconds="25")
    authorized_run(project, payer, timeout_seconds=10)

    text = visitor(payer).get(PAGE).content.decode()

    wanted = (
        f"35 % of your cap of 1{SPACE}USD are used since",
        f"<dt>Spent</dt><dd>0.25{SPACE}USD</dd>",
        f"<dt>Held for runs under way</dt><dd>0.10{SPACE}USD</dd>",
        f"<dt>Left</dt><dd>0.65{SPACE}USD</dd>",
    )
    assert [part for part in wanted if part not in text] == []


def test_without_a_cap_the_page_says_that_nothing_limits() -> None:
    """And offers one."""
    text = visitor(make_profile()).get(PAGE).content.decode()

    assert ("You have no spending cap" in text, "Set a cap" in text) == (True, True)


def test_cap_of_nothing_is_used_up() -> None:
    """No division by it."""
    text = visitor(capped(make_profile(), "0")).get(PAGE).content.decode()

    assert "100 % of your cap" in text
