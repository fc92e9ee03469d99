"""The webhook endpoint: what it lets in, what it stores, what it makes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from django.test import Client, override_settings

from comp_billing.models import Customer, Event
from tests.billing.deliveries import SECRET, event, post, signed

pytestmark = pytest.mark.django_db(transaction=True)


BODY = json.dumps(event()).encode()


# Each is made when its test runs: time passes while tests are collected.
BAD_HEADERS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "empty timestamp": lambda: "t=",
    "empty signature": lambda: f"t={int(time.time())},v1=",
    "no timestamp": lambda: "v1=" + "ab" * 32,
    "no signature": lambda: f"t={int(time.time())}",
    "nonsense": lambda: "nonsense",
    "another scheme": lambda: signed(BODY).replace("v1=", "v0="),
    "forged": lambda: f"t={int(time.time())},v1={'ab' * 32}",
    "not ascii": lambda: f"t={int(time.time())},v1=é",
    "two timestamps": lambda: "t=1," + signed(BODY),
    "endless timestamp": lambda: f"t={'9' * 5000},v1=ab",
    "negative timestamp": lambda: "t=-5,v1=ab",
    "a hundred signatures": lambda: signed(BODY) + ",v1=ab" * 100,
    "too long": lambda: signed(BODY) + ",v0=" + "a" * 5000,
    "another secret": lambda: signed(BODY, secret="whsec_other"),
    "no secret": lambda: signed(BODY, secret=""),
    "stale": lambda: signed(BODY, at=time.time() - 302),
    "dated ahead": lambda: signed(BODY, at=time.time() + 330),
    "another body": lambda: signed(BODY + b" "),
}


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_what_stripe_has_not_signed_just_now_is_refused(header: str) -> None:
    """No, forged, stale, future-dated or malformed signature: 400 and not a row."""
    answer = post(BODY, BAD_HEADERS[header]())
    assert (answer, Event.objects.count(), Customer.all_objects.count()) == (400, 0, 0)


def test_a_missing_signature_is_refused() -> None:
    """Not an error of ours."""
    response = Client().post("/billing/webhook/", BODY, content_type="application/json")
    assert (response.status_code, Event.objects.count()) == (400, 0)


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_other"]])
def test_without_the_secret_nothing_is_let_in(secrets: list[str]) -> None:
    """An empty secret would let anybody sign."""
    with override_settings(COMP_BILLING={"WEBHOOK_SECRETS": secrets}):
        assert post(BODY, signed(BODY, secret="")) == 400


def test_while_a_secret_is_rotated_both_hold() -> None:
    """And several signatures in one header are looked through."""
    old, new = signed(BODY, secret="whsec_old"), signed(BODY, secret="whsec_new")
    with override_settings(COMP_BILLING={"WEBHOOK_SECRETS": ["whsec_new", "whsec_old"]}):
        assert (post(BODY, old), post(BODY, new)) == (200, 200)
        assert post(BODY, f"{old},{'v1=' + 'ab' * 32},{new.split(',')[1]}") == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe{}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"id":"evt_1","object":"event","type":"x","created":1,"a":'
        + b"[" * 80
        + b"]" * 80
        + b"}",
        json.dumps(event(id="")).encode(),
        json.dumps(event(id=7)).encode(),
        json.dumps(event(id="e" * 300)).encode(),
        json.dumps(event(type="")).encode(),
        json.dumps({**event(), "type": ["x"]}).encode(),
        json.dumps(event("x" * 121)).encode(),
        json.dumps(event(created=None)).encode(),
        json.dumps(event(created=10**30)).encode(),
        json.dumps(event(created=True)).encode(),
        json.dumps(event(object="customer")).encode(),
        json.dumps(event(object="v2.core.event", created="yesterday")).encode(),
        json.dumps(event(object="v2.core.event", created="0001-01-01T00:00:00+14:00")).encode(),
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    """400 and not a row, never an error of ours."""
    assert (post(body), Event.objects.count()) == (400, 0)


@pytest.mark.parametrize("verb", ["get", "head", "put", "patch", "delete", "options"])
def test_only_post_is_answered(verb: str) -> None:
    """Others are told so."""
    response = getattr(Client(), verb)("/billing/webhook/")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_no_cross_site_token_is_asked_for() -> None:
    """The signature is what authenticates."""
    response = Client(enforce_csrf_checks=True).post(
        "/billing/webhook/", BODY, "application/json", headers={"Stripe-Signature": signed(BODY)}
    )
    assert response.status_code == 200


@override_settings(COMP_BILLING={"WEBHOOK_SECRETS": [SECRET], "WEBHOOK_MAX_BYTES": len(BODY)})
def test_a_body_up_to_the_limit_is_read_and_one_beyond_it_is_not() -> None:
    """Told by its declared length, before it is read."""
    assert (post(BODY), post(BODY + b" ")) == (200, 413)


@override_settings(COMP_BILLING={"WEBHOOK_SECRETS": [SECRET], "WEBHOOK_MAX_BYTES": 100})
def test_a_false_content_length_does_not_help() -> None:
    """What arrives is what counts; a length that is no number counts as none."""
    assert [post(BODY, CONTENT_LENGTH=length) for length in ("101", "50", "-1")] == [413, 400, 400]
