"""What the worker does with stored events: repeat what failed, run the stored handlers."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from comp_billing import handlers
from comp_billing.conf import conf
from comp_billing.models import Event, EventState
from comp_billing.tracing import describe, log_error
from comp_billing.webhooks import apply, object_of, retry_at

logger = logging.getLogger(__name__)

DUE = (EventState.PENDING, EventState.FAILED)
# How long a claimed event is left alone; a worker that dies meanwhile is succeeded after it.
LEASE = timedelta(minutes=5)
BATCH = 100


def process_due_events(*, limit: int = BATCH) -> int:
    """A maintenance loop: work through the events that are due; answers how many are now done.

    An event that fails waits longer each time and holds up no other.
    """
    due = Event.objects.filter(state__in=DUE, next_attempt_at__lte=timezone.now())
    processed = 0
    for event in due.order_by("next_attempt_at", "pk")[:limit]:
        if _claim(event):
            processed += process(event)
    return processed


def process(event: Event) -> bool:
    """Do what is left to do for an event that is ours; False when a handler raised."""
    try:
        _apply_once(event)
        _run_stored(event)
    except Exception as exc:  # whatever a handler raises
        _fail(event, exc)
        return False
    Event.objects.filter(pk=event.pk).update(
        state=EventState.PROCESSED,
        processed_at=timezone.now(),
        next_attempt_at=None,
        error="",
        handled=event.handled,
    )
    return True


def _run_stored(event: Event) -> None:
    """Every stored handler has its turn, whatever another one raises; those that are done are not
    run again. Outside any transaction: they reach out of the database."""
    due = [
        (name, handler)
        for handler in handlers.handlers_of(event.type, stored=True)
        if (name := handlers.name_of(handler)) not in event.handled
    ]
    raised: Exception | None = None
    for name, handler in due:
        try:
            handler(event, object_of(event), event.previous)
        except Exception as exc:  # whatever a handler raises
            log_error(logger, "Event %s (%s): %s failed", event.pk, event.type, name, exc=exc)
            raised = raised or exc
        else:
            event.handled.append(name)
            if len(due) > 1:
                Event.objects.filter(pk=event.pk).update(handled=event.handled)
    if raised is not None:
        raise raised


def process_again(events: QuerySet[Event]) -> int:
    """Make events due, with all their attempts before them; answers how many.

    Stored handlers run once more, in-transaction handlers only if they never succeeded. Events
    that are stored for the record only stay so.
    """
    now = timezone.now()
    chosen = events.exclude(state=EventState.INERT)
    fresh = {"attempts": 0, "next_attempt_at": now, "error": "", "handled": []}
    applied = chosen.filter(applied_at__isnull=False).update(state=EventState.PENDING, **fresh)
    return applied + chosen.filter(applied_at=None).update(state=EventState.FAILED, **fresh)


def _claim(event: Event) -> bool:
    """Take an event from other workers for a while; counts the attempt before it is made."""
    claimed = Event.objects.filter(
        pk=event.pk, state__in=DUE, next_attempt_at=event.next_attempt_at
    ).update(attempts=F("attempts") + 1, next_attempt_at=timezone.now() + LEASE)
    event.refresh_from_db()
    return bool(claimed)


def _apply_once(event: Event) -> None:
    with transaction.atomic():
        now = timezone.now()
        # Names the state it leaves, so of two workers one gets on; undone when a handler raises.
        if Event.objects.filter(pk=event.pk, applied_at=None).update(applied_at=now):
            apply(event)
            event.applied_at = now


def _fail(event: Event, exc: Exception) -> None:
    log_error(logger, "Event %s (%s) failed", event.pk, event.type, exc=exc)
    is_dead = event.attempts >= conf.EVENT_MAX_ATTEMPTS
    Event.objects.filter(pk=event.pk).update(
        state=EventState.DEAD if is_dead else EventState.FAILED,
        next_attempt_at=None if is_dead else retry_at(event.attempts),
        error=describe(exc),
    )
