"""The stand-in told to fail: refused, delayed, limited, broken, cut off."""

from __future__ import annotations

import time

import pytest
import stripe

from tests.billing.standin_rig import Account


def customers(account: Account) -> int:
    """How many customers there are."""
    return len(account.v1.customers.list({"limit": 100}).data)


@pytest.mark.parametrize(
    ("kind", "error", "made"),
    [
        ("refuse", stripe.APIConnectionError, 0),
        ("drop_after", stripe.APIConnectionError, 1),
        ("429", stripe.RateLimitError, 0),
        ("500_before", stripe.APIError, 0),
        ("500_saved", stripe.APIError, 1),
        ("401", stripe.AuthenticationError, 0),
    ],
)
def test_a_fault_is_met_once(
    account: Account, kind: str, error: type[stripe.StripeError], made: int
) -> None:
    """The error that the SDK raises for it, and what was carried out all the same."""
    account.world.faults.add(kind, verb="POST", path="/v1/customers")

    with pytest.raises(error):
        account.v1.customers.create({"name": "Ada"})

    assert customers(account) == made


@pytest.mark.parametrize("kind", ["refuse", "drop_after", "429", "500_before"])
def test_the_same_key_makes_one_customer_after_a_fault(account: Account, kind: str) -> None:
    """A retry is safe, whether the first call was carried out or not."""
    account.world.faults.add(kind, verb="POST")
    options = {"idempotency_key": "once"}
    with pytest.raises(stripe.StripeError):
        account.v1.customers.create({"name": "Ada"}, options)

    account.v1.customers.create({"name": "Ada"}, options)

    assert customers(account) == 1


def test_a_saved_500_is_replayed_for_a_day(account: Account) -> None:
    """The same key never gets past it; a day later it does, and makes a second customer."""
    account.world.faults.add("500_saved", verb="POST")
    options = {"idempotency_key": "once"}
    with pytest.raises(stripe.APIError):
        account.v1.customers.create({"name": "Ada"}, options)
    with pytest.raises(stripe.APIError):
        account.v1.customers.create({"name": "Ada"}, options)
    account.world.advance(seconds=24 * 3600 + 1)

    account.v1.customers.create({"name": "Ada"}, options)

    assert customers(account) == 2


def test_a_limit_may_tell_how_long_to_wait(account: Account) -> None:
    """`Retry-After` in seconds."""
    account.world.faults.add("429", retry_after=7)

    with pytest.raises(stripe.RateLimitError) as refusal:
        account.v1.customers.list()

    assert refusal.value.headers["Retry-After"] == "7"


def test_a_delay_takes_its_time(account: Account) -> None:
    """The answer is right, but late."""
    account.world.faults.add("delay", seconds=0.2)
    start = time.monotonic()

    account.v1.customers.create({"name": "Ada"})

    assert time.monotonic() - start >= 0.2


def test_a_fault_waits_for_its_turn_and_plays_so_many_times(account: Account) -> None:
    """The first passes, the next two fail, the fourth passes."""
    account.world.faults.add("500_before", verb="POST", path="/v1/cust*", skip=1, times=2)
    outcomes = []

    for name in "abcd":
        try:
            outcomes.append(account.v1.customers.create({"name": name}).name)
        except stripe.APIError:
            outcomes.append("failed")

    assert outcomes == ["a", "failed", "failed", "d"]


def test_an_unknown_fault_is_refused(account: Account) -> None:
    """With the names of those that there are."""
    with pytest.raises(ValueError, match="drop_after"):
        account.world.faults.add("explode")
