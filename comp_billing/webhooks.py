"""From a webhook's raw bytes to a stored event and true proxies, in one transaction.

No call to Stripe is made here, whatever the event: what is missing becomes a placeholder.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db import (
    DEFAULT_DB_ALIAS,
    IntegrityError,
    OperationalError,
    connections,
    transaction,
)
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from comp_billing import handlers, mirror, payloads, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.mirror import known
from comp_billing.mirror.adapters import Text
from comp_billing.mirror.sql import insert_new
from comp_billing.models import Customer, Event, EventState, Invoice, StripeObject
from comp_billing.payloads import NotAnEvent
from comp_billing.tracing import describe, log_error

logger = logging.getLogger(__name__)

MAX_TYPE_LENGTH = 120
# Deadlocks and serialization failures, and parents removed behind our back, are worth a repeat.
TRIES = 3
# With the default of 12 attempts, an event is given up after about nine hours.
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=6)


def read_event(body: bytes) -> Event:
    """The event (unsaved) in a JSON body; raises NotAnEvent."""
    payload, text = payloads.read(body)
    event = event_of(payload)
    event.payload_text = text
    return event


def event_of(payload: dict[str, Any]) -> Event:
    """The event (unsaved) that a payload describes, snapshot or thin; raises NotAnEvent."""
    key, event_type = shapes.ref(payload.get("id")), shapes.text(payload.get("type"))
    is_thin = payload.get("object") == "v2.core.event"
    created = _created(payload.get("created"))
    if payload.get("object") not in ("event", "v2.core.event") or key is None or created is None:
        raise NotAnEvent("The body has no id or no date, or is of another kind.")
    if not 0 < len(event_type) <= MAX_TYPE_LENGTH:
        raise NotAnEvent("The body has no event type.")
    request = payload.get("request")
    # Until 2017-05-25 the request was its id alone.
    request_id = request if isinstance(request, str) else shapes.mapping(request).get("id")
    return _unsaved(
        stripe_id=key,
        type=event_type,
        api_version=shapes.text(payload.get("api_version")),
        account=shapes.text(payload.get("account")) or shapes.text(payload.get("context")),
        livemode=shapes.flag(payload.get("livemode")),
        is_thin=is_thin,
        created=created,
        payload=payload,
        request_id=shapes.text(request_id),
        idempotency_key=shapes.text(shapes.mapping(request).get("idempotency_key")),
        handled=[],
    )


def _unsaved(**given: Any) -> Event:
    """An event with these values. Given all in their order, Django makes it in a third the time."""
    values = {**_defaults(), **given}.values()
    return Event(*values)  # type: ignore[misc]  # the plugin takes them for the first one


@cache
def _defaults() -> dict[str, Any]:
    return {field.attname: field.get_default() for field in Event._meta.concrete_fields}


def ingest(event: Event, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Store an event, mirror its object and run its in-transaction handlers: all in one commit.

    False: it was there already, and nothing was done. When a handler raises, the event is kept as
    failed for the worker to try again, and its news is mirrored all the same. Raises DatabaseError
    when not even that can be written: then Stripe has to deliver again.
    """
    try:
        return _with_repeats(event, using=using)
    except Exception as exc:  # whatever a handler raises
        return _keep_failed(event, exc, using=using)


def _with_repeats(event: Event, *, using: str) -> bool:
    for attempt in range(1, TRIES + 1):
        try:
            return _store(event, using=using)
        except (OperationalError, IntegrityError):
            if attempt == TRIES:
                raise
            known.forget()
    raise AssertionError("every round returns or raises")


def _store(event: Event, *, using: str) -> bool:
    now = timezone.now()
    is_ours = event.livemode == conf.LIVEMODE and not event.account
    event.state = _first_state(event, is_ours=is_ours)
    event.customer_id, event.invoice_id = subjects_of(event) if is_ours else (None, None)
    # What is of another mode or account may turn out to be ours when the settings are corrected.
    event.received_at, event.applied_at = now, now if is_ours else None
    is_pending = event.state == EventState.PENDING
    event.processed_at = None if is_pending else now
    event.next_attempt_at = now if is_pending else None
    is_idle = event.state == EventState.INERT and not (event.customer_id or event.invoice_id)
    if is_idle and not connections[using].in_atomic_block:
        # Nothing follows from it: the one statement needs no transaction around it.
        return _insert(event, using=using)
    with transaction.atomic(using=using):
        if not _insert(event, using=using):
            return False
        if is_ours:
            apply(event, using=using)
        return True


def _first_state(event: Event, *, is_ours: bool) -> EventState:
    if not is_ours:
        return EventState.INERT
    if handlers.handlers_of(event.type, stored=True):
        return EventState.PENDING
    if subject_of(event) is not None or handlers.handlers_of(event.type, stored=False):
        return EventState.PROCESSED
    return EventState.INERT


def apply(event: Event, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Mirror an event's object and run its in-transaction handlers, in the caller's transaction."""
    mirror_object(event, using=using)
    called = handlers.handlers_of(event.type, stored=False)
    obj = object_of(event) if called else None
    for handler in called:
        handler(event, obj, event.previous)


def mirror_object(event: Event, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Write what an event says, and placeholders for the customer and invoice that it is about.

    An event that does not say it in the words that are read here (a thin one, one of another
    version of the API) is a hint: its object is fetched by the worker.
    """
    data = event.object_data
    kind = shapes.text(data.get("object"))
    model = mirror.KINDS.get(kind)
    # A canceled subscription still exists; what is said to be deleted does not.
    is_gone = event.type == f"{kind}.deleted"
    about: list[tuple[type[StripeObject], str | None]] = [
        (Customer, event.customer_id),
        (Invoice, event.invoice_id),
    ]
    is_hint = event.is_thin or not stripe_api.speaks(event.api_version)
    if is_hint:
        hinted = subject_of(event)
        if hinted is not None:
            changed_at = int(event.created.timestamp())
            mirror.fetch_later(hinted[0], [hinted[1]], since=changed_at, using=using)
    mirror.upsert(
        [] if is_hint else [{**data, "deleted": True} if is_gone else data],
        as_of=int(event.created.timestamp()),
        rank=rank_of(event.type, is_final=model is not None and model.is_final(data)),
        api_version=event.api_version,
        naming=[(parent, key) for parent, key in about if key],
        using=using,
    )


def rank_of(event_type: str, *, is_final: bool) -> mirror.Rank:
    """What an event weighs against others of the same second."""
    if event_type.endswith(".created"):
        return mirror.Rank.CREATED
    if event_type.endswith(".deleted") or is_final:
        return mirror.Rank.DELETED
    return mirror.Rank.EVENT


def subjects_of(event: Event) -> tuple[str | None, str | None]:
    """The ids of the customer and the invoice that an event is about."""
    customer, invoice = shapes.customer_of(event.object_data), shapes.invoice_of(event.object_data)
    return (
        customer if customer and customer.startswith(Customer.id_prefix) else None,
        invoice if invoice and invoice.startswith(Invoice.id_prefix) else None,
    )


def subject_of(event: Event) -> tuple[type[StripeObject], str] | None:
    """Model and id of the object that an event is about; None when it is not mirrored."""
    related = shapes.mapping(event.payload.get("related_object")) if event.is_thin else {}
    kind = related.get("type") if event.is_thin else event.object_data.get("object")
    key = shapes.ref(related if event.is_thin else event.object_data)
    model = mirror.KINDS.get(shapes.text(kind))
    if model is None or key is None or not key.startswith(model.id_prefix):
        return None
    return model, key


def object_of(event: Event) -> StripeObject | None:
    """The row of an event's object, as it is now."""
    subject = subject_of(event)
    return subject[0].all_objects.filter(pk=subject[1]).first() if subject is not None else None


def retry_at(attempts: int) -> datetime:
    """When an event whose handler has raised so often is tried again."""
    return timezone.now() + min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(attempts - 1, 30)))


def _keep_failed(event: Event, exc: Exception, *, using: str) -> bool:
    log_error(logger, "Event %s (%s) failed", event.pk, event.type, exc=exc)
    event.state, event.error, event.attempts = EventState.FAILED, describe(exc), 1
    event.applied_at = event.processed_at = None
    event.next_attempt_at = retry_at(event.attempts)
    try:
        with transaction.atomic(using=using):
            is_new = _insert(event, using=using)
            if is_new:
                mirror_object(event, using=using)
            return is_new
    except Exception as unmirrored:  # the mirror itself is what fails: keep the event at least
        log_error(logger, "Event %s (%s) cannot be mirrored", event.pk, event.type, exc=unmirrored)
        event.customer_id = event.invoice_id = None
        with transaction.atomic(using=using):
            return _insert(event, using=using)


def _insert(event: Event, *, using: str) -> bool:
    row = vars(event)
    if event.payload_text is not None:
        row = {**row, "payload": Text(event.payload_text)}
    return bool(insert_new(Event, [row], using=using))


def _created(value: Any) -> datetime | None:
    """Unix seconds in a snapshot event, RFC 3339 text in a thin one."""
    if not isinstance(value, str):
        return shapes.moment(value)
    try:
        moment = parse_datetime(value)
        # In UTC here already: a moment at the end of all times has no date elsewhere.
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (OverflowError, ValueError):
        return None
