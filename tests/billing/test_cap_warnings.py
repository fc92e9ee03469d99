"""Cap warnings: noted with the spending, told once for each mark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from comp_billing.limits import cap_warnings
from comp_billing.models import CapWarning
from comp_users.models import Profile
from tests.billing.builders import Site, at_once, several_writers

PERIOD = datetime(2026, 11, 1, tzinfo=UTC)
CAP = Decimal("10.00")


def noted(payer: Profile, spent: str, *, cap: Decimal | None = CAP) -> None:
    """That so much of the cap has been spent this period."""
    cap_warnings.note(payer.pk, PERIOD, Decimal(spent), cap)


def marks() -> list[int]:
    """The marks that were written down, in the order of writing."""
    return list(CapWarning.objects.order_by("pk").values_list("percent", flat=True))


def subjects() -> list[str]:
    """What was sent."""
    return [message.subject for message in mail.outbox]


def told(percent: int) -> str:
    """The subject of an e-mail about a mark."""
    return f"You have spent {percent} % of your spending cap"


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        ("4.999999", []),
        ("5", [50]),
        ("7.999999", [50]),
        ("8", [50, 80]),
        ("9.999999", [50, 80]),
        ("10", [50, 80, 100]),
        ("11", [50, 80, 100]),
    ],
)
def test_marks_are_passed_exactly(site: Site, spent: str, expected: list[int]) -> None:
    """A mark counts from its amount on, to the last millionth."""
    payer = site.user().profile

    noted(payer, spent)

    assert marks() == expected


@pytest.mark.parametrize("cap", [None, Decimal(0)])
def test_without_a_cap_nothing_is_asked_or_written(
    site: Site, django_assert_num_queries: Any, cap: Decimal | None
) -> None:
    """Payers without a cap, or with one of nothing, cost no statement."""
    payer = site.user().profile

    with django_assert_num_queries(0):
        noted(payer, "50", cap=cap)

    assert marks() == []


def test_note_is_one_statement(site: Site, django_assert_num_queries: Any) -> None:
    """However many marks are passed, and passed before."""
    payer = site.user().profile
    noted(payer, "6")

    with transaction.atomic(), django_assert_num_queries(1):
        noted(payer, "10")

    assert marks() == [50, 80, 100]


def test_mark_is_told_once(site: Site) -> None:
    """Further runs beyond a mark say nothing new."""
    payer = site.user().profile
    noted(payer, "5")
    cap_warnings.send_due()
    noted(payer, "6")

    sent = cap_warnings.send_due()

    assert (sent, subjects()) == (0, [told(50)])


def test_of_marks_passed_at_once_the_highest_is_told(site: Site) -> None:
    """One e-mail, and nothing is left to tell."""
    noted(site.user().profile, "9")

    cap_warnings.send_due()

    left = CapWarning.objects.filter(sent_at=None).count()
    assert (subjects(), left) == ([told(80)], 0)


def test_next_period_has_marks_of_its_own(site: Site) -> None:
    """The cap is one of a month."""
    payer = site.user().profile
    noted(payer, "5")
    cap_warnings.note(payer.pk, PERIOD + timedelta(days=30), Decimal(5), CAP)

    cap_warnings.send_due()

    assert subjects() == [told(50), told(50)]


def test_raised_cap_has_marks_of_its_own(site: Site) -> None:
    """Who raises the cap is told again when the new one is near."""
    payer = site.user().profile
    noted(payer, "10")
    cap_warnings.send_due()
    noted(payer, "16", cap=Decimal("20.00"))

    cap_warnings.send_due()

    assert subjects() == [told(100), told(80)]


def test_email_names_what_was_spent_and_what_to_do(site: Site) -> None:
    """Amounts in the site's currency, and the page on which the cap is changed."""
    site.configure(SITE_URL="https://site.test/")
    noted(site.user().profile, "8.5")

    cap_warnings.send_due()

    assert mail.outbox[0].body.rstrip().splitlines() == [
        "Hello ada,",
        "",
        "the runs that you pay for have cost $8.50 in this period: that is 80 % or more of your"
        " spending cap of $10.00.",
        "",
        "A run that might pass the cap is refused. You can change the cap on the page Costs.",
        "",
        "https://site.test/billing/costs/",
    ]


def test_email_at_the_cap_says_that_runs_are_refused(site: Site) -> None:
    """And that what is finished stays."""
    noted(site.user().profile, "10")

    cap_warnings.send_due()

    assert mail.outbox[0].body.rstrip().splitlines()[2:] == [
        "the runs that you pay for have cost $10.00 in this period: that is 100 % or more of your"
        " spending cap of $10.00.",
        "",
        "New runs are refused until the next period begins, or until you raise the cap. Finished"
        " runs and their results stay as they are.",
    ]


def test_payer_without_an_address_is_passed_over(site: Site) -> None:
    """There is nobody to write to, now or later."""
    payer = site.user().profile
    noted(payer, "5")
    type(payer.user).objects.update(email="")

    cap_warnings.send_due()

    left = CapWarning.objects.filter(sent_at=None).count()
    assert (subjects(), left) == ([], 0)


def test_mail_server_that_refuses_holds_up_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are told; the refused one is tried again after the lease."""
    noted(site.user().profile, "5")
    noted(site.user("grace").profile, "8")
    send = cap_warnings.send_to

    def refusing(user: Any, name: str, context: dict[str, Any]) -> bool:
        if user.username == "ada":
            raise OSError("refused")
        return send(user, name, context)

    monkeypatch.setattr(cap_warnings, "send_to", refusing)

    cap_warnings.send_due()

    waiting = CapWarning.objects.get(sent_at=None)
    assert (subjects(), waiting.percent, waiting.due_at > timezone.now()) == (
        [told(80)],
        50,
        True,
    )


def test_interrupted_warning_is_sent_after_its_lease(site: Site) -> None:
    """A worker that died between claim and e-mail loses none."""
    noted(site.user().profile, "5")
    CapWarning.objects.update(due_at=timezone.now() - timedelta(seconds=1))

    sent = cap_warnings.send_due()

    assert (sent, subjects()) == (1, [told(50)])


def test_claimed_warning_and_those_before_it_are_left_alone(site: Site) -> None:
    """While one worker sends the highest mark, another does not send the lower ones."""
    noted(site.user().profile, "9")
    leased = timezone.now() + cap_warnings.LEASE
    CapWarning.objects.filter(percent=80).update(due_at=leased)

    sent = cap_warnings.send_due()

    assert (sent, subjects()) == (0, [])


def test_old_warning_is_no_news(site: Site) -> None:
    """Mail that could not be sent for days is not sent into another period."""
    noted(site.user().profile, "5")
    CapWarning.objects.update(created=timezone.now() - timedelta(days=4))

    cap_warnings.send_due()

    left = CapWarning.objects.filter(sent_at=None).count()
    assert (subjects(), left) == ([], 0)


@several_writers
def test_workers_at_once_send_one_email(site: Site) -> None:
    """The claim is in the database."""
    noted(site.user().profile, "9")

    at_once(cap_warnings.send_due, times=4)

    assert subjects() == [told(80)]
