"""System checks of handlers: slips are named before the first event fails to arrive."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from comp_billing import event_types, stripe_api
from comp_billing.handlers.checks import check_handlers, check_operators
from tests.billing.told import PEOPLE


def watch(*arguments: Any) -> None:
    """Do nothing."""


WATCH = f"{__name__}.watch"


def test_the_handlers_of_the_library_pass() -> None:
    """Nothing to say, also to one who asks for everything."""
    with override_settings(MANAGERS=PEOPLE):
        found = run_checks(include_deployment_checks=True)
    assert [message for message in found if str(message.id).startswith("comp_billing")] == []


@pytest.mark.parametrize(
    "name",
    [
        "invoice.paid",
        "invoice.*",
        "customer.subscription.*",
        "charge.dispute.created",
        "v1.billing.meter.no_meter_found",
        "v1.billing.*",
        "v2.core.account[requirements].updated",
    ],
)
def test_what_stripe_documents_passes(handle: Any, name: str) -> None:
    """Whole names and beginnings, thin events too."""
    handle(name, handler=watch)
    assert check_handlers(None) == []


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("invoice.payed", "Perhaps invoice.paid is meant."),
        ("invoice.payment_failled", "Perhaps invoice.payment_failed is meant."),
        ("customer.subscription.update", "Perhaps customer.subscription.updated is meant."),
        ("payment.failure", "If Stripe has it since"),
        ("paiment.*", "If Stripe has it since"),
        ("invoices.*", "Perhaps invoice."),
    ],
)
def test_a_slip_is_named_with_what_is_meant(handle: Any, name: str, guess: str) -> None:
    """By id, with the handler that would wait for ever."""
    handle(name, handler=watch, stored=True)
    (message,) = check_handlers(None)
    assert (message.id, message.obj, name in message.msg, str(message.hint).startswith(guess)) == (
        "comp_billing.W010",
        WATCH,
        True,
        True,
    )


@override_settings(SILENCED_SYSTEM_CHECKS=["comp_billing.W010"])
def test_a_name_newer_than_the_sdk_can_be_silenced(handle: Any) -> None:
    """It is a warning, and the house's way holds for it."""
    handle("invoice.split_in_two", handler=watch)
    (message,) = check_handlers(None)
    assert (message.is_silenced(), message.is_serious()) == (True, False)


def test_an_sdk_that_does_not_tell_its_events_warns_of_none(
    handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than of all."""
    handle("invoice.payed", handler=watch)
    monkeypatch.setattr(stripe_api, "event_types", frozenset)
    assert check_handlers(None) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"MANAGERS": []}, ["comp_billing.W011"]),
        ({"MANAGERS": PEOPLE}, []),
        ({"MANAGERS": [], "COMP_BILLING": {"SECRET_KEY": ""}}, []),
    ],
)
def test_a_site_that_takes_money_should_name_who_looks_after_it(
    settings: dict[str, Any], expected: list[str]
) -> None:
    """Asked before a deployment; not of a site without Stripe."""
    with override_settings(**settings):
        found = check_operators(None)
    assert [message.id for message in found] == expected


# -- what the endpoint is made for


def test_the_endpoint_is_told_what_handlers_wait_for(handle: Any) -> None:
    """Names, what is known to begin so, and names newer than the SDK; thin ones elsewhere."""
    names = ("credit_note.created", "quote.*", "invoice.split_in_two", "v1.customer.created")
    handle(*names, handler=watch)
    extra = set(event_types.wanted_events()) - set(event_types.EVENTS)
    thin = set(event_types.wanted_thin_events()) - set(event_types.THIN_EVENTS)
    assert (extra, thin) == (
        {
            "credit_note.created",
            "invoice.split_in_two",
            "quote.accepted",
            "quote.canceled",
            "quote.created",
            "quote.finalized",
        },
        {"v1.customer.created"},
    )


def test_a_site_without_handlers_of_its_own_asks_for_what_the_library_lives_on() -> None:
    """And nothing that Stripe does not have."""
    asked = {*event_types.wanted_events(), *event_types.wanted_thin_events()}
    listed = {*event_types.EVENTS, *event_types.THIN_EVENTS}
    assert (asked, listed - stripe_api.event_types()) == (listed, set())
