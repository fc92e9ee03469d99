"""Fifty submits at the same moment against one cap: never more than it, never less than fits."""

from __future__ import annotations

import threading
from contextlib import suppress
from decimal import Decimal

from django.db.models import Sum

from comp_billing.models import Reservation
from comp_core import lifecycle
from comp_core.exceptions import RunRefused
from comp_core.models import Run
from comp_core.registry import spec_of
from comp_core.status import InputsStatus
from comp_users.models import Project
from tests.billing.builders import Site, at_once, capped
from tests.core.live import Live, live
from tests.testapp.models import DoublingInputs, DoublingRun

__all__ = ["live"]

SUBMITS = 50


def test_fifty_submits_at_once_stay_within_the_cap(live: Live, site: Site) -> None:
    """Through the front door, on connections of their own: as many as fit are permitted, and their
    worst cases add up to the cap exactly."""
    deadline = spec_of(DoublingRun()).deadline_seconds
    Project.objects.create(
        slug=DoublingRun.Comp.slug, name="Doubling", is_public=True, server_cost=Decimal(36)
    )
    site.shop()
    fits = 7
    payer = capped(site.subscriber(), str(fits * Decimal(deadline) / 100))
    wishes = [
        DoublingInputs.objects.create(owner=payer, status=InputsStatus.VALID)
        for _ in range(SUBMITS)
    ]
    lock = threading.Lock()

    def submit() -> None:
        with lock:
            inputs = wishes.pop()
        with suppress(RunRefused):
            lifecycle.submit(inputs)

    at_once(submit, times=SUBMITS)

    held = Reservation.objects.aggregate(held=Sum("amount"))["held"]
    assert (Run.objects.count(), held) == (fits, payer.spending_cap)
