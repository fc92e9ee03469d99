"""How near a payer has come to their spending cap: noted with the spending, told by e-mail once.

A host overrides the templates ``comp_billing/email/cap_warning_subject.txt``, ``cap_warning.txt``
and ``cap_warning.html``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from comp_billing import money
from comp_billing.conf import conf
from comp_billing.models import CapWarning
from comp_billing.notifications import send_to, site_link
from comp_billing.tracing import log_error

logger = logging.getLogger(__name__)

#: Per cent of the cap at which the payer is told.
MARKS = (50, 80, 100)
#: Instead of a mark: a run was refused for which there was no room.
NO_ROOM = 0
# How long a claimed warning is left alone; one that could not be sent waits as long.
LEASE = timedelta(minutes=10)
# Later than this it is no news: the payer has seen the figures, or the period is over.
NEWS_FOR = timedelta(days=3)
BATCH = 100


def note(payer_id: int, period_start: datetime, spent: Decimal, cap: Decimal | None) -> None:
    """Write down the marks that a payer's spending has passed, each once for a period and a cap.

    Call it in the transaction that settles a run; currency units. One INSERT, and none before the
    first mark or without a cap. Of a cap of nothing there is nothing to tell.
    """
    passed = [mark for mark in MARKS if cap and spent * 100 >= cap * mark]
    if cap and passed:
        _write(payer_id, period_start, spent, cap, passed)


def note_no_room(payer_id: int, period_start: datetime, spent: Decimal, cap: Decimal) -> None:
    """Write down that a run was refused because what is left of a cap is too little for it."""
    _write(payer_id, period_start, spent, cap, [NO_ROOM])


def _write(
    payer_id: int, period_start: datetime, spent: Decimal, cap: Decimal, marks: Iterable[int]
) -> None:
    warnings = [
        CapWarning(payer_id=payer_id, period_start=period_start, percent=mark, spent=spent, cap=cap)
        for mark in marks
    ]
    CapWarning.objects.bulk_create(warnings, ignore_conflicts=True)


def send_due(*, limit: int = BATCH) -> int:
    """For the maintenance loop: tell payers of the highest mark that they were not told of yet,
    at least once. Answers how many e-mails were sent."""
    due = _latest().filter(due_at__lte=timezone.now()).order_by("due_at", "pk")
    return sum(_claim(warning) and _tell(warning) for warning in due[:limit])


def _latest() -> QuerySet[CapWarning]:
    """Of the untold ones of a payer and period the last: it speaks for those before it."""
    untold = CapWarning.objects.filter(sent_at=None)
    after = untold.filter(
        payer=OuterRef("payer"), period_start=OuterRef("period_start"), pk__gt=OuterRef("pk")
    )
    return untold.exclude(Exists(after)).select_related("payer__user")


def _claim(warning: CapWarning) -> bool:
    """Commits before the e-mail, so that another worker leaves it alone."""
    untold = CapWarning.objects.filter(pk=warning.pk, sent_at=None, due_at=warning.due_at)
    return bool(untold.update(due_at=timezone.now() + LEASE))


def _tell(warning: CapWarning) -> bool:
    """Send it, and mark it and those before it as told; it stays due when it cannot be sent."""
    is_told = False
    try:
        if warning.created > timezone.now() - NEWS_FOR:
            is_told = send_to(warning.payer.user, "cap_warning", context_of(warning))
    except Exception as exc:
        # An address that the mail server refuses must not hold up the others.
        log_error(logger, "The cap warning %s could not be sent", warning.pk, exc=exc)
        return False
    CapWarning.objects.filter(
        payer=warning.payer_id,
        period_start=warning.period_start,
        pk__lte=warning.pk,
        sent_at=None,
    ).update(sent_at=timezone.now())
    return is_told


def context_of(warning: CapWarning) -> dict[str, Any]:
    """What the templates say. Amounts are text."""
    spent, cap = (
        money.format_amount(money.to_minor(amount, conf.CURRENCY), conf.CURRENCY)
        for amount in (warning.spent, warning.cap)
    )
    return {
        "percent": warning.percent,
        "spent": spent,
        "cap": cap,
        "costs_url": site_link("comp_billing:costs"),
    }
