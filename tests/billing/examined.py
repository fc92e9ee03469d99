"""What the tests of billing's probes share: a site with its endpoints, and answers made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.utils import timezone

from comp_billing import endpoints, stripe_api, webhooks
from comp_billing.testing import StandIn, StandInClient
from comp_core.doctor import Finding
from tests.billing.builders import Site

URL = "https://site.example/billing/webhook/"
THIN_URL = f"{URL}thin/"


def bad(probe: Callable[[], Iterable[Finding]]) -> list[str]:
    """What a probe finds wrong, its level first."""
    return [f"{found.level.value}: {found.what}" for found in probe() if found.level.value != "ok"]


def good(probe: Callable[[], Iterable[Finding]]) -> list[str]:
    """What a probe finds well; empty when anything is wrong."""
    found = list(probe())
    return [] if any(one.level.value != "ok" for one in found) else [one.what for one in found]


def connected(site: Site) -> Site:
    """The site with both endpoints at Stripe, and Stripe's clock for its own."""
    site.configure(SITE_URL="https://site.example/", CLOCK="tests.billing.builders.standin_now")
    endpoints.set_up_endpoints(URL)
    site.standin.calls.clear()
    return site


def change(site: Site, kind: str, **fields: Any) -> str:
    """Something changed about the one endpoint of a kind, as if in the dashboard; its id."""
    (found,) = site.standin.store.where(kind)
    site.standin.store.put({**found, **fields})
    return str(found["id"])


def happen(site: Site, *, seconds: int = 300) -> list[dict[str, Any]]:
    """A customer's creation, so long ago; the events that tell of it."""
    stripe_api.call("post", "/v1/customers", {"email": "ada@example.org"})
    site.standin.advance(seconds=seconds)
    site.standin.calls.clear()
    return site.standin.store.where("event")


def receive(events: Iterable[dict[str, Any]]) -> None:
    """Events arrive."""
    for payload in events:
        webhooks.ingest(webhooks.event_of(payload))


class Answering(StandInClient):
    """The stand-in, but for some paths: a status and a body, or the error that is raised."""

    def __init__(self, standin: StandIn, answers: Mapping[str, Any]) -> None:
        super().__init__(standin)
        self.answers = answers

    def request(
        self, method: str, url: str, headers: Any, post_data: Any = None, **more: Any
    ) -> Any:
        for path, answer in self.answers.items():
            if path in url:
                if isinstance(answer, Exception):
                    raise answer
                status, body = answer
                date = timezone.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
                return json.dumps(body), status, {"date": date, "request-id": "req_1"}
        return super().request(method, url, headers, post_data, **more)
