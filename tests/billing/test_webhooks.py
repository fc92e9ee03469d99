"""The webhook endpoint: what it lets in, what it stores, what it makes of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from freezegun import freeze_time

from comp_billing import views
from comp_billing.models import Customer, Event
from comp_billing.refusals import SECONDS_BETWEEN_LINES
from tests.billing.deliveries import (
    ADDRESS,
    SECRET,
    THIN_ADDRESS,
    THIN_SECRET,
    event,
    post,
    signed,
    thin_event,
)

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


@pytest.mark.parametrize(
    ("secrets", "guess"),
    [
        ([], ""),
        ([""], ""),
        (["whsec_other"], ""),
        (["  "], "  "),
        ([None], ""),
        ("whsec_tests", "w"),
    ],
)
def test_without_the_secret_nothing_is_let_in(secrets: list[str], guess: str) -> None:
    """An empty secret would let anybody sign, and so would the letters of a text."""
    with override_settings(COMP_BILLING={"WEBHOOK_SECRETS": secrets}):
        assert post(BODY, signed(BODY, secret=guess)) == 400


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


@pytest.mark.parametrize("address", [ADDRESS, THIN_ADDRESS])
@pytest.mark.parametrize("verb", ["get", "head", "put", "patch", "delete", "options", "trace"])
def test_only_post_is_answered(verb: str, address: str) -> None:
    """Others are told so."""
    response = getattr(Client(), verb)(address)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(("address", "secret"), [(ADDRESS, SECRET), (THIN_ADDRESS, THIN_SECRET)])
def test_no_cross_site_token_is_asked_for(address: str, secret: str) -> None:
    """The signature is what authenticates."""
    headers = {"Stripe-Signature": signed(BODY, secret=secret)}
    response = Client(enforce_csrf_checks=True).post(
        address, BODY, "application/json", headers=headers
    )
    assert response.status_code == 200


@override_settings(COMP_BILLING={"WEBHOOK_SECRETS": [SECRET], "WEBHOOK_MAX_BYTES": len(BODY)})
def test_a_body_up_to_the_limit_is_read_and_one_beyond_it_is_not() -> None:
    """Told by its declared length, before it is read."""
    assert (post(BODY), post(BODY + b" ")) == (200, 413)


@override_settings(COMP_BILLING={"WEBHOOK_SECRETS": [SECRET], "WEBHOOK_MAX_BYTES": 100})
def test_a_false_content_length_does_not_help() -> None:
    """What arrives is what counts; a length that is no number counts as none."""
    lengths = ("101", "50", "-1", "9" * 30, "9" * 5000, "0050")
    answers = [post(BODY, CONTENT_LENGTH=length) for length in lengths]
    assert answers == [413, 400, 400, 413, 413, 400]


THIN_BODY = json.dumps(thin_event()).encode()


@pytest.mark.parametrize(
    ("address", "secret", "expected"),
    [
        (ADDRESS, SECRET, 200),
        (ADDRESS, THIN_SECRET, 400),
        (THIN_ADDRESS, THIN_SECRET, 200),
        (THIN_ADDRESS, SECRET, 400),
    ],
)
def test_each_address_has_its_own_secrets(address: str, secret: str, expected: int) -> None:
    """A secret that got out opens one of them only."""
    header = signed(THIN_BODY, secret=secret)
    assert post(THIN_BODY, header, address=address) == expected


@pytest.mark.parametrize(
    ("address", "secret", "body", "is_thin"),
    [
        (ADDRESS, SECRET, BODY, False),
        (ADDRESS, SECRET, THIN_BODY, True),
        (THIN_ADDRESS, THIN_SECRET, BODY, False),
        (THIN_ADDRESS, THIN_SECRET, THIN_BODY, True),
    ],
)
def test_a_signed_event_is_stored_by_its_kind_wherever_it_arrives(
    address: str, secret: str, body: bytes, is_thin: bool
) -> None:
    """Stripe could only deliver it to the wrong address again."""
    answer = post(body, signed(body, secret=secret), address=address)
    assert (answer, list(Event.objects.values_list("is_thin"))) == (200, [(is_thin,)])


def test_while_the_secret_of_the_thin_address_is_rotated_both_hold() -> None:
    """As for the other address."""
    secrets = ["whsec_new", "whsec_old"]
    with override_settings(COMP_BILLING={"THIN_WEBHOOK_SECRETS": secrets}):
        answers = [
            post(THIN_BODY, signed(THIN_BODY, secret=secret), address=THIN_ADDRESS)
            for secret in secrets
        ]
    assert answers == [200, 200]


@pytest.mark.parametrize("address", [ADDRESS, THIN_ADDRESS])
def test_whoever_is_not_stripe_costs_no_query(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the site wraps every request into a transaction."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    with CaptureQueriesContext(connection) as queries:
        answer = post(BODY, "t=1,v1=ab", address=address)
    assert (answer, len(queries)) == (400, 0)


def test_a_flood_of_forgeries_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """And the next line, a while later, says how many there were; Django's own lines are none."""
    views.refusals.forget()
    caplog.set_level(logging.DEBUG)
    with freeze_time("2026-11-01 12:00:00") as clock:
        answers = {post(BODY, "t=1,v1=ab") for _request in range(500)}
        clock.tick(SECONDS_BETWEEN_LINES + 1)
        post(b"x" * 2_000_000)
    lines = [record.getMessage() for record in caplog.records]
    assert (answers, lines) == (
        {400},
        [
            "Webhook refused: The signature's timestamp is too far from now."
            " (0 more since the last line)",
            "Webhook refused: The body is too large. (499 more since the last line)",
        ],
    )


@pytest.mark.parametrize(
    ("body", "header"),
    [(b"canary", "canary"), (b'{"canary": 1}', "t=1,v1=canary"), (b'["canary"]', None)],
)
def test_nothing_of_a_refused_request_is_repeated(
    body: bytes, header: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the log nor in the answer."""
    views.refusals.forget()
    caplog.set_level(logging.DEBUG)
    sent = signed(body) if header is None else header
    answer = Client().post(
        ADDRESS, body, content_type="application/json", headers={"Stripe-Signature": sent}
    )
    assert (answer.status_code, "canary" in f"{caplog.text} {answer.content!r}") == (400, False)
