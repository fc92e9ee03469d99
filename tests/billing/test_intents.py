"""Intents: committed before the call, carried out once, given up never."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from comp_billing import backoff, intents, stripe_api
from comp_billing.exceptions import StripeMisconfigured, StripeRateLimited, StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Customer, Intent, IntentState
from comp_billing.stripe_api import Answer
from tests.billing.builders import Site, at_once, several_writers


def create(intent: Intent) -> Answer:
    """Make a customer."""
    return intents.post("/v1/customers", intent, intents.tagged(intent))


def find(intent: Intent) -> Answer | None:
    """The customer that an earlier attempt made."""
    return stripe_api.find("/v1/customers", {}, lambda data: intents.is_made_by(intent, data))


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of intents for the tests: a customer without a user."""
    monkeypatch.setitem(intents.KINDS, "test.create", Kind(send=create, find=find))


@pytest.mark.parametrize("length", [3, 255])
def test_what_was_made_once_is_asked_for_under_another_subject(site: Site, length: int) -> None:
    """The same one until that is done too, so that several who look make one intent; however
    long it is."""
    subject = "s" * length
    asked = []
    for _creation in range(3):
        asked += [
            intents.intend("test.create", intents.fresh_subject(subject), {}).pk for _ in "ab"
        ]
        Intent.objects.update(state=IntentState.SUCCEEDED, result_id="cus_1")
    assert [len(set(pair)) for pair in (asked, asked[:2], asked[2:4], asked[4:])] == [3, 1, 1, 1]


def test_what_was_refused_is_not_asked_for_under_another_subject(site: Site) -> None:
    """It would be refused again, every time that somebody looks."""
    intents.intend("test.create", "one", {})
    Intent.objects.update(state=IntentState.SUCCEEDED, result_id="cus_1")
    second = intents.intend("test.create", intents.fresh_subject("one"), {})
    Intent.objects.filter(pk=second.pk).update(state=IntentState.FAILED)
    assert intents.fresh_subject("one") == second.subject


def test_same_subject_is_one_intent(site: Site) -> None:
    """Whoever asks for the same thing again gets the intent that is there."""
    first = intents.intend("test.create", "one", {"name": "Ada"})

    again = intents.intend("test.create", "one", {"name": "Bob"})

    assert (again.pk, again.params, Intent.objects.count()) == (first.pk, {"name": "Ada"}, 1)


def test_done_intent_names_what_came_of_it(site: Site) -> None:
    """The answer is mirrored and the intent marked, in one transaction."""
    intent = intents.intend("test.create", "one", {"name": "Ada"})

    settled = intents.carry_out_due()

    intent.refresh_from_db()
    assert (settled, intent.state, intent.result_id, intent.attempts) == (
        1,
        IntentState.SUCCEEDED,
        Customer.objects.get().pk,
        1,
    )


def test_site_without_a_key_carries_nothing_out(site: Site) -> None:
    """Intents wait while there is no key."""
    intents.intend("test.create", "one", {})
    site.configure(SECRET_KEY="")

    settled = intents.carry_out_due()

    assert (settled, site.standin.calls.total()) == (0, 0)


def test_intent_that_waits_is_left_alone(site: Site) -> None:
    """Before its time an intent is not tried."""
    intents.intend("test.create", "one", {})
    Intent.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))

    settled = intents.carry_out_due()

    assert (settled, site.standin.calls.total()) == (0, 0)


def test_failure_is_tried_again_later(site: Site) -> None:
    """After a failure the intent keeps its key and waits, with the reason to be read."""
    intent = intents.intend("test.create", "one", {})
    site.standin.faults.add("500_before")

    intents.carry_out_due()

    intent.refresh_from_db()
    assert (intent.state, intent.generation, intent.error_message) == (
        IntentState.PENDING,
        1,
        "An unknown error occurred",
    )
    assert intent.next_attempt_at is not None
    assert intent.next_attempt_at > timezone.now()


def test_round_ends_when_stripe_is_down(site: Site) -> None:
    """With Stripe down, a round makes one call and not one for each intent."""
    for number in range(3):
        intents.intend("test.create", f"n{number}", {})
    site.standin.faults.add("refuse", times=9)

    intents.carry_out_due()

    assert site.standin.calls.total() == 1


def test_saved_failure_gets_another_key(site: Site) -> None:
    """A failure that Stripe repeats from memory is overcome with a second key, without doubles."""
    intent = intents.intend("test.create", "one", {})
    site.standin.faults.add("500_saved")

    site.work()

    intent.refresh_from_db()
    assert (intent.state, len(site.objects("customer"))) == (IntentState.SUCCEEDED, 1)


def test_saved_failure_that_made_nothing_is_overcome(site: Site) -> None:
    """When nothing came of the saved failure, a second key makes it."""
    intent = intents.intend("test.create", "one", {"name": "Ada"})
    site.standin.faults.add("500_saved")
    intents.carry_out_due()
    (half_made,) = site.objects("customer")
    site.standin.store.remove("customer", half_made["id"])

    site.work()

    intent.refresh_from_db()
    assert (intent.state, intent.generation, len(site.objects("customer"))) == (
        IntentState.SUCCEEDED,
        2,
        1,
    )


def test_key_used_with_other_parameters_is_overcome(site: Site) -> None:
    """A key that an older version of the code used differently does not block the intent."""
    intent = intents.intend("test.create", "one", {"name": "Ada"})
    stripe_api.call("post", "/v1/customers", {}, idempotency_key=intent.idempotency_key)

    intents.carry_out_due()

    intent.refresh_from_db()
    assert (intent.state, intent.generation) == (IntentState.SUCCEEDED, 2)


def test_refusal_is_final_until_an_operator_retries(site: Site) -> None:
    """A refused intent is not tried again by itself."""
    intent = intents.intend("test.create", "one", {"email": "nonsense"})
    intents.carry_out_due()

    site.work()

    intent.refresh_from_db()
    assert (intent.state, intent.attempts, intent.error_message) == (
        IntentState.FAILED,
        1,
        "Invalid email address: [address]",
    )


def test_retry_takes_a_refused_intent_up_again(site: Site) -> None:
    """After an operator removed the cause, another key is used."""
    intent = intents.intend("test.create", "one", {"email": "nonsense"})
    intents.carry_out_due()
    Intent.objects.update(params={"email": "ada@example.org"})

    intents.retry(intent)
    intents.carry_out_due()

    intent.refresh_from_db()
    assert (intent.state, intent.generation) == (IntentState.SUCCEEDED, 2)


def test_retry_leaves_done_intents_alone(site: Site) -> None:
    """What succeeded is not done again."""
    intent = intents.intend("test.create", "one", {})
    intents.carry_out_due()

    intents.retry(intent)

    intent.refresh_from_db()
    assert intent.state == IntentState.SUCCEEDED


def test_broken_intent_does_not_hold_up_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of our own in one intent is noted without its text, and the others go on."""

    def broken(intent: Intent, data: dict[str, Any]) -> None:
        raise RuntimeError("ada@example.org")

    monkeypatch.setitem(intents.KINDS, "test.broken", Kind(send=create, settle=broken))
    bad = intents.intend("test.broken", "bad", {})
    intents.intend("test.create", "good", {})

    settled = intents.carry_out_due()

    bad.refresh_from_db()
    assert (settled, bad.state, bad.error_message) == (
        1,
        IntentState.PENDING,
        "Unexpected RuntimeError; see the log.",
    )


def test_nothing_of_a_failed_settlement_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirror, consequences and mark are written together or not at all."""

    def broken(intent: Intent, data: dict[str, Any]) -> None:
        raise RuntimeError

    monkeypatch.setitem(intents.KINDS, "test.broken", Kind(send=create, settle=broken))
    intents.intend("test.broken", "bad", {})

    intents.carry_out_due()

    assert Customer.all_objects.count() == 0


def test_refusal_and_its_consequence_are_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows from a refusal is written with it."""

    def ask_differently(intent: Intent, error: StripeRefused) -> None:
        intents.intend("test.create", "instead", {})

    monkeypatch.setitem(intents.KINDS, "test.refused", Kind(send=create, refused=ask_differently))
    intents.intend("test.refused", "first", {"email": "nonsense"})

    site.work()

    states = dict(Intent.objects.values_list("subject", "state"))
    assert states == {"first": IntentState.FAILED, "instead": IntentState.SUCCEEDED}


def test_intent_is_rolled_back_with_its_fact(site: Site) -> None:
    """An intent of a transaction that fails is never seen by the worker."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        intents.intend("test.create", "one", {})
        raise ZeroDivisionError

    assert Intent.objects.count() == 0


def test_fresh_subject_is_another_only_after_success(site: Site) -> None:
    """A creation may be wanted again once it has been done, not while it is under way."""
    intents.intend("test.create", "one", {})
    waiting = intents.fresh_subject("one")
    intents.carry_out_due()

    done = intents.fresh_subject("one")

    assert (waiting, done.startswith("one:")) == ("one", True)


@several_writers
def test_workers_at_once_make_one_call_each(site: Site) -> None:
    """Five workers at the same moment carry each intent out once."""
    for number in range(10):
        intents.intend("test.create", f"n{number}", {})

    at_once(intents.carry_out_due, times=5)

    assert (len(site.objects("customer")), site.standin.calls.total()) == (10, 10)


@pytest.mark.parametrize(
    ("attempts", "shortest", "longest"), [(1, 1, 2), (5, 16, 32), (99, 1800, 3600)]
)
def test_pauses_double_up_to_an_hour(attempts: int, shortest: float, longest: float) -> None:
    """Each pause is the half to the whole of a doubling time."""
    assert shortest <= backoff.pause_seconds(attempts) <= longest


def test_pause_is_never_shorter_than_stripe_asks() -> None:
    """Retry-After counts, with a little more so that not everybody returns at once."""
    pause = backoff.pause_seconds(1, error=StripeRateLimited(retry_after=100))

    assert 100 <= pause <= 125


def test_wrong_key_pauses_for_a_minute() -> None:
    """A key that is not accepted is tried at most once a minute."""
    assert backoff.pause_seconds(1, error=StripeMisconfigured()) == 60
