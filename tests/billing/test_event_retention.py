"""Events are kept for ever, unless the site says for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from comp_billing import event_retention
from comp_billing.checks import check_settings
from comp_billing.models import Customer, Event
from tests.billing.deliveries import event, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def aged() -> None:
    """Events of each state, 40 days old and 39."""
    now = timezone.now()
    for state in ("pending", "failed", "dead", "processed", "inert"):
        for days in (40, 39):
            key = f"{state} {days}"
            tell(event(id=key, created=int((now - timedelta(days=days, hours=1)).timestamp())))
            Event.objects.filter(pk=key).update(state=state)


@pytest.mark.parametrize(
    ("days", "gone"),
    [(None, set()), (41, set()), (40, {"processed 40", "inert 40"})],
)
def test_what_is_done_and_old_is_removed(
    aged: None, settings: Any, days: int | None, gone: set[str]
) -> None:
    """However many there are, some at a time; the rows that they told of stay."""
    before = set(Event.objects.values_list("pk", flat=True))
    settings.COMP_BILLING = {**settings.COMP_BILLING, "KEEP_EVENTS_DAYS": days}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_retention, "BATCH", 1)
        removed = event_retention.remove_old_events()
    left = set(Event.objects.values_list("pk", flat=True))
    assert (before - left, removed, Customer.objects.count()) == (gone, len(gone), 1)


@pytest.mark.parametrize(("days", "found"), [(30, ["comp_billing.E003"]), (31, []), (None, [])])
def test_events_that_stripe_still_lists_cannot_be_removed(
    settings: Any, days: int | None, found: list[str]
) -> None:
    """A repair would take them for new ones, and their handlers would run again."""
    with override_settings(COMP_BILLING={**settings.COMP_BILLING, "KEEP_EVENTS_DAYS": days}):
        messages = check_settings(None)
    assert [one.id for one in messages if "KEEP_EVENTS_DAYS" in one.msg] == found
