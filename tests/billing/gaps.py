"""Builders for the tests of gap repair: a site that Stripe tells of everything, if it is up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from comp_billing import mirror, stripe_api
from comp_billing.models import Event
from comp_billing.sync import accounts, fetching
from comp_billing.testing import StandIn, StandInClient
from tests.billing.standin_rig import Shop, in_process, open_shop
from tests.billing.test_fetching import everything_due
from tests.billing.test_mirror_truth import mirrored, tell, told_truth

DAY = 86_400


@pytest.fixture
def told_shop(
    stripe_standin: StandIn, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A subscribed customer whose account tells this site; nothing has been delivered yet. Pages
    of three events; nobody sleeps, and Stripe's clock stands still unless it is moved. The key has
    been asked whose it is, which is one call for each process."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "SYNC_REQUESTS_PER_SECOND": 100_000}
    stripe_standin.clock.stop()
    stripe_standin.add_webhook("https://site.example/billing/webhook/", secret="whsec_tests")
    monkeypatch.setattr(stripe_api, "PAGE_SIZE", 3)
    monkeypatch.setattr("comp_billing.sync.pacing.time.sleep", lambda seconds: None)
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        shop = open_shop(in_process(stripe_standin))
        accounts.check()
        stripe_standin.calls.clear()
        yield shop


def days(shop: Shop, count: int) -> None:
    """So many days, on each of which the customer changes and uses something."""
    for number in range(count):
        shop.account.world.advance(seconds=DAY)
        address = f"ada{shop.account.world.now()}@example.org"
        shop.account.v1.customers.update(shop.customer.id, {"email": address})
        shop.use(1000 + number, f"use-{shop.account.world.now()}")


def deliver(shop: Shop, *, lost: Set[str] = frozenset()) -> set[int]:
    """What Stripe has to deliver arrives, except for these events; answers the statuses."""
    kept: list[tuple[bytes, dict[str, str]]] = []

    def keep(body: bytes, headers: dict[str, str]) -> int:
        if json.loads(body)["id"] in lost:
            return 503
        kept.append((body, headers))
        return 200

    shop.account.world.deliver(keep, everything=True)
    return tell(kept)


def untrue(shop: Shop) -> list[str]:
    """Kinds of which something here is not as it is at Stripe, after the worker has worked."""
    shop.account.world.advance(seconds=5)
    for _round in range(4):
        everything_due()
        fetching.fetch_due()
    return [kind for kind in sorted(mirror.KINDS) if mirrored(kind) != told_truth(shop, kind)]


def here() -> set[str]:
    """Ids of the events that are here."""
    return set(Event.objects.values_list("pk", flat=True))


def at_stripe(shop: Shop, kind: str = "event") -> set[str]:
    """Ids of all events that there ever were."""
    return {event["id"] for event in shop.account.world.store.where(kind)}


def calls(shop: Shop) -> dict[str, int]:
    """Calls made since this was last asked."""
    made = dict(shop.account.world.calls)
    shop.account.world.calls.clear()
    return made


def process(*arguments: str, verbosity: int = 1, **options: Any) -> str:
    """What the command says."""
    out = StringIO()
    call_command(
        "comp_process_events", *arguments, stdout=out, stderr=out, verbosity=verbosity, **options
    )
    return out.getvalue()
