"""How fast Stripe is asked: never faster than the site allows, and slower when Stripe says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from comp_billing import stripe_api
from comp_billing.exceptions import StripeError, StripeRateLimited
from comp_billing.sync import pacing
from comp_billing.testing import StandIn, StandInClient


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class StoppedClock(Clock):
    """Time that stands still while others sleep."""

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the bucket; it is full."""
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    monkeypatch.setattr(pacing, "_bucket", pacing.TokenBucket())
    return clock


@pytest.fixture
def stripe(stripe_standin: StandIn, settings: Any) -> Iterator[StandIn]:
    """An account without customers; the SDK would repeat what fails."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "NETWORK_RETRIES": 2}
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        yield stripe_standin


def taken_at(clock: Clock, *, times: int, per_second: float) -> list[float]:
    """The moments, in seconds from now, at which so many permissions were given."""
    bucket, start, moments = pacing.TokenBucket(), clock.now, []
    for _ in range(times):
        bucket.take(per_second=per_second)
        moments.append(round(clock.now - start, 6))
    return moments


def pauses(clock: Clock, attempts: int) -> tuple[float, ...]:
    """The sleeps so far, those between this many attempts."""
    assert len(clock.slept) == attempts - 1
    return tuple(clock.slept)


def test_a_second_s_worth_is_given_at_once_and_then_evenly(clock: Clock) -> None:
    """Four a second: the fifth waits a quarter of a second."""
    assert taken_at(clock, times=7, per_second=4) == [0, 0, 0, 0, 0.25, 0.5, 0.75]


def test_no_more_is_saved_up_than_a_second_s_worth(clock: Clock) -> None:
    """However long nothing was asked."""
    bucket = pacing.TokenBucket()
    bucket.take(per_second=2)
    clock.now += 3600
    for _ in range(4):
        bucket.take(per_second=2)
    assert clock.slept == [0.5, 0.5]


def test_less_than_one_a_second_is_possible(clock: Clock) -> None:
    """For a site that shares its limit with others."""
    assert taken_at(clock, times=3, per_second=0.5) == [0, 2, 4]


def test_threads_share_the_bucket_of_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes its place in the queue, and none waits for another's sleep."""
    clock = StoppedClock()
    monkeypatch.setattr(pacing, "time", clock)
    bucket = pacing.TokenBucket()
    threads = [threading.Thread(target=bucket.take, kwargs={"per_second": 2.0}) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(clock.slept), bucket.taken) == ([0.5, 1.0, 1.5, 2.0], 6)


def test_calls_are_paced_by_the_setting(stripe: StandIn, settings: Any, clock: Clock) -> None:
    """Read live."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "SYNC_REQUESTS_PER_SECOND": 5}
    for _ in range(10):
        pacing.ask("/v1/customers")
    assert ([round(pause, 6) for pause in clock.slept], pacing.asked()) == ([0.2] * 5, 10)


def test_what_stripe_asks_for_is_waited_for(stripe: StandIn, clock: Clock) -> None:
    """At least, and not by every process until the same moment."""
    stripe.faults.add("429", retry_after=7, times=3)
    pacing.ask("/v1/customers")
    slept = pauses(clock, 4)
    assert (min(slept) >= 7, max(slept) <= 14, len(set(slept))) == (True, True, 3)


def test_nothing_is_waited_for_longer_than_a_minute(stripe: StandIn, clock: Clock) -> None:
    """Whatever Stripe, or something between, may ask for: the lease would run out."""
    stripe.faults.add("429", retry_after=86_400)
    pacing.ask("/v1/customers")
    assert 30 <= pauses(clock, 2)[0] <= 60


@pytest.mark.parametrize("kind", ["429", "500_before", "refuse"])
def test_without_advice_the_pauses_grow(stripe: StandIn, clock: Clock, kind: str) -> None:
    """And differ between processes, which would come back all at once otherwise."""
    stripe.faults.add(kind, times=5)
    pacing.ask("/v1/customers")
    bounds = [0.5, 1, 2, 4, 8]
    slept = pauses(clock, 6)
    fits = [low <= pause <= 2 * low for low, pause in zip(bounds, slept, strict=True)]
    assert fits == [True] * 5


@pytest.mark.parametrize("kind", ["429", "500_before", "refuse"])
def test_patience_ends(stripe: StandIn, clock: Clock, kind: str) -> None:
    """After six requests, none of them the SDK's own repetition."""
    stripe.faults.add(kind, times=99)
    with pytest.raises(StripeError):
        pacing.ask("/v1/customers")
    assert (sum(stripe.calls.values()), pacing.asked()) == (6, 6)


@pytest.mark.parametrize("kind", ["401", "403"])
def test_what_patience_does_not_mend_is_raised_at_once(
    stripe: StandIn, clock: Clock, kind: str
) -> None:
    """A key is not better for being tried again."""
    stripe.faults.add(kind, times=99)
    with pytest.raises(StripeError):
        pacing.ask("/v1/customers")
    assert (sum(stripe.calls.values()), clock.slept) == (1, [])


def test_the_last_error_says_how_long_stripe_wants_to_wait(stripe: StandIn, clock: Clock) -> None:
    """For those who try again later."""
    stripe.faults.add("429", retry_after=3, times=99)
    with pytest.raises(StripeRateLimited) as raised:
        pacing.ask("/v1/customers")
    assert raised.value.retry_after == 3
