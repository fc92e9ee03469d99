"""How long events that are done are kept."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from comp_billing.conf import conf
from comp_billing.models import Event, EventState

logger = logging.getLogger(__name__)

# What the library is done with. Events whose handlers failed wait for a person.
DONE = (EventState.PROCESSED, EventState.INERT)
BATCH = 1000


def remove_old_events() -> int:
    """A maintenance loop: remove what ``COMP_BILLING["KEEP_EVENTS_DAYS"]`` says; answers how many.

    An event that Stripe still lists must stay, or a repair would take it for a new one. That is
    why the setting has a minimum.
    """
    if conf.KEEP_EVENTS_DAYS is None:
        return 0
    before = timezone.now() - timedelta(days=conf.KEEP_EVENTS_DAYS)
    old = Event.objects.filter(state__in=DONE, created__lt=before).order_by("created")
    removed = 0
    while keys := list(old.values_list("pk", flat=True)[:BATCH]):
        removed += Event.objects.filter(pk__in=keys).delete()[0]
    if removed:
        logger.info("Events removed, for they are done and old: %d.", removed)
    return removed
