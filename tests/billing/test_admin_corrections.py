"""Corrections of usage in the admin: a reason is asked for, then each record is corrected."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from comp_billing.models import Correction, UsageRecord, UsageState
from tests.billing.admin_rig import logged, staff, superuser, told
from tests.billing.builders import Site, used


def rejected(site: Site, *, times: int = 1) -> list[UsageRecord]:
    project, payer = site.shop(), site.subscriber()
    records = [used(project, payer) for _ in range(times)]
    UsageRecord.objects.update(state=UsageState.EXPIRED)
    return records


def correct(client: Client, verb: str, records: list[UsageRecord], **more: str) -> Any:
    keys = [str(record.pk) for record in records]
    values = {"action": verb, "_selected_action": keys, **more}
    return client.post(reverse("admin:comp_billing_usagerecord_changelist"), values)


def test_reason_is_asked_for_first(site: Site) -> None:
    """What will happen is said, and nothing has happened yet."""
    records = rejected(site)

    answer = correct(superuser(), "waive", records)

    page = answer.content.decode()
    assert ("It is not billed" in page, str(records[0].pk) in page) == (True, True)
    assert Correction.objects.count() == 0


def test_records_are_corrected_and_logged(site: Site) -> None:
    """With the reason in the line of audit and in the admin's log."""
    records = rejected(site, times=2)

    answer = correct(superuser(), "waive", records, reason="Test data")

    assert told(answer) == ["2 usage records corrected."]
    assert [line.reason for line in Correction.objects.all()] == ["Test data"] * 2
    assert sorted(logged()) == sorted(
        (str(one.pk), "Waive the selected usage: Test data") for one in records
    )


def test_what_cannot_be_corrected_is_said(site: Site) -> None:
    """Record by record."""
    (record,) = rejected(site)

    answer = correct(superuser(), "mark_counted", [record], reason="Test data")

    assert told(answer) == [
        f"Usage record {record.pk}: Only usage that is unclear can be marked as counted."
    ]


def test_blank_reason_is_asked_for_again(site: Site) -> None:
    """And nothing has happened."""
    records = rejected(site)

    answer = correct(superuser(), "waive", records, reason=" ")

    assert ("Say why" in answer.content.decode(), Correction.objects.count()) == (True, 0)


@pytest.mark.parametrize("verb", ["take_back", "credit", "report_again", "mark_counted", "waive"])
def test_looking_is_not_correcting(site: Site, verb: str) -> None:
    """Whoever may only view is offered no correction."""
    records = rejected(site)

    correct(staff("view_usagerecord"), verb, records, reason="Test data")

    assert Correction.objects.count() == 0


def test_lines_of_audit_are_shown(site: Site) -> None:
    """Who, what and why."""
    client = superuser()
    correct(client, "waive", rejected(site), reason="Test data")

    page = client.get(reverse("admin:comp_billing_correction_changelist")).content.decode()

    assert ("Test data" in page, "Waived" in page) == (True, True)
