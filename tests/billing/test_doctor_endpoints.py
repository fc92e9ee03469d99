"""The doctor on where Stripe sends events, and on those that have not arrived."""

from __future__ import annotations

import re
from typing import Any

import pytest

from comp_billing.event_types import wanted_events, wanted_thin_events
from comp_billing.probes.stripe import stripe
from tests.billing.builders import Site
from tests.billing.examined import URL, bad, change, connected, good, happen, receive

pytestmark = pytest.mark.django_db(transaction=True)
WEBHOOK, DESTINATION = "webhook_endpoint", "v2.core.event_destination"


def found(site: Site) -> list[str]:
    """What is wrong, the ids of endpoints left out."""
    return [re.sub(r" (we|ed)_\w+", r" \1_1", words) for words in bad(stripe)]


def test_a_site_that_does_not_know_its_address(site: Site) -> None:
    """Then Stripe's endpoints cannot be told from those of others."""
    connected(site).configure(SITE_URL="")
    assert found(site) == [
        "warning: It is not known where Stripe is to send events: this site's address is missing."
    ]


def test_endpoints_that_are_missing(site: Site) -> None:
    """Both are named by their address; those elsewhere without what they hide."""
    connected(site)
    change(site, WEBHOOK, url="https://user:pw@old.example/hook?token=t")
    change(site, DESTINATION, webhook_endpoint={"url": "https://old.example/"})
    assert found(site) == [
        "problem: No webhook endpoint at Stripe sends to https://site.example/billing/webhook/. "
        "Stripe sends to https://old.example/hook.",
        "problem: No event destination at Stripe sends thin events to "
        "https://site.example/billing/webhook/thin/. Usage that Stripe takes and then does not "
        "count goes unnoticed.",
    ]


def test_the_way_out_is_a_command(site: Site) -> None:
    """With the address that the site has."""
    site.configure(SITE_URL="https://site.example")
    command = f"Make it: python manage.py comp_setup_stripe --webhook-url {URL}"
    assert [one.todo for one in stripe() if one.level.value == "problem"] == [command, command]


def test_endpoints_that_are_disabled(site: Site) -> None:
    """Stripe disables what fails for days."""
    connected(site)
    change(site, WEBHOOK, status="disabled")
    change(site, DESTINATION, status="disabled")
    assert found(site) == [
        "problem: The webhook endpoint we_1 is disabled: nothing arrives here.",
        "problem: The event destination ed_1 is disabled. Usage that Stripe takes and then does "
        "not count goes unnoticed.",
    ]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2024-06-20", "API version 2024-06-20"),
        ("2025-09-30.clover", "API version 2025-09-30.clover"),
        (None, "the account's default API version"),
    ],
)
def test_an_endpoint_of_another_version(site: Site, version: Any, said: str) -> None:
    """Fields would be missing, or elsewhere."""
    change(connected(site), WEBHOOK, api_version=version)
    assert found(site) == [
        f"problem: The webhook endpoint we_1 sends {said}, this library reads 2026-10-28.endive."
    ]


def test_an_endpoint_of_a_version_with_the_same_shapes(site: Site) -> None:
    """Within a named version nothing is taken away."""
    change(connected(site), WEBHOOK, api_version="2026-09-30.endive")
    assert found(site) == []


def test_events_that_are_not_sent(site: Site) -> None:
    """By name, as many as fit into a sentence."""
    connected(site)
    change(site, WEBHOOK, enabled_events=wanted_events()[2:])
    change(site, DESTINATION, enabled_events=wanted_thin_events()[1:])
    first, second = wanted_events()[:2]
    assert found(site) == [
        f"problem: The webhook endpoint we_1 does not send {first}, {second}.",
        f"problem: The event destination ed_1 does not send {wanted_thin_events()[0]}.",
    ]


def test_a_star_sends_everything(site: Site) -> None:
    """No event is missed."""
    connected(site)
    change(site, WEBHOOK, enabled_events=["*"])
    change(site, DESTINATION, enabled_events=["*"])
    assert found(site) == []


def test_endpoints_that_are_there_twice(site: Site) -> None:
    """Each event would come twice, and one of them be refused for its secret."""
    connected(site)
    site.standin.store.put({**site.objects(WEBHOOK)[0], "id": "we_2"})
    site.standin.store.put({**site.objects(DESTINATION)[0], "id": "ed_2"})
    assert [words.partition(":")[2].rpartition(":")[0] for words in found(site)] == [
        " 2 webhook endpoints send to one address, so every event comes that often",
        " 2 event destinations send to one address, so every event comes that often",
    ]


def test_events_that_have_not_arrived(site: Site) -> None:
    """How many, which, and for how long: a hiccup at first, a problem after an hour."""
    happen(connected(site))
    early = found(site)
    site.standin.advance(seconds=7200)
    said = "Events that Stripe has and this site has not: 1 (customer.created), the oldest for"
    assert (early, found(site)) == (
        [f"warning: {said} 5 minutes."],
        [f"problem: {said} 2 hours."],
    )


def test_events_on_their_way(site: Site) -> None:
    """A delivery takes a moment."""
    happen(connected(site), seconds=60)
    assert found(site) == []


def test_events_that_the_endpoint_was_not_to_send(site: Site) -> None:
    """Those from before it was made, and those that it does not ask for."""
    happen(site)
    connected(site)
    site.standin.events.emit("payout.paid", {"id": "po_1", "object": "payout"})
    site.standin.advance(seconds=300)
    assert (found(site), good(stripe)[-1]) == (
        [],
        "Stripe has had nothing to deliver here yet, or nothing for a month.",
    )


def test_events_that_came_another_way(site: Site) -> None:
    """What Stripe counts as undelivered is here all the same, read from its list."""
    receive(happen(connected(site)))
    assert good(stripe)[-1] == "The 1 newest events that Stripe was to deliver here have arrived."
