"""The door to Stripe: what it refuses to do, and how answers and errors come out of it."""

from __future__ import annotations

import pytest
from django.core.signals import request_started
from django.db import transaction

from comp_billing import guards, stripe_api
from comp_billing.exceptions import (
    CalledInTransaction,
    CalledInWebRequest,
    KeyReused,
    NotConfigured,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
    StripeUnavailable,
)
from tests.billing.builders import Site

ADA = {"name": "Ada"}


@pytest.mark.usefixtures("stopped_clock")
def test_answer_is_plain_json_with_stripes_own_time(site: Site) -> None:
    """An answer holds plain data, the moment by Stripe's clock and the request's id."""
    site.standin.advance(seconds=1000)

    answer = stripe_api.call("post", "/v1/customers", ADA)

    assert (answer.data["name"], answer.date, answer.as_of, answer.replayed) == (
        "Ada",
        site.standin.now(),
        site.standin.now(),
        False,
    )


@pytest.mark.usefixtures("stopped_clock")
def test_an_answer_that_was_long_in_coming_is_as_old_as_its_question(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has happened since it was read may arrive before it."""
    clock = iter(range(0, 100, 7))
    monkeypatch.setattr("comp_billing.stripe_api.time.monotonic", lambda: next(clock))

    answer = stripe_api.call("post", "/v1/customers", ADA)

    assert answer.date == site.standin.now() - 7


@pytest.mark.usefixtures("stopped_clock")
def test_a_refusal_that_was_long_in_coming_is_as_old_as_its_question(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was unknown then may exist by now, and its event be here already."""
    clock = iter(range(0, 100, 7))
    monkeypatch.setattr("comp_billing.stripe_api.time.monotonic", lambda: next(clock))

    with pytest.raises(StripeRefused) as raised:
        stripe_api.call("get", "/v1/customers/cus_unheard_of")

    assert raised.value.date == site.standin.now() - 7


def test_replayed_answer_is_as_old_as_its_object(site: Site) -> None:
    """An answer that Stripe repeats from memory does not pass for news."""
    first = stripe_api.call("post", "/v1/customers", ADA, idempotency_key="k")
    site.standin.advance(seconds=1000)

    again = stripe_api.call("post", "/v1/customers", ADA, idempotency_key="k")

    assert (again.data, again.replayed, again.as_of) == (first.data, True, first.data["created"])


def test_no_call_within_a_transaction(site: Site) -> None:
    """A call within an open transaction is refused before anything is sent."""
    with transaction.atomic(), pytest.raises(CalledInTransaction):
        stripe_api.call("get", "/v1/customers")

    assert dict(site.standin.calls) == {}


def test_transactions_of_a_test_framework_can_be_excepted(site: Site) -> None:
    """A test that runs within a transaction may say so."""
    with transaction.atomic(), guards.open_transaction_allowed():
        answer = stripe_api.call("get", "/v1/customers")

    assert answer.data["data"] == []


def test_no_call_within_a_web_request(site: Site) -> None:
    """While a page is served, only calls that say that they may are made."""
    request_started.send(sender=None)
    try:
        with pytest.raises(CalledInWebRequest):
            stripe_api.call("get", "/v1/customers")
        answer = stripe_api.call("get", "/v1/customers", in_request=True)
    finally:
        guards.leave_request()

    assert answer.data["data"] == []


def test_no_call_without_a_key(site: Site) -> None:
    """A site without a key never calls."""
    site.configure(SECRET_KEY="")

    with pytest.raises(NotConfigured):
        stripe_api.call("get", "/v1/customers")


@pytest.mark.parametrize("fault", ["refuse", "500_before", "500_saved", "drop_after"])
def test_failures_of_stripe_are_unavailable(site: Site, fault: str) -> None:
    """A connection that breaks and a 500 are the same to us: the outcome is unknown."""
    site.standin.faults.add(fault)

    with pytest.raises(StripeUnavailable) as raised:
        stripe_api.call("post", "/v1/customers", ADA)

    assert raised.value.replayed is False


def test_saved_failure_is_told_as_replayed(site: Site) -> None:
    """A 500 that Stripe repeats from memory says that this key leads nowhere."""
    site.standin.faults.add("500_saved")
    with pytest.raises(StripeUnavailable):
        stripe_api.call("post", "/v1/customers", ADA, idempotency_key="k")

    with pytest.raises(StripeUnavailable) as raised:
        stripe_api.call("post", "/v1/customers", ADA, idempotency_key="k")

    assert raised.value.replayed is True


def test_rate_limit_tells_how_long(site: Site) -> None:
    """A 429 carries the seconds that Stripe asks us to wait."""
    site.standin.faults.add("429", retry_after=7)

    with pytest.raises(StripeRateLimited) as raised:
        stripe_api.call("get", "/v1/customers")

    assert raised.value.retry_after == 7.0


def test_refusal_has_code_and_param(site: Site) -> None:
    """What Stripe refuses for good says which parameter and why."""
    asked = {"customer": "cus_none", "items": [{"price": "price_none"}]}

    with pytest.raises(StripeRefused) as raised:
        stripe_api.call("post", "/v1/subscriptions", asked)

    assert (raised.value.code, raised.value.param) == ("resource_missing", "customer")


def test_key_with_other_parameters_is_told_apart(site: Site) -> None:
    """A reused key is its own kind of refusal, because looking and another key help."""
    stripe_api.call("post", "/v1/customers", ADA, idempotency_key="k")

    with pytest.raises(KeyReused):
        stripe_api.call("post", "/v1/customers", {"name": "Bob"}, idempotency_key="k")


def test_wrong_key_is_not_tried_again_for_a_while(site: Site) -> None:
    """After a 401 further calls fail here, without a request, and name no key."""
    site.configure(SECRET_KEY="sk_live_canary1234")
    with pytest.raises(StripeMisconfigured) as first:
        stripe_api.call("get", "/v1/customers")

    with pytest.raises(StripeMisconfigured):
        stripe_api.call("get", "/v1/customers")

    assert (site.standin.calls.total(), "canary" in str(first.value)) == (1, False)


def test_secrets_in_stripes_words_are_blotted_out(site: Site) -> None:
    """A message of Stripe's that quotes something like a key reaches nobody."""
    with pytest.raises(StripeRefused) as raised:
        stripe_api.call("post", "/v1/customers", {"email": "sk_test_canary1234"})

    assert str(raised.value) == "Invalid email address: [key]"


def test_find_reads_page_after_page(site: Site) -> None:
    """The first match is found beyond the first page, as of the page that shows it."""
    for number in range(101):
        stripe_api.call("post", "/v1/customers", {"name": f"n{number}"})

    found = stripe_api.find("/v1/customers", {}, lambda customer: customer["name"] == "n0")

    assert found is not None
    assert (found.data["name"], site.standin.calls["GET /v1/customers"]) == ("n0", 2)


def test_find_answers_none_when_nothing_matches(site: Site) -> None:
    """A list without a match ends in None."""
    assert stripe_api.find("/v1/customers", {}, lambda customer: True) is None


def test_retrieve_answers_none_for_the_missing_and_the_deleted(site: Site) -> None:
    """An object that never was and one that was deleted are both not there."""
    gone = stripe_api.call("post", "/v1/customers", ADA).data["id"]
    stripe_api.call("delete", stripe_api.object_path("customers", gone))

    found = [
        stripe_api.retrieve(stripe_api.object_path("customers", key)) for key in ("cus_no", gone)
    ]

    assert found == [None, None]


def test_path_of_an_empty_id_is_refused() -> None:
    """An empty id would address the whole list."""
    with pytest.raises(ValueError, match="An id is needed"):
        stripe_api.object_path("invoices", "")


def test_path_escapes_what_is_not_an_id() -> None:
    """Nothing within an id can lead to another address."""
    assert stripe_api.object_path("customers", "a/../b?c", "x") == "/v1/customers/a%2F..%2Fb%3Fc/x"
