"""How the probes of billing speak: plainly, and without a secret or anybody's address."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from comp_billing import stripe_api
from comp_billing.stripe_api import ADDRESSES, SECRETS
from comp_core.doctor import Finding
from comp_core.probes.runs import in_words
from comp_core.secrecy import without_secrets

LOOPS = "Start a worker with maintenance loops: python manage.py comp_worker --maintenance"
NAMED = 3


def about_billing(probe: Callable[[], Iterable[Finding]]) -> Callable[[], Iterator[Finding]]:
    """A probe that a site without Stripe is spared, and whose findings give nothing away."""

    @functools.wraps(probe)
    def discreet() -> Iterator[Finding]:
        if not stripe_api.is_configured():
            return
        for finding in probe():
            yield Finding(finding.level, _discreet(finding.what), _discreet(finding.todo))

    return discreet


def _discreet(text: str) -> str:
    """Whatever Stripe, or a row, may have put into it."""
    return ADDRESSES.sub("[address]", SECRETS.sub("[key]", without_secrets(text)))


def ago(moment: datetime) -> str:
    """Such as "12 minutes"."""
    return in_words(max(timezone.now() - moment, timedelta()))


def some(names: Iterable[str], *, most: int = NAMED) -> str:
    """The first of some names, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def counted(rows: QuerySet[Any], kind: str, moment: str) -> str:
    """How many rows there are of which kinds, and for how long the oldest has been there; empty
    when there are none. One statement."""
    groups = rows.order_by().values_list(kind).annotate(number=Count("pk"), oldest=Min(moment))
    found = sorted(groups, key=lambda group: (-group[1], str(group[0])))
    if not found:
        return ""
    total, oldest = sum(number for _, number, _ in found), min(first for *_, first in found)
    kinds = some(f"{name} {number}" for name, number, _ in found)
    return f"{total} ({kinds}), the oldest for {ago(oldest)}"
