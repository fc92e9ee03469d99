"""Events that never arrived, from Stripe's own lists of events, through the same ingest.

Stripe lists events for 30 days. Each is ingested once, however often it is listed or delivered, so
a repair may overlap with deliveries, with another repair and with itself, interrupted and repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError
from django.db.models.functions import Now

from comp_billing import shapes, stripe_api, webhooks
from comp_billing.conf import conf
from comp_billing.exceptions import ListBusy, StripeError
from comp_billing.models import Event, EventState, Sync
from comp_billing.payloads import NotAnEvent
from comp_billing.stripe_api import Answer
from comp_billing.sync import accounts
from comp_billing.sync.bulk import LEASE_SECONDS, held
from comp_billing.sync.event_lists import EventList, event_lists
from comp_billing.sync.pacing import TRIES
from comp_billing.tracing import log_error
from comp_core.db import from_now

logger = logging.getLogger(__name__)

#: How long Stripe lists events, in both of its lists.
KEPT = timedelta(days=30)
# Before the moment at which the last repair began: an event need not be listed in the second in
# which it is created, and what is known already costs next to nothing.
MARGIN = timedelta(hours=1)
# Events that are named in a summary; the log names them all.
NAMED = 10
# Of the loop, which comes again: it must not hold up a worker that is to do one round and end.
LOOP_TRIES = 2
IDLE_SECONDS = 3600.0
TOO_LATE = (
    "Stripe lists events for 30 days: what happened before can no longer be had as events. Run"
    " comp_sync_stripe, which reads everything as it is now."
)
Json = dict[str, Any]


@dataclass(kw_only=True)
class Tally:
    """How a repair gets on. ``is_dry``: what is new was only counted."""

    is_dry: bool = False
    listed: int = 0
    known: int = 0
    new: int = 0
    # Of the new ones, those whose handlers raised: kept, and tried again by the worker.
    failing: int = 0
    # Not events as far as can be read, and those that the database would not take.
    unreadable: int = 0
    unstored: int = 0
    #: Ids of the first of those that are not here.
    named: list[str] = field(default_factory=list)
    #: Events were asked for that Stripe no longer lists.
    is_too_late: bool = False

    @property
    def missed(self) -> int:
        """How many are still not here."""
        return self.unreadable + self.unstored

    def name(self, stripe_id: str) -> None:
        if len(self.named) < NAMED:
            self.named.append(stripe_id)


def repair(
    *,
    since: datetime | None = None,
    undelivered: bool = False,
    types: Sequence[str] = (),
    dry_run: bool = False,
    tries: int = TRIES,
    told: Callable[[Tally], None] = lambda tally: None,
    using: str = DEFAULT_DB_ALIAS,
) -> Tally:
    """Ingest what Stripe's lists of events have and this database has not.

    Goes back to when the last such repair that came to its end began; the first one as far as
    Stripe does, 30 days. Our newest event would be no measure: after an outage new ones arrive at
    once. ``undelivered``: only what Stripe could not deliver, which leaves out what it never sent,
    as while an endpoint was disabled; of thin events it does not know. ``types``: names, or
    beginnings that end in ``.*``. ``told`` is called after each page.

    Makes calls. Raises ListBusy or a StripeError; what was ingested by then stays.
    """
    tally = Tally(is_dry=dry_run)
    gte = None if since is None else int(since.timestamp())
    accounts.check(tries=tries, using=using)
    for events in event_lists(undelivered=undelivered, types=types):
        if dry_run or types:
            row = Sync.objects.using(using).filter(pk=events.kind).first() or Sync(kind=events.kind)
            _Repair(events, row, tally, tries=tries, told=told, using=using).read(gte)
        else:
            with held(events.kind, using=using) as row:
                _Checked(events, row, tally, tries=tries, told=told, using=using).read(gte)
    return tally


def repair_undelivered(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """A maintenance loop: ingest what Stripe could not deliver; answers how many events were new.

    A call or two when nothing is missing. What goes wrong is logged, and the next round begins
    where this one did.
    """
    if not stripe_api.is_configured() or not conf.REPAIR_EVENTS_SECONDS:
        return 0
    try:
        tally = repair(undelivered=True, tries=LOOP_TRIES, using=using)
    except ListBusy:
        return 0
    except StripeError as exc:
        logger.warning("Events that may have been missed were not asked for: %s", exc)
        return 0
    if tally.is_too_late:
        logger.error("%s", TOO_LATE)
    if tally.new:
        logger.info("Events that never arrived, fetched from Stripe: %d.", tally.new)
    return tally.new


def pause() -> float:
    """Seconds between two rounds of the loop."""
    return float(conf.REPAIR_EVENTS_SECONDS) or IDLE_SECONDS


class _Repair:
    """The reading of one list, newest first, page by page. ``row``: where the last one got to."""

    def __init__(
        self,
        events: EventList,
        row: Sync,
        tally: Tally,
        *,
        tries: int,
        told: Callable[[Tally], None],
        using: str,
    ) -> None:
        self.events, self.row, self.tally = events, row, tally
        self.tries, self.told, self.using = tries, told, using

    def read(self, gte: int | None) -> None:
        """All that was created since, in Unix seconds; None: since the last reading."""
        if gte is None and self.row.complete_as_of is not None:
            gte = self.row.complete_as_of - int(MARGIN.total_seconds())
        self.begin(gte)
        for page in self.events.pages(gte=gte, tries=self.tries):
            if gte is not None and gte < page.date - KEPT.total_seconds():
                self.tally.is_too_late = True
            self._take(page.data["data"])
            self.keep(page)
            self.told(self.tally)
        self.finish(gte)

    def begin(self, gte: int | None) -> None:
        """Before the first page."""

    def keep(self, page: Answer) -> None:
        """After each page."""

    def finish(self, gte: int | None) -> None:
        """After the last."""

    # -- events

    def _take(self, entries: list[Json]) -> None:
        """The new ones of a page, oldest first: what follows from each follows in their order."""
        events = {event.pk: event for event in map(self._event_of, entries) if event is not None}
        rows = Event.objects.using(self.using).filter(pk__in=list(events))
        known = set(rows.values_list("pk", flat=True))
        self.tally.listed += len(entries)
        self.tally.known += len(known)
        for event in reversed(events.values()):
            if event.pk not in known:
                self._ingest(event)

    def _event_of(self, payload: Json) -> Event | None:
        try:
            return webhooks.event_of(shapes.mapping(payload))
        except NotAnEvent as exc:
            stripe_id = shapes.ref(payload) or "without an id"
            logger.error("An event of Stripe's list (%s) cannot be read: %s", stripe_id, exc)
            self.tally.unreadable += 1
            self.tally.name(stripe_id)
            return None

    def _ingest(self, event: Event) -> None:
        if self.tally.is_dry:
            self.tally.new += 1
            return
        try:
            is_new = webhooks.ingest(event, using=self.using)
        except Exception as exc:  # one that cannot be stored must not hold up the others
            log_error(logger, "Event %s (%s) cannot be stored", event.pk, event.type, exc=exc)
            # What no database has refused will be no better next time.
            self.tally.unstored += isinstance(exc, DatabaseError)
            self.tally.unreadable += not isinstance(exc, DatabaseError)
            self.tally.name(event.pk)
            return
        self.tally.new += is_new
        self.tally.known += not is_new
        self.tally.failing += is_new and event.state == EventState.FAILED


class _Checked(_Repair):
    """A reading that says in its row how far it got, whose lease is ours."""

    def begin(self, gte: int | None) -> None:
        self.before = self._numbers()
        self.as_of: int | None = None
        self._write(started_at=Now(), finished_at=None, as_of=None, created_gte=gte, cursor="")

    def keep(self, page: Answer) -> None:
        self.as_of = page.date if self.as_of is None else self.as_of
        listed, new, _unstored = self._since_begun()
        self._write(as_of=self.as_of, listed=listed, written=new)

    def finish(self, gte: int | None) -> None:
        *_, unstored = self._since_begun()
        values: Json = {"error": f"Events that could not be stored: {unstored}; see the log."}
        if not unstored:
            values = {"error": ""}
            if self.as_of is not None and self._joins(gte, self.as_of):
                values["complete_as_of"] = self.as_of
        self._write(finished_at=Now(), **values)

    def _joins(self, gte: int | None, as_of: int) -> bool:
        """Whether nothing is left out between what was read before and what has been read now."""
        complete = self.row.complete_as_of
        oldest = as_of - int(KEPT.total_seconds())
        return gte is None or gte <= (oldest if complete is None else complete)

    def _numbers(self) -> tuple[int, int, int]:
        return self.tally.listed, self.tally.new, self.tally.unstored

    def _since_begun(self) -> list[int]:
        """Of this list alone; a tally is of several."""
        return [now - before for now, before in zip(self._numbers(), self.before, strict=True)]

    def _write(self, **values: Any) -> None:
        ours = Sync.objects.using(self.using).filter(
            pk=self.row.pk, lease_token=self.row.lease_token
        )
        if not ours.update(lease_expires_at=from_now(LEASE_SECONDS), **values):
            raise ListBusy
