"""How many SQL statements each verb costs, on a free site and on one that bills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.test import RequestFactory, override_settings

from benchmarks.databases import Databases
from benchmarks.figures import Figure, Sample, Sizes
from comp_billing import catalog, stripe_api
from comp_billing.models import Reservation, UsageRecord
from comp_billing.testing import StandIn, StandInClient
from comp_core import lifecycle
from comp_core.views import runs as pages
from tests.billing.builders import Site
from tests.core.builders import SUCCESS, make_inputs, make_profile, statements
from tests.core.scale import fill_queue

# The most that a verb may cost, on a free site and on one that bills; the list is one page of
# fifty runs. None: what the meter of money needs to permit a run has no bound of its own.
MOST: dict[str, tuple[int, int | None]] = {
    "submit": (6, None),
    "claim": (2, 2),
    "heartbeat": (1, 1),
    "finish": (5, 5),
    "list": (3, 3),
}
STRIPE = "comp_billing.metering.StripeMeter"
RUNS_ON_A_PAGE = 50


@dataclass
class _Counted:
    numbers: dict[str, int]
    texts: dict[str, list[str]]

    def count(self, verb: str, action: Callable[[], Any]) -> Any:
        with statements() as sql:
            answer = action()
        self.numbers[verb] = len(sql)
        self.texts[verb] = [" ".join(text.split()[:3])[:60] for text in sql]
        return answer


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Two figures for each verb, with what is sent."""
    sites = {"free site": _free(databases), "billed site": _billed(databases)}
    for verb, most in MOST.items():
        for (site, counted), at_most in zip(sites.items(), most, strict=True):
            yield Figure(
                name=f"statements of {verb}, {site}",
                unit="statements",
                ours=Sample([counted.numbers[verb]]),
                at_most=at_most,
                parts={"sent": counted.texts[verb]},
            )


def _free(databases: Databases) -> _Counted:
    databases.copy("free")
    with override_settings(COMP_CORE={}):
        return _count(make_profile())


def _billed(databases: Databases) -> _Counted:
    databases.copy("billed")
    with _billing_site() as site:
        catalog.set_up_catalog()
        counted = _count(site.subscriber())
        # Otherwise nothing has been billed, and nothing of billing been counted.
        assert (Reservation.objects.count(), UsageRecord.objects.count()) == (2, 1)
    return counted


@contextmanager
def _billing_site() -> Iterator[Site]:
    standin = StandIn()
    billing = {**settings.COMP_BILLING, "NETWORK_RETRIES": 0}
    with (
        override_settings(COMP_CORE={"METER": STRIPE}, COMP_BILLING=billing),
        stripe_api.use_http_client(StandInClient(standin)),
    ):
        yield Site(standin, settings)
    standin.close()


def _count(owner: Any) -> _Counted:
    """One of each verb; the first of each is not counted, for what is fetched once and kept."""
    counted = _Counted({}, {})
    first = lifecycle.submit(make_inputs(owner=owner))
    inputs = make_inputs(owner=owner)
    run: Any = counted.count("submit", lambda: lifecycle.submit(inputs))
    lifecycle.claim(first.queue, worker_id="first")
    held: Any = counted.count("claim", lambda: lifecycle.claim(run.queue, worker_id="w"))
    beat = (held.pk, held.lease_token)
    counted.count("heartbeat", lambda: lifecycle.heartbeat(*beat, progress=0.5))
    counted.count("finish", lambda: lifecycle.finish(*beat, SUCCESS))
    fill_queue(run.project, [owner], rows=RUNS_ON_A_PAGE)
    request = RequestFactory().get("/runs/")
    request.user = owner.user
    counted.count("list", lambda: pages.runs(request))
    return counted
