"""Gap repair: what was never delivered is fetched from Stripe's lists of events, once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from comp_billing import events, stripe_api, webhooks
from comp_billing.exceptions import ListBusy, StripeUnavailable
from comp_billing.models import Event, Sync
from comp_billing.stripe_api import Answer
from comp_billing.sync import event_lists, gaps
from comp_billing.sync.bulk import held
from tests.billing.gaps import DAY, at_stripe, calls, days, deliver, here, told_shop, untrue
from tests.billing.standin_rig import Shop

__all__ = ["told_shop"]
pytestmark = pytest.mark.django_db(transaction=True)


def whole() -> int | None:
    """As of when everything that Stripe lists is here."""
    row = Sync.objects.filter(pk="event").first()
    return row.complete_as_of if row else None


def counted(handle: Any, *, stored: bool) -> Counter[str]:
    """How often a handler of everything about customers and invoices is called, by event."""
    seen: Counter[str] = Counter()
    handle("customer.*", "invoice.*", stored=stored, handler=lambda e, *_: seen.update([e.pk]))
    return seen


def test_an_outage_of_days_is_repaired(told_shop: Shop, handle: Any) -> None:
    """Every kind true, every event here, every handler called once for each."""
    inside, stored = counted(handle, stored=False), counted(handle, stored=True)
    deliver(told_shop)
    days(told_shop, 10)
    gaps.repair()
    deliver(told_shop)
    events.process_due_events(limit=1000)
    concerned = Event.objects.filter(type__regex=r"^(customer|invoice)\.")
    once = Counter(concerned.values_list("pk", flat=True))
    assert (untrue(told_shop), here(), inside, stored) == ([], at_stripe(told_shop), once, once)


def test_a_site_that_was_never_told_anything_is_repaired(told_shop: Shop) -> None:
    """A month, turned and paid, of which nothing arrived."""
    told_shop.use(1_500_000, "first")
    days(told_shop, 25)
    tally = gaps.repair()
    assert (untrue(told_shop), here(), tally.new) == (
        [],
        at_stripe(told_shop),
        len(at_stripe(told_shop)),
    )


def test_what_arrives_after_an_outage_does_not_hide_it(told_shop: Shop) -> None:
    """Our newest event says nothing about those before it."""
    deliver(told_shop)
    days(told_shop, 3)
    lost = at_stripe(told_shop) - here()
    days(told_shop, 1)
    deliver(told_shop, lost=lost)
    tally = gaps.repair()
    assert (tally.new, here()) == (len(lost), at_stripe(told_shop))


def test_what_is_known_costs_a_statement_for_each_page(told_shop: Shop) -> None:
    """And nothing is asked again of what was there when the last repair began."""
    days(told_shop, 5)
    first = (gaps.repair().listed, calls(told_shop)["GET /v1/events"])
    days(told_shop, 1)
    deliver(told_shop)
    calls(told_shop)
    with CaptureQueriesContext(connection) as queries:
        second = gaps.repair()
    inserted = [q for q in queries.captured_queries if 'INTO "comp_billing_event"' in q["sql"]]
    assert (first, second.listed, second.new, calls(told_shop)["GET /v1/events"], inserted) == (
        (14, 5),
        2,
        0,
        1,
        [],
    )


def test_an_interrupted_repair_goes_on(told_shop: Shop) -> None:
    """What was read stays; nothing counts as read until the end has been."""
    days(told_shop, 5)
    told_shop.account.world.faults.add("refuse", path="/v1/events", skip=2, times=99)
    with pytest.raises(StripeUnavailable):
        gaps.repair()
    before = (len(here()), whole(), bool(Sync.objects.get().error))
    told_shop.account.world.faults.clear()
    tally = gaps.repair()
    assert (before, tally.known, here(), whole(), Sync.objects.get(pk="event").error) == (
        (6, None, True),
        6,
        at_stripe(told_shop),
        told_shop.account.world.now(),
        "",
    )


def test_only_what_could_not_be_delivered(told_shop: Shop) -> None:
    """One call when that is nothing."""
    deliver(told_shop)
    calls(told_shop)
    none = (gaps.repair(undelivered=True).listed, calls(told_shop))
    days(told_shop, 2)
    some = gaps.repair(undelivered=True)
    assert (none, (some.listed, some.new), here()) == (
        (0, {"GET /v1/events": 1, "GET /v2/core/events": 1}),
        (2, 2),
        at_stripe(told_shop),
    )


def test_thin_events_are_repaired_too(told_shop: Shop) -> None:
    """A report of usage that was not counted waits for its handler like a delivered one."""
    told_shop.account.world.faults.add("reject_usage", code="archived_meter")
    told_shop.use(5, "rejected")
    told_shop.account.world.advance(seconds=3600)
    gaps.repair(undelivered=True)
    thin = Event.objects.filter(is_thin=True)
    assert (set(thin.values_list("pk", "state")), thin.exists()) == (
        {(key, "pending") for key in at_stripe(told_shop, "v2.core.event")},
        True,
    )


def test_thin_events_come_in_pages_too(told_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the new API, whose next page is an address."""
    asked: list[Any] = []

    def answer(path: str, params: Any, **options: Any) -> Answer:
        asked.append((path, params and sorted(params)))
        following = "https://api.stripe.com/v2/core/events?page=p2&limit=3" if params else None
        data = {"data": [], "next_page_url": following}
        return Answer(data=data, date=1000, request_id="", replayed=False)

    monkeypatch.setattr(event_lists, "ask", answer)
    since = datetime(2026, 11, 1, tzinfo=UTC)
    gaps.repair(since=since, types=["v1.billing.meter.no_meter_found"])
    assert asked == [
        ("/v2/core/events", ["created", "limit", "types"]),
        ("/v2/core/events?page=p2&limit=3", None),
    ]


def test_types_are_asked_for_at_stripe(told_shop: Shop) -> None:
    """A part of the list says nothing about the whole."""
    tally = gaps.repair(types=["customer.updated", "price.*"])
    found = set(Event.objects.values_list("type", flat=True))
    assert (found, tally.new, whole(), calls(told_shop)) == (
        {"customer.updated", "price.created"},
        3,
        None,
        {"GET /v1/events": 2},
    )


def test_a_dry_run_only_counts(told_shop: Shop) -> None:
    """No row of any kind is written."""
    tally = gaps.repair(dry_run=True)
    assert (tally.new, here(), Sync.objects.count()) == (len(at_stripe(told_shop)), set(), 0)


def test_a_page_is_ingested_oldest_first(
    told_shop: Shop, handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe lists the newest first."""
    seen: list[str] = []
    handle("customer.*", handler=lambda event, *_: seen.append(event.pk))
    monkeypatch.setattr(stripe_api, "PAGE_SIZE", 100)
    gaps.repair()
    happened = told_shop.account.world.store.where("event")
    assert seen == [one["id"] for one in happened if one["type"].startswith("customer.")]


def test_an_event_that_cannot_be_read_is_named_and_passed_over(
    told_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be no better next time."""
    strange = {"id": "evt_strange", "object": "event", "created": "yesterday"}
    page = {"data": [strange, 5], "has_more": False}
    answer = Answer(data=page, date=1_800_000_000, request_id="", replayed=False)
    monkeypatch.setattr(event_lists, "ask", lambda path, params, **options: answer)
    tally = gaps.repair()
    assert (tally.unreadable, tally.named[:2], whole()) == (
        4,
        ["evt_strange", "without an id"],
        1_800_000_000,
    )


def test_an_event_that_cannot_be_stored_holds_up_no_other(
    told_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, and asked for again the next time."""
    bad = min(at_stripe(told_shop))

    def ingest(event: Event, **options: Any) -> bool:
        if event.pk == bad:
            raise DatabaseError
        return real(event, **options)

    real = webhooks.ingest
    monkeypatch.setattr(webhooks, "ingest", ingest)
    tally = gaps.repair()
    row = Sync.objects.get(pk="event")
    assert (tally.named, tally.unstored, at_stripe(told_shop) - here(), whole(), row.error) == (
        [bad],
        1,
        {bad},
        None,
        "Events that could not be stored: 1; see the log.",
    )


def test_events_whose_handlers_fail_are_counted(told_shop: Shop, handle: Any) -> None:
    """They are here, and the worker's."""

    def fail(*arguments: Any) -> None:
        raise ValueError

    handle("customer.created", handler=fail)
    tally = gaps.repair()
    assert (tally.new - len(at_stripe(told_shop)), tally.failing, tally.missed) == (0, 1, 0)


def test_two_repairs_do_not_read_the_same_list(told_shop: Shop) -> None:
    """One would be for nothing."""
    with held("event", using="default"), pytest.raises(ListBusy):
        gaps.repair()
    assert here() == set()


@pytest.mark.parametrize(("ago", "complete"), [(0, False), (29, False), (31, True)])
def test_a_repair_that_leaves_a_gap_does_not_count(
    told_shop: Shop, ago: int, complete: bool
) -> None:
    """A later beginning leaves out what was before it."""
    now = told_shop.account.world.now()
    gaps.repair(since=datetime.fromtimestamp(now - ago * DAY, UTC))
    assert (whole() is not None) is complete


def test_after_more_than_a_month_the_lists_have_to_be_read(told_shop: Shop) -> None:
    """The repair knows that it cannot have everything; the sync has the rest."""
    gaps.repair()
    told_shop.account.v1.products.update(told_shop.price.product, {"name": "Long ago"})
    told_shop.account.world.advance(seconds=35 * DAY)
    tally = gaps.repair()
    before = untrue(told_shop)
    call_command("comp_sync_stripe", verbosity=0)
    assert (tally.is_too_late, "product" in before, untrue(told_shop)) == (True, True, [])


def test_an_event_that_has_become_too_old_ends_the_list(
    told_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between one page and the next."""

    def forget_oldest(tally: gaps.Tally) -> None:
        told_shop.account.world.store.run("DELETE FROM object WHERE kind = 'event'")

    days(told_shop, 1)
    tally = gaps.repair(told=forget_oldest)
    assert (tally.new, whole()) == (3, told_shop.account.world.now())
