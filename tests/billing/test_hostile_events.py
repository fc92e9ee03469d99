"""Signed events with anything anywhere in them: stored, and the worker gets over them."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comp_billing import events, mirror, stripe_api
from comp_billing.models import Event, EventState
from comp_billing.sync import fetching
from comp_billing.testing import StandIn, StandInClient, sign
from tests.billing.deliveries import SECRET, post
from tests.hostile_webhooks.genuine import genuine_events, paths, replaced
from tests.hostile_webhooks.values import ANYTHING, HOSTILE

pytestmark = pytest.mark.django_db(transaction=True)
NUMBERS = itertools.count()
EXAMPLES = int(os.environ.get("COMP_HOSTILE_REQUESTS", "3000")) // 50


@st.composite
def hostile_events(draw: st.DrawFn) -> dict[str, Any]:
    """A genuine event with up to four values replaced; its id is its own unless that is one."""
    event = dict(draw(st.sampled_from(genuine_events())))
    event["id"] = f"evt_hostile_{next(NUMBERS)}"
    for _change in range(draw(st.integers(1, 4))):
        event = replaced(event, draw(st.sampled_from(paths(event))), draw(ANYTHING))
    return event


@pytest.fixture
def stripe(stripe_standin: StandIn, settings: Any) -> Iterator[StandIn]:
    """An empty account: whatever the events name is not known there."""
    settings.COMP_BILLING = {
        **settings.COMP_BILLING,
        "NETWORK_RETRIES": 0,
        "SYNC_REQUESTS_PER_SECOND": 10_000,
    }
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        yield stripe_standin


def everything_due() -> None:
    """As if all pauses had passed."""
    past = timezone.now() - timedelta(seconds=1)
    Event.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)
    for model in mirror.KINDS.values():
        model.all_objects.filter(fetch_at__isnull=False).update(fetch_at=past)


def work() -> int:
    """A round of the worker; how many events failed for the sake of their handlers."""
    everything_due()
    events.process_due_events()
    fetching.fetch_due()
    return Event.objects.filter(state=EventState.FAILED).count()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(event=hostile_events())
def test_an_event_with_anything_in_it_is_stored_and_worked_off(
    stripe: StandIn, event: dict[str, Any]
) -> None:
    """200 and stored, or 400 and not; no handler fails, and the worker's rounds end."""
    Event.objects.all().delete()
    body = json.dumps(event).encode()

    answer = post(body, sign(body, SECRET))
    failed = work()

    assert answer in (200, 400)
    assert (Event.objects.count(), failed) == (int(answer == 200), 0)


def hint(kind: str, value: Any) -> int:
    """What is answered to an event of another version that has a value where the ids are."""
    told = {"object": kind, "id": value, "customer": value, "product": value, "invoice": value}
    event = {
        "id": f"evt_hint_{next(NUMBERS)}",
        "object": "event",
        "api_version": "2019-01-01",
        "created": 1000,
        "type": f"{kind}.updated",
        "livemode": False,
        "data": {"object": told},
    }
    body = json.dumps(event).encode()
    return post(body, sign(body, SECRET))


@pytest.mark.parametrize("kind", sorted(mirror.KINDS))
def test_a_hint_about_anything_is_fetched_or_passed_over(stripe: StandIn, kind: str) -> None:
    """Whatever stands where the id should: the rounds of fetching end."""
    answers = [hint(kind, value) for value in HOSTILE]

    failed = work()

    assert (set(answers), Event.objects.count(), failed) == ({200}, len(HOSTILE), 0)
