"""What the worker does with stored events: repeat what failed, run the stored handlers."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import BooleanField, Case, F, JSONField, Q, QuerySet, Value, When
from django.db.models.expressions import RawSQL
from django.utils import timezone

from comp_billing import handlers
from comp_billing.conf import conf
from comp_billing.models import Event, EventState
from comp_billing.tracing import describe, log_error
from comp_billing.webhooks import apply, mirror_object, object_of, retry_at, subjects_of
from comp_core.crashpoints import crashpoint, step

logger = logging.getLogger(__name__)

DUE = (EventState.PENDING, EventState.FAILED)
# How long a claimed event is left alone; a worker that dies meanwhile is succeeded after it. Begins
# anew with each stored handler: one that takes longer may be run by a second worker as well.
LEASE = timedelta(minutes=5)
BATCH = 100
# Spelt out: of states given as parameters SQLite cannot tell that the index of due events fits,
# and would read the whole table every two seconds.
IS_DUE = RawSQL("state IN ('pending', 'failed')", (), output_field=BooleanField())
DIED = "Whoever worked on it ended every time before it was done; see the workers' logs."


def process_due_events(*, limit: int = BATCH) -> int:
    """A maintenance loop: work through the events that are due; answers how many are now done.

    An event that fails waits longer each time and holds up no other.
    """
    due = Event.objects.filter(IS_DUE, next_attempt_at__lte=timezone.now())
    moments = due.order_by("next_attempt_at", "pk").values_list("pk", "next_attempt_at")
    processed = 0
    for key, moment in list(moments[:limit]):
        event = _claim(key, moment)
        if event is not None:
            processed += process(event)
    return processed


def process(event: Event) -> bool:
    """Do what is left to do for an event that is claimed; False when a handler raised."""
    if event.attempts > conf.EVENT_MAX_ATTEMPTS:
        # The last attempt did not live to tell that it was the last.
        _give_up(event)
        return False
    try:
        _apply_once(event)
        _run_stored(event)
    except Exception as exc:  # whatever a handler raises
        _fail(event, exc)
        return False
    crashpoint("event_done:begin")
    # True whoever holds the event by now.
    Event.objects.filter(pk=event.pk).update(
        state=EventState.PROCESSED,
        processed_at=timezone.now(),
        next_attempt_at=None,
        error="",
        handled=event.handled,
    )
    crashpoint("event_done:committed")
    return True


def process_now(key: str) -> bool:
    """Claim an event, however long it was to wait, and process it here, as ``process_again`` has
    the worker do it; False when a handler raised, or when it is stored for the record only."""
    lease = timezone.now() + LEASE
    _begin_anew(Event.objects.filter(pk=key), attempts=1, at=lease)
    event = Event.objects.filter(pk=key, next_attempt_at=lease).first()
    return event is not None and process(event)


def process_again(events: QuerySet[Event]) -> int:
    """Make events due, with all their attempts before them; answers how many.

    Of an event that was done, the stored handlers run once more; of any other, those that have not
    succeeded. In-transaction handlers run only if they never succeeded. Of events that are stored
    for the record only, those that are ``mistaken`` or ``awaited`` are processed as if they had
    just arrived; the others stay as they are.
    """
    return _begin_anew(events, attempts=0, at=timezone.now())


def mistaken() -> Q:
    """Events that were taken for the other mode's, and are ours by ``LIVEMODE`` as it is now."""
    return Q(state=EventState.INERT, applied_at=None, livemode=conf.LIVEMODE, account="")


def awaited() -> Q:
    """Our events that are stored for the record only, though there are handlers for them by now."""
    types = Q(pk__in=[])
    for one in handlers.registrations():
        prefix = one.name.removesuffix("*")
        types |= Q(type__startswith=prefix) if one.is_prefix else Q(type=one.name)
    ours = Q(state=EventState.INERT, livemode=conf.LIVEMODE, account="")
    return ours & Q(applied_at__isnull=False) & types


def idle() -> Q:
    """Events for which there is nothing to do, neither now nor again."""
    return Q(state=EventState.INERT) & ~(mistaken() | awaited())


def _begin_anew(events: QuerySet[Event], *, attempts: int, at: datetime) -> int:
    none = Value([], output_field=JSONField())
    # What was stored for the record only was never applied, whatever its row says.
    is_new = Q(applied_at=None) | Q(state=EventState.INERT)
    return events.exclude(idle()).update(
        state=Case(When(is_new, then=Value(EventState.FAILED)), default=Value(EventState.PENDING)),
        applied_at=Case(When(is_new, then=None), default=F("applied_at")),
        handled=Case(When(state=EventState.PROCESSED, then=none), default=F("handled")),
        attempts=attempts,
        next_attempt_at=at,
        error="",
    )


def _claim(key: str, moment: datetime | None) -> Event | None:
    """Take an event from other workers for a while; counts the attempt before it is made.

    Read once it is ours, since others may have worked on it, and one at a time: they can be large.
    """
    lease = timezone.now() + LEASE
    waiting = Event.objects.filter(pk=key, state__in=DUE, next_attempt_at=moment)
    if not waiting.update(attempts=F("attempts") + 1, next_attempt_at=lease):
        return None
    crashpoint("event_claim:committed")
    return Event.objects.filter(pk=key, next_attempt_at=lease).first()


def _apply_once(event: Event) -> None:
    if event.applied_at is not None:
        return
    customer, invoice = subjects_of(event)
    with step("event_apply"):
        now = timezone.now()
        # Names the state it leaves, so of two workers one gets on; undone when a handler raises.
        # An event that could not be mirrored when it came has no links yet.
        links = {"customer_id": customer, "invoice_id": invoice}
        unapplied = Event.objects.filter(pk=event.pk, applied_at=None)
        if unapplied.update(applied_at=now, **links):
            event.customer_id, event.invoice_id = customer, invoice
            apply(event)
    event.applied_at = now


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
            crashpoint("event_stored:begin")
            handler(event, object_of(event), event.previous)
        except Exception as exc:  # whatever a handler raises
            log_error(logger, "Event %s (%s): %s failed", event.pk, event.type, name, exc=exc)
            raised = raised or exc
        else:
            crashpoint("event_stored:returned")
            event.handled.append(name)
        if len(due) > 1:
            _keep(event)
    if raised is not None:
        raise raised


def _keep(event: Event) -> None:
    """What is handled, and a new lease unless somebody else has one by now."""
    lease = timezone.now() + LEASE
    is_ours = Q(next_attempt_at=event.next_attempt_at)
    Event.objects.filter(pk=event.pk).update(
        handled=event.handled,
        next_attempt_at=Case(When(is_ours, then=Value(lease)), default=F("next_attempt_at")),
    )
    event.next_attempt_at = lease


def _fail(event: Event, exc: Exception) -> None:
    log_error(logger, "Event %s (%s) failed", event.pk, event.type, exc=exc)
    if event.applied_at is None:
        _mirror_alone(event)
    is_dead = event.attempts >= conf.EVENT_MAX_ATTEMPTS
    _ours(event).update(
        state=EventState.DEAD if is_dead else EventState.FAILED,
        next_attempt_at=None if is_dead else retry_at(event.attempts),
        error=describe(exc),
    )


def _give_up(event: Event) -> None:
    logger.error("Event %s (%s) is given up: %s", event.pk, event.type, DIED)
    _ours(event).update(state=EventState.DEAD, next_attempt_at=None, error=DIED)


def _ours(event: Event) -> QuerySet[Event]:
    """The row, unless our lease has ended and somebody else's result or attempt stands there."""
    return Event.objects.filter(pk=event.pk, state__in=DUE, next_attempt_at=event.next_attempt_at)


def _mirror_alone(event: Event) -> None:
    """The news must not wait for a handler that keeps raising."""
    try:
        with transaction.atomic():
            mirror_object(event)
    except Exception as exc:  # the mirror itself is what fails
        log_error(logger, "Event %s (%s) cannot be mirrored", event.pk, event.type, exc=exc)
