"""How fast intents are carried out: as the site allows, and not while Stripe is busy."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from comp_billing import intents
from comp_billing.intents import Kind
from comp_billing.models import Intent, IntentState
from comp_billing.stripe_api import Answer
from comp_billing.sync import pacing
from tests.billing.builders import Site

MADE = "POST /v1/customers"


@dataclass
class Clock:
    """Time that passes only while somebody sleeps; and when each call was made."""

    now: float = 1000.0
    calls: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(site: Site, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the pace, which has nothing saved up, and of the rounds; a kind of intents tells it."""
    clock = Clock()

    def create(intent: Intent) -> Answer:
        clock.calls.append(clock.now - 1000)
        return intents.post("/v1/customers", intent, intents.tagged(intent))

    monkeypatch.setattr(pacing, "time", clock)
    monkeypatch.setattr(intents, "time", clock)
    monkeypatch.setattr(intents, "pace", pacing.TokenBucket())
    monkeypatch.setitem(intents.KINDS, "test.create", Kind(send=create))
    return clock


def ask(count: int) -> None:
    """So many customers."""
    for number in range(count):
        intents.intend("test.create", f"number {number}", {})


def test_calls_keep_to_the_pace(site: Site, clock: Clock) -> None:
    """At two a second, of which two are saved up, the eighth is made after three seconds."""
    site.configure(CALLS_PER_SECOND=2)
    ask(8)

    intents.carry_out_due()

    assert clock.calls == [0, 0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_looking_for_what_was_made_counts_too(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look and each call is one."""
    kind = Kind(send=intents.KINDS["test.create"].send, find=lambda intent: None, look_first=True)
    monkeypatch.setitem(intents.KINDS, "test.create", kind)
    site.configure(CALLS_PER_SECOND=1)
    ask(3)

    intents.carry_out_due()

    assert clock.calls == [1, 3, 5]


def test_a_slow_pace_ends_the_round(site: Site, clock: Clock) -> None:
    """After ten seconds; the rest is as due in the next."""
    site.configure(CALLS_PER_SECOND=0.5)
    ask(9)

    rounds = [intents.carry_out_due(), intents.carry_out_due()]

    assert (rounds, site.standin.calls[MADE]) == ([7, 2], 9)


def test_nothing_is_sent_while_stripe_is_busy(site: Site, clock: Clock) -> None:
    """For as long as Stripe said, whichever intent is due; afterwards all are."""
    site.standin.faults.add("429", retry_after=7)
    ask(3)

    busy = [intents.carry_out_due(), intents.carry_out_due()]
    clock.sleep(6.9)
    still_busy = intents.carry_out_due()
    clock.sleep(2)
    Intent.objects.update(next_attempt_at=None)

    assert (busy, still_busy, intents.carry_out_due()) == ([0, 0], 0, 3)


def test_what_is_not_ready_is_not_sent(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits without an attempt, and holds up nobody."""
    kind = intents.KINDS["test.create"]
    waiting = Kind(send=kind.send, ready=lambda intent: False)
    monkeypatch.setitem(intents.KINDS, "test.wait", waiting)
    first = intents.intend("test.wait", "first", {})
    ask(1)

    settled = intents.carry_out_due()

    first.refresh_from_db()
    assert (settled, first.state, first.attempts) == (1, IntentState.PENDING, 0)
    assert first.first_sent_at is None


def test_an_intent_that_nobody_expected_stays(site: Site) -> None:
    """Written in one statement, the second for the same subject changes nothing."""
    intents.intend("test.create", "one", {"name": "Ada"})

    intents.intend_new("test.create", "one", {"name": "Bob"})

    assert Intent.objects.get().params == {"name": "Ada"}
