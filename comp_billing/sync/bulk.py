"""Whole lists: read page by page into the mirror, each page and its checkpoint all or nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.functions import Now

from comp_billing import mirror, shapes, stripe_api
from comp_billing.exceptions import ListBusy, StripeError, StripeRefused
from comp_billing.models import StripeObject, Sync, SyncPage
from comp_billing.stripe_api import Answer
from comp_billing.sync import accounts
from comp_billing.sync.absent import asked_before, known, refuse_all, silent, unnamed
from comp_billing.sync.reading import read_page
from comp_core.crashpoints import crashpoint
from comp_core.db import from_now

# Extended with every page, and while it is asked for. A reader that dies is succeeded after it.
LEASE_SECONDS = 120
# How often it is extended within a lease, at most.
TICKS = 24
# An interrupted reading is gone on with for so long. What its first pages said is older than that,
# and the events since then may have been lost as well.
RESUMED_WITHIN = timedelta(days=1)
MARKED_TOGETHER = 500


@dataclass(kw_only=True)
class Tally:
    """How a reading gets on; its numbers include what was done before an interruption.

    ``pages`` and ``listed_now`` are those of this call. ``missing``: rows that the whole list did
    not name.
    """

    kind: str
    is_resumed: bool
    listed: int
    written: int
    pages: int = 0
    listed_now: int = 0
    missing: int = 0
    is_finished: bool = False


def listed_kinds() -> list[type[StripeObject]]:
    """The kinds whose lists can be read, parents before children."""
    return [model for model in mirror.KINDS.values() if model.collection and model.is_listed]


def read(
    model: type[StripeObject],
    *,
    created_gte: int | None = None,
    anew: bool = False,
    rewrite: bool = False,
    accept_missing: bool = False,
    pages: int | None = None,
    told: Callable[[Tally], None] = lambda tally: None,
    using: str = DEFAULT_DB_ALIAS,
) -> Tally:
    """Read a kind's list, or so many ``pages`` of it, from where the last reading was interrupted.

    ``created_gte``, in Unix seconds: only what was created since then; it tells nothing of other
    objects. A whole reading marks what Stripe no longer lists to be fetched; ``accept_missing``:
    even if that is everything. ``anew``: from the beginning. ``rewrite``: unchanged rows are
    written too. ``told`` is called after each page.

    Makes calls. Raises ListBusy, or a StripeError, which is kept in the row; what was read stays.
    """
    with held(model.kind, using=using) as row:
        accounts.check(using=using)
        reader = _Reader(model, row, using=using)
        reader.begin(created_gte, anew=anew, rewrite=rewrite)
        while pages is None or reader.tally.pages < pages:
            has_more = reader.read_page()
            told(reader.tally)
            if not has_more:
                reader.finish(accept_missing=accept_missing)
                break
        return reader.tally


@contextmanager
def held(kind: str, *, using: str) -> Iterator[Sync]:
    """The row of a kind, ours until the end of the block or of the lease."""
    rows = Sync.objects.using(using)
    rows.bulk_create([Sync(kind=kind)], ignore_conflicts=True)
    free = rows.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=Now()), pk=kind)
    token = uuid.uuid4()
    if not free.update(lease_token=token, lease_expires_at=from_now(LEASE_SECONDS)):
        raise ListBusy
    ours = rows.filter(pk=kind, lease_token=token)
    try:
        yield ours.get()
    except StripeError as exc:
        ours.update(error=str(exc))
        raise
    finally:
        ours.update(lease_token=None, lease_expires_at=None)


class _Reader:
    """Who holds the lease on a kind's list. ``row`` is as last written."""

    def __init__(self, model: type[StripeObject], row: Sync, *, using: str) -> None:
        self.model, self.row, self.using = model, row, using
        self.ours: QuerySet[Sync] = Sync.objects.using(using).filter(
            pk=row.pk, lease_token=row.lease_token
        )
        self.extended_at = time.monotonic()
        self.all_pages = SyncPage.objects.using(using).filter(sync=row)
        self.pages: QuerySet[SyncPage] = self.all_pages.filter(number__gt=0)

    # -- beginning

    def begin(self, created_gte: int | None, *, anew: bool, rewrite: bool) -> None:
        """Go on after the cursor if the reading at hand is the one that is wanted."""
        goes_on = not anew and self._is_wanted(created_gte, rewrite=rewrite)
        if not goes_on:
            with transaction.atomic(using=self.using):
                # Who begins anew or rewrites doubts what is here: see page 0 there.
                (self.all_pages if anew or rewrite else self.pages).delete()
                self._keep(
                    started_at=Now(),
                    finished_at=None,
                    created_gte=created_gte,
                    rewrites=rewrite,
                    known=known(self.model, using=self.using),
                    **_at_the_top(),
                )
            self.row = self.ours.get()
        last = self.pages.order_by("-number").values_list("number", flat=True).first()
        self.number = last or 0
        self.tally = Tally(
            kind=self.model.kind,
            is_resumed=goes_on,
            listed=self.row.listed,
            written=self.row.written,
        )

    def _is_wanted(self, created_gte: int | None, *, rewrite: bool) -> bool:
        row = self.row
        recent = self.ours.filter(
            started_at__gt=from_now(-RESUMED_WITHIN.total_seconds()), finished_at=None
        )
        is_same = row.created_gte == created_gte and (row.rewrites or not rewrite)
        # An upgrade may have left fewer lists than there were.
        return is_same and row.part < len(self.model.list_params) and recent.exists()

    # -- pages

    def read_page(self) -> bool:
        """One page into the mirror; answers whether there are more."""
        page = self._ask()
        entries = page.data["data"]
        ids = [shapes.text(entry.get("id")) for entry in entries]
        self.tally.pages += 1
        if self.row.as_of is None:
            self.row.as_of = page.date
        if ids:
            crashpoint("sync_page:begin")
            with transaction.atomic(using=self.using):
                self._write(page, entries, ids)
                crashpoint("sync_page:written")
            crashpoint("sync_page:committed")
        return bool(ids and page.data.get("has_more")) or self._turn_over()

    def _turn_over(self) -> bool:
        """Whether there is another list of this kind, which is read next."""
        if self.row.part + 1 == len(self.model.list_params):
            return False
        self._keep(part=self.row.part + 1, cursor="", as_of=self.row.as_of)
        return True

    def _ask(self) -> Answer:
        by_created = self.model.is_listed_by_created
        while True:
            try:
                return read_page(
                    self.model,
                    part=self.row.part,
                    after=self.row.cursor,
                    created_gte=self.row.created_gte if by_created else None,
                    tick=self._tick,
                )
            except StripeRefused as exc:
                is_gone = exc.code == "resource_missing" and exc.param == "starting_after"
                if not (is_gone and self.row.cursor):
                    raise
            self._step_back()

    def _write(self, page: Answer, entries: list[dict[str, Any]], ids: list[str]) -> None:
        written = mirror.upsert(
            entries,
            as_of=page.date,
            rank=mirror.Rank.LIST,
            api_version=stripe_api.API_VERSION,
            quiet=not self.row.rewrites,
            using=self.using,
        )
        self.number += 1
        SyncPage.objects.using(self.using).create(
            sync=self.row, number=self.number, part=self.row.part, ids=ids
        )
        self.tally.listed += len(ids)
        self.tally.listed_now += len(ids)
        self.tally.written += len(written.intersection(ids))
        self._keep(
            as_of=self.row.as_of,
            cursor=ids[-1],
            listed=self.tally.listed,
            written=self.tally.written,
            error="",
        )

    def _step_back(self) -> None:
        """The object after which to go on has been deleted: the page that ended with it is read
        again."""
        last, before = [*self.pages.order_by("-number")[:2], None, None][:2]
        with transaction.atomic(using=self.using):
            self.pages.filter(number=self.number).delete()
            if last is None or (before is None and last.part == 0):
                self.number, self.tally.listed = 0, 0
                self._keep(**_at_the_top())
                return
            self.number = 0 if before is None else before.number
            self.tally.listed -= len(last.ids)
            goes_on = before is not None and before.part == last.part
            self._keep(
                cursor=before.ids[-1] if before and goes_on else "", listed=self.tally.listed
            )

    # -- the end

    def finish(self, *, accept_missing: bool) -> None:
        """Mark what a whole reading did not name, then say that all is known as of its start."""
        is_whole = self.row.created_gte is None
        ids = unnamed(self.model, self.row, using=self.using) if is_whole else []
        asked = self._mark_unnamed(ids, accept_missing=accept_missing) if ids else []
        crashpoint("sync_end:begin")
        with transaction.atomic(using=self.using):
            (self.all_pages if is_whole else self.pages).delete()
            if asked:
                self.all_pages.create(sync=self.row, number=0, ids=asked)
            values: dict[str, Any] = {"complete_as_of": self.row.as_of} if is_whole else {}
            if is_whole:
                # What was asked for meanwhile is read once more.
                met = When(requested_at__lte=F("started_at"), then=None)
                values["requested_at"] = Case(met, default=F("requested_at"))
            self._keep(finished_at=Now(), error="", **values)
            crashpoint("sync_end:written")
        crashpoint("sync_end:committed")
        self.tally.is_finished = True

    def _mark_unnamed(self, ids: list[str], *, accept_missing: bool) -> list[str]:
        """Have asked for what is missing, unless it was asked for lately: see SyncPage. Answers
        what was asked for, now or before."""
        if not accept_missing:
            refuse_all(self.row, len(ids))
        before = asked_before(self.row, using=self.using)
        asked: list[str] = []
        for start in range(0, len(ids), MARKED_TOGETHER):
            part = ids[start : start + MARKED_TOGETHER]
            known_to_be = before.intersection(part)
            known_to_be -= silent(self.model, known_to_be, self.row, using=self.using)
            with transaction.atomic(using=self.using):
                marked = self._doubt([key for key in part if key not in known_to_be])
                self._keep()
            self.tally.missing += len(marked)
            asked += sorted(known_to_be | marked)
        return asked

    def _doubt(self, ids: list[str]) -> set[str]:
        """News from before the reading that arrives late does not settle whether they exist; an
        answer of the second in which it began does, or each would be asked for twice."""
        before = None if self.row.as_of is None else self.row.as_of - 1
        marked = mirror.fetch_later(self.model, ids, since=before, using=self.using)
        # What is here as of that very second.
        rest = set(ids) - marked
        return marked | (mirror.fetch_later(self.model, rest, using=self.using) if rest else set())

    # -- the row

    def _tick(self) -> None:
        """A page may take longer than a lease: the lists in its objects are read to their ends, and
        Stripe may ask for patience. Raises ListBusy as soon as another reader has succeeded us."""
        if time.monotonic() - self.extended_at > LEASE_SECONDS / TICKS:
            self._keep()

    def _keep(self, **values: Any) -> None:
        """Write values and extend the lease. Raises ListBusy, and so undoes what was written with
        them, when another reader has succeeded us."""
        if not self.ours.update(lease_expires_at=from_now(LEASE_SECONDS), **values):
            raise ListBusy
        self.extended_at = time.monotonic()
        for name, value in values.items():
            setattr(self.row, name, value)


def _at_the_top() -> dict[str, Any]:
    return {"as_of": None, "part": 0, "cursor": "", "listed": 0, "written": 0, "error": ""}
