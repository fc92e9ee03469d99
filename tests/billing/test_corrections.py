"""Corrections of usage: verbs with a line of audit each; money is given back once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from comp_billing import costs, intents, usage
from comp_billing.exceptions import CannotCorrect
from comp_billing.limits import spending
from comp_billing.models import Correction, Intent, UsageRecord, UsageState
from comp_billing.usage import alarms, corrections
from tests.billing.builders import Site, used
from tests.billing.reports import CLOCK, accepted, ledger, report_again
from tests.billing.told import PEOPLE


def rejected(site: Site) -> UsageRecord:
    """Usage that Stripe took, and did not count."""
    record = accepted(site)
    site.standin.store.run("UPDATE usage SET state = 'rejected'")
    usage.reject(str(record.pk), code="no_meter", message="No such meter.")
    record.refresh_from_db()
    return record


def state_of(record: UsageRecord) -> str:
    record.refresh_from_db()
    return record.state


def audit() -> list[tuple[Any, ...]]:
    columns = ("kind", "reason", "amount", "actor__username")
    return list(Correction.objects.order_by("pk").values_list(*columns))


def test_usage_is_taken_back_within_a_day(site: Site) -> None:
    """Stripe forgets it; who did it, why and how much is kept."""
    record = accepted(site)
    staff = site.user("grace")

    corrections.take_back(record, reason="A wrong rate", actor=staff)
    site.work()

    assert (state_of(record), [event["state"] for event in ledger(site)]) == (
        UsageState.CANCELLED,
        ["cancelled"],
    )
    assert audit() == [("cancel", "A wrong rate", Decimal("2.5"), "grace")]


def test_a_day_later_it_is_credited(site: Site) -> None:
    """Taking it back is refused with what to do instead; the credit stands on the balance."""
    record = accepted(site)
    site.standin.advance(seconds=24 * 3600)
    with pytest.raises(CannotCorrect, match="credit it instead"):
        corrections.take_back(record, reason="A wrong rate")

    corrections.credit([record], reason="A wrong rate")
    site.work()

    (customer,) = site.objects("customer")
    assert (customer["balance"], state_of(record)) == (-250, UsageState.ACCEPTED)
    assert audit() == [("credit", "A wrong rate", Decimal("2.5"), None)]


def test_money_is_given_back_once(site: Site) -> None:
    """By taking it back or by a credit; the database sees to it."""
    record = accepted(site)
    corrections.take_back(record, reason="Twice")

    with pytest.raises(CannotCorrect, match="before"):
        corrections.credit([record], reason="Twice")

    assert Intent.objects.filter(kind=corrections.CREDIT).count() == 0


def test_refused_cancellation_leaves_the_credit_open(site: Site) -> None:
    """Stripe did not take it back, so nothing was given back yet."""
    record = accepted(site)
    corrections.take_back(record, reason="Wrong")
    site.standin.advance(seconds=26 * 3600)
    site.work()

    corrections.credit([record], reason="Wrong")
    site.work()

    assert (state_of(record), site.objects("customer")[0]["balance"]) == (
        UsageState.ACCEPTED,
        -250,
    )


@pytest.mark.parametrize("fault", ["drop_after", "500_saved", "500_before", "429", "refuse"])
def test_credit_is_given_once_whatever_went_wrong(site: Site, fault: str) -> None:
    """Its intent is found again by its mark, a day later too."""
    record = accepted(site)
    corrections.credit([record], reason="Wrong")
    site.standin.faults.add(fault, path="*balance_transactions", verb="POST")
    intents.carry_out_due()
    site.standin.advance(seconds=25 * 3600)

    site.work()

    assert site.objects("customer")[0]["balance"] == -250


def test_tiny_runs_are_credited_together(site: Site) -> None:
    """Each costs less than a cent: one entry for the customer, rounded once."""
    site.configure(**CLOCK)
    project, payer = site.shop(), site.subscriber()
    records = [used(project, payer, seconds="0.4") for _ in range(4)]
    usage.report_due()
    found = UsageRecord.objects.filter(pk__in=[one.pk for one in records])

    corrections.credit(found, reason="A bad day")
    site.work()

    assert site.objects("customer")[0]["balance"] == -2
    assert sum(amount for _, _, amount, _ in audit()) == Decimal("0.016")


def test_less_than_the_smallest_amount_cannot_be_credited(site: Site) -> None:
    """Said in words, and nothing is written."""
    record = accepted(site, seconds="0.4")

    with pytest.raises(CannotCorrect, match="less than the smallest amount"):
        corrections.credit([record], reason="Wrong")

    assert audit() == []


def test_rejected_usage_is_reported_under_another_identifier(site: Site) -> None:
    """The former one would be answered as a duplicate, although Stripe did not count it."""
    record = rejected(site)

    corrections.report_again(record, reason="The meter is active again")
    report_again()

    counted = [event["identifier"] for event in ledger(site) if event["state"] == "accepted"]
    assert (counted, state_of(record)) == ([f"{record.pk}.2"], UsageState.ACCEPTED)


def test_second_rejection_is_of_the_second_identifier(site: Site) -> None:
    """News of the first one does not touch what was reported since."""
    record = rejected(site)
    corrections.report_again(record, reason="The meter is active again")
    report_again()

    old = usage.reject(str(record.pk), code="no_meter", message="")
    new = usage.reject(f"{record.pk}.2", code="no_meter", message="")

    assert (old, new, state_of(record)) == (False, True, UsageState.REJECTED)


def test_unclear_usage_keeps_its_identifier(site: Site) -> None:
    """Stripe may remember it yet: then it is answered as a duplicate, and not counted twice."""
    record = accepted(site)
    UsageRecord.objects.update(state=UsageState.AMBIGUOUS)
    record.refresh_from_db()

    corrections.report_again(record, reason="I looked")
    report_again()

    assert ([event["identifier"] for event in ledger(site)], state_of(record)) == (
        [str(record.pk)],
        UsageState.ACCEPTED,
    )


@pytest.mark.parametrize(
    ("verb", "state", "after"),
    [
        (corrections.mark_counted, UsageState.AMBIGUOUS, UsageState.ACCEPTED),
        (corrections.waive, UsageState.AMBIGUOUS, UsageState.WAIVED),
        (corrections.waive, UsageState.REJECTED, UsageState.WAIVED),
        (corrections.waive, UsageState.EXPIRED, UsageState.WAIVED),
    ],
)
def test_settled_by_an_operator(
    site: Site, verb: Callable[..., Any], state: UsageState, after: UsageState
) -> None:
    """Without a call; it is no trouble any more."""
    record = accepted(site)
    UsageRecord.objects.update(state=state)
    record.refresh_from_db()

    verb(record, reason="Looked into")

    assert (state_of(record), len(audit())) == (after, 1)


@pytest.mark.parametrize(
    "verb",
    [
        corrections.report_again,
        corrections.mark_counted,
        corrections.waive,
    ],
)
def test_accepted_usage_is_neither_sent_nor_waived(site: Site, verb: Callable[..., Any]) -> None:
    """What Stripe counts is settled."""
    record = accepted(site)

    with pytest.raises(CannotCorrect):
        verb(record, reason="Why not")

    assert (state_of(record), audit()) == (UsageState.ACCEPTED, [])


def test_correction_by_two_at_once_is_one(site: Site) -> None:
    """Whoever comes second is told, and writes no line of audit."""
    record = rejected(site)
    corrections.waive(UsageRecord.objects.get(pk=record.pk), reason="First")

    with pytest.raises(CannotCorrect, match="Somebody else"):
        corrections.report_again(record, reason="Second")

    assert [line[1] for line in audit()] == ["First"]


def test_correction_needs_a_reason(site: Site) -> None:
    """Blank is none."""
    record = rejected(site)

    with pytest.raises(CannotCorrect, match="Say why"):
        corrections.waive(record, reason="  ")

    assert state_of(record) == UsageState.REJECTED


def test_command_corrects(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The same verbs, for scripts."""
    record = rejected(site)

    call_command("comp_correct_usage", str(record.pk), "--waive", "--reason", "Test data")

    assert (capsys.readouterr().out, audit()) == (
        f"{record.pk}: Waived.\n",
        [("waive", "Test data", Decimal(0), None)],
    )


def test_command_says_what_cannot_be_done(site: Site) -> None:
    """With the reason for it."""
    record = accepted(site)

    with pytest.raises(CommandError, match="has not counted"):
        call_command("comp_correct_usage", str(record.pk), "--waive", "--reason", "Test data")


def test_operators_are_told_once_of_what_is_not_billed(
    site: Site, mailoutbox: list[Any], settings: Any
) -> None:
    """Unclear, expired or waiting for a month: one e-mail for all of it."""
    settings.MANAGERS = PEOPLE
    project, payer = site.shop(), site.subscriber()
    late, unclear, fine = (used(project, payer) for _ in range(3))
    month = timezone.now() - timedelta(days=30, hours=1)
    UsageRecord.objects.filter(pk=late.pk).update(used_at=month)
    UsageRecord.objects.filter(pk=unclear.pk).update(
        state=UsageState.AMBIGUOUS, first_sent_at=timezone.now(), timestamp=timezone.now()
    )

    told = [alarms.tell_of_unbilled(), alarms.tell_of_unbilled()]

    (message,) = mailoutbox
    assert (told, message.subject.endswith("2 usage records need you")) == ([2, 0], True)
    assert "1 have waited for 30 days" in message.body
    assert state_of(fine) == UsageState.PENDING


@pytest.mark.parametrize("fault", ["drop_after", "500_saved"])
@pytest.mark.parametrize("hours", [0, 26])
def test_taken_back_by_a_call_whose_answer_was_lost(site: Site, fault: str, hours: int) -> None:
    """Found out by the next one, or by Stripe's total once the day is over."""
    record = accepted(site)
    corrections.take_back(record, reason="Wrong")
    site.standin.faults.add(fault, path="*adjustments")
    intents.carry_out_due()
    site.standin.advance(seconds=hours * 3600)

    site.work()

    assert (state_of(record), Correction.objects.get().refused_at) == (UsageState.CANCELLED, None)


def test_what_is_taken_back_costs_nothing_any_more(site: Site) -> None:
    """Neither on the page of costs nor towards the cap."""
    record = accepted(site)
    corrections.take_back(record, reason="Wrong")
    site.work()

    payer = record.run.payer
    assert (costs.monthly_costs(payer), spending.spending(payer, None).total) == ([], Decimal(0))


def test_what_is_waived_costs_nothing_any_more(site: Site) -> None:
    """The same."""
    record = rejected(site)

    corrections.waive(record, reason="Wrong")

    payer = record.run.payer
    assert (costs.monthly_costs(payer), spending.spending(payer, None).total) == ([], Decimal(0))
