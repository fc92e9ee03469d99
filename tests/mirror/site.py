"""The site that mirrors the account, and how it learns of what happens there: late, in any order,
twice, not at all; from lists, and from answers that were long under way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from django.db.models import Max

from comp_billing import mirror, stripe_api, webhooks
from comp_billing.models import Customer, Plan, StripeObject
from comp_billing.stripe_api import Answer
from comp_billing.sync import bulk, fetching, gaps, reading
from comp_billing.testing.standin.versions import render
from tests.mirror.account import Account, Json, NothingThere
from tests.mirror.actions import ACTIONS

LISTED = bulk.listed_kinds()
FETCHED = [model for model in mirror.KINDS.values() if model.collection]
DELETED = [(Customer, ACTIONS["delete customer"]), (Plan, ACTIONS["delete price"])]
OLD_VERSION = "2024-06-20"
HALF_A_MONTH = 16 * 24 * 3600
# Rounds of work after which the site must be at rest.
PATIENCE = 12


@dataclass
class Reading:
    """An answer of Stripe's that has not been written yet."""

    model: type[StripeObject]
    answer: Answer
    # The one object asked for; empty for a page.
    stripe_id: str = ""

    @property
    def objects(self) -> list[Json]:
        if not self.stripe_id:
            found: list[Json] = self.answer.data["data"]
            return found
        return [self.answer.data] if self.answer.data else []


@dataclass
class Site:
    """``skew`` is how many seconds the site's own clock is ahead of Stripe's."""

    account: Account
    skew: int = 0
    pending: list[Json] = field(default_factory=list)
    arrived: list[Json] = field(default_factory=list)
    lost: list[Json] = field(default_factory=list)
    under_way: list[Reading] = field(default_factory=list)
    told: int = 0

    def now(self) -> datetime:
        """The site's own clock."""
        return datetime.fromtimestamp(self.account.world.now() + self.skew, UTC)

    def listen(self) -> None:
        """What has happened since is on its way."""
        sql = "SELECT seq, body FROM object WHERE kind = 'event' AND seq > ? ORDER BY seq"
        for row in self.account.world.store.rows(sql, self.told):
            self.pending.append(json.loads(row["body"]))
            self.told = row["seq"]

    # -- events

    def deliver(self, n: int, m: int) -> None:
        """One event of those on their way, and up to twice as many as ``m`` after it."""
        start = _place(self.pending, n)
        for event in self.pending[start : start + 1 + 2 * m]:
            self._arrive(event, event)

    def deliver_old(self, n: int, m: int) -> None:
        """The latest but ``n``, and ``m`` before it, in the words of an older API version."""
        end = len(self.pending) - _place(self.pending, n)
        for event in self.pending[max(end - 1 - m, 0) : end]:
            self._arrive(event, render(event, OLD_VERSION))

    def deliver_thin(self, n: int) -> None:
        """One event as the other endpoint has it: it names its object, and says nothing of it. Of
        what is not mirrored, it would be of no use."""
        event = self.pending[_place(self.pending, n)]
        obj = event["data"]["object"]
        if obj["object"] not in mirror.KINDS or "id" not in obj:
            raise NothingThere
        thin = {
            "id": event["id"],
            "object": "v2.core.event",
            "type": f"v1.{event['type']}",
            "created": datetime.fromtimestamp(event["created"], UTC).isoformat(),
            "livemode": False,
            "related_object": {"id": obj["id"], "type": obj["object"], "url": ""},
        }
        self._arrive(event, thin)

    def _arrive(self, event: Json, payload: Json) -> None:
        self.pending.remove(event)
        self.arrived.append(event)
        self._ingest(payload)

    def deliver_all(self, n: int) -> None:
        """Every event on its way, in order but for its first ``n``, which arrive last."""
        events = [*self.pending[n:], *self.pending[:n]]
        self.arrived += events
        self.pending.clear()
        for event in events:
            self._ingest(event)

    def _ingest(self, event: Json) -> None:
        webhooks.ingest(webhooks.event_of(event))

    def repeat(self, n: int) -> None:
        """An event that has arrived before."""
        self._ingest(self.arrived[_place(self.arrived, n)])

    def lose(self, n: int) -> None:
        self.lost.append(self.pending.pop(_place(self.pending, n)))

    def repair(self) -> None:
        """What Stripe's list of events has that never arrived."""
        gaps.repair()
        self.arrived += self.lost
        self.lost.clear()

    # -- answers

    def read_lists(self, n: int, m: int) -> None:
        """Every list read, or so many small pages of one; its next reading goes on from there."""
        with mock.patch.object(stripe_api, "PAGE_SIZE", 2 if m else 100):
            for model in [LISTED[n % len(LISTED)]] if m else LISTED:
                bulk.read(model, pages=m or None)

    def ask_list(self, n: int) -> None:
        """A whole list read, to be written later."""
        model, after = LISTED[n % len(LISTED)], ""
        while True:
            page = reading.read_page(model, after=after)
            self.under_way.append(Reading(model, page))
            if not page.data["has_more"]:
                return
            after = page.data["data"][-1]["id"]

    def ask_object(self, n: int, m: int) -> None:
        """One object read, whether it exists or not, to be written later."""
        model = FETCHED[n % len(FETCHED)]
        known = [obj["id"] for obj in self.account.world.store.where(model.kind)]
        known = known or list(model.all_objects.values_list("pk", flat=True).order_by("pk"))
        stripe_id = known[_place(known, m)]
        self.under_way.append(Reading(model, reading.read_object(model, stripe_id), stripe_id))

    def overtake(self, n: int, m: int) -> None:
        """An object is read, deleted, and heard to be deleted before the answer is here."""
        model, deletion = DELETED[n % len(DELETED)]
        stripe_id = self.account.id(model.kind, m)
        read = Reading(model, reading.read_object(model, stripe_id), stripe_id)
        deletion(self.account, m, 0)
        self.listen()
        self.deliver_all(0)
        self.account.world.advance(seconds=2)
        self._land(read, is_late=True)

    def hear_of_deletion(self, n: int, m: int) -> None:
        """An object is deleted, and what says so says no more than its id."""
        model, deletion = DELETED[n % len(DELETED)]
        deletion(self.account, m, 0)
        self.listen()
        ends = [place for place, event in enumerate(self.pending) if _is_end(event, model)]
        self.deliver_thin(ends[-1])

    def land(self, n: int, m: int) -> None:
        self._land(self.under_way.pop(_place(self.under_way, n)), is_late=m % 2 == 1)

    def _land(self, read: Reading, *, is_late: bool) -> None:
        # An answer is dated when it is sent: of what has gone meanwhile it may say too much.
        gone = set(_told_gone(read.model)) if is_late else set()
        late = [obj for obj in read.objects if obj["id"] in gone]
        if late:
            self._upsert(late, as_of=self.account.world.now())
        else:
            self._write(read)

    def _write(self, read: Reading) -> None:
        as_of = read.answer.as_of
        if read.objects:
            self._upsert(read.objects, as_of=as_of)
        elif read.stripe_id:
            unknown = [read.stripe_id]
            mirror.missing(read.model, unknown, as_of=as_of, api_version=stripe_api.API_VERSION)

    def _upsert(self, objects: list[Json], *, as_of: int) -> None:
        mirror.upsert(
            objects,
            as_of=as_of,
            rank=mirror.Rank.LIST,
            api_version=stripe_api.API_VERSION,
            quiet=True,
        )

    def month(self) -> None:
        """Stripe lists events for 30 days: the site asks in time for what is not there yet."""
        for _half in range(2):
            self.listen()
            if self.lost or self.pending:
                self.repair()
            self.account.world.advance(seconds=HALF_A_MONTH)

    # -- rest

    def work(self) -> None:
        """What the worker does at this moment."""
        fetching.fetch_due()

    def rest(self, order: list[int]) -> bool:
        """Everything arrives, in this order, and the worker works until nothing is left to do;
        False when it never comes to its end."""
        turns = _turns(order)
        for _ in range(PATIENCE):
            self.listen()
            while self.pending or self.under_way:
                if self.under_way and next(turns) % 3 == 0:
                    self.land(next(turns), next(turns))
                elif self.pending:
                    self.deliver(next(turns), 0)
                else:
                    self.land(next(turns), next(turns))
            if self.lost:
                self.repair()
            if not self._settle():
                return True
        return False

    def _settle(self) -> bool:
        """The worker's round, at the moment at which everything is due; False at rest."""
        self.account.world.advance(seconds=3)
        due = filter(None, map(_last_due, mirror.KINDS.values()))
        if (last := max(due, default=None)) is None:
            self.listen()
            return bool(self.pending)
        wait = (last - self.now()) // timedelta(seconds=1) + 1
        self.account.world.advance(seconds=max(wait, 0))
        fetching.fetch_due()
        return True

    def read_everything(self) -> None:
        """Every list, whole, at a moment at which nothing happens."""
        self.account.world.advance(seconds=3)
        for model in LISTED:
            bulk.read(model, anew=True)


def _is_end(event: Json, model: type[StripeObject]) -> bool:
    return bool(event["type"] == f"{model.kind}.deleted")


def _place(entries: Sequence[Any], n: int) -> int:
    """The place that a number means in a list, however long; NothingThere."""
    if not entries:
        raise NothingThere
    return n % len(entries)


def _turns(order: list[int]) -> Iterator[int]:
    """The numbers again and again; without any, always the first."""
    while True:
        yield from order or [0]


def _last_due(model: type[StripeObject]) -> datetime | None:
    last: datetime | None = model.all_objects.aggregate(last=Max("fetch_at"))["last"]
    return last


def _told_gone(model: type[StripeObject]) -> Iterator[str]:
    gone = model.all_objects.filter(deleted=True, rank=mirror.Rank.DELETED)
    yield from gone.values_list("pk", flat=True)


Move = Callable[[Site, int, int], Any]
MOVES: dict[str, Move] = {
    "deliver": lambda site, n, m: site.deliver(n, m),
    "deliver in old words": lambda site, n, m: site.deliver_old(n, m),
    "deliver thin": lambda site, n, m: site.deliver_thin(n),
    "deliver all": lambda site, n, m: site.deliver_all(n),
    "repeat": lambda site, n, m: site.repeat(n),
    "lose": lambda site, n, m: site.lose(n),
    "repair": lambda site, n, m: site.repair(),
    "read lists": lambda site, n, m: site.read_lists(n, m),
    "ask list": lambda site, n, m: site.ask_list(n),
    "ask object": lambda site, n, m: site.ask_object(n, m),
    "overtake": lambda site, n, m: site.overtake(n, m),
    "hear of deletion": lambda site, n, m: site.hear_of_deletion(n, m),
    "land": lambda site, n, m: site.land(n, m),
    "work": lambda site, n, m: site.work(),
    "second": lambda site, n, m: site.account.world.advance(seconds=1 + n),
    "month": lambda site, n, m: site.month(),
    "hour": lambda site, n, m: site.account.world.advance(seconds=3600),
}
