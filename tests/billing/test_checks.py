"""System checks of comp_billing: each mistake is named, with the way out and without the secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from comp_billing import stripe_api
from comp_billing.checks import check_settings

KEY = "sk_test_canary"
FINE: dict[str, Any] = {
    "SECRET_KEY": KEY,
    "WEBHOOK_SECRETS": ["whsec_canary"],
    "THIN_WEBHOOK_SECRETS": ["whsec_canary"],
}


def found(**settings: Any) -> list[tuple[str | None, Any]]:
    with override_settings(COMP_BILLING={**FINE, **settings}):
        return [(message.id, message.obj) for message in check_settings(None)]


def test_sensible_settings_pass() -> None:
    """Nothing to say."""
    assert found() == []


def test_one_setting_chooses_the_currency_of_a_billed_site() -> None:
    """Stripe's meter prices runs in it too, so COMP_CORE need not repeat it."""
    assert found(CURRENCY="eur") == []


def test_a_site_without_stripe_passes() -> None:
    """No key, no secrets, nothing sent."""
    assert found(SECRET_KEY="", WEBHOOK_SECRETS=[], THIN_WEBHOOK_SECRETS=[]) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SECRET_KEY": "pk_test_canary"}, ("comp_billing.E004", "COMP_BILLING['SECRET_KEY']")),
        ({"SECRET_KEY": "sk_live_canary"}, ("comp_billing.E005", "COMP_BILLING['SECRET_KEY']")),
        ({"LIVEMODE": True}, ("comp_billing.E005", "COMP_BILLING['SECRET_KEY']")),
        ({"WEBHOOK_SECRETS": [""]}, ("comp_billing.E006", "COMP_BILLING['WEBHOOK_SECRETS']")),
        ({"WEBHOOK_SECRETS": [None]}, ("comp_billing.E006", "COMP_BILLING['WEBHOOK_SECRETS']")),
        ({"WEBHOOK_SECRETS": []}, ("comp_billing.W001", "COMP_BILLING['WEBHOOK_SECRETS']")),
        (
            {"THIN_WEBHOOK_SECRETS": ["", "whsec_canary"]},
            ("comp_billing.E006", "COMP_BILLING['THIN_WEBHOOK_SECRETS']"),
        ),
        (
            {"THIN_WEBHOOK_SECRETS": []},
            ("comp_billing.W004", "COMP_BILLING['THIN_WEBHOOK_SECRETS']"),
        ),
        ({"CURRENCY": "USD"}, ("comp_billing.E007", "COMP_BILLING['CURRENCY']")),
        (
            {"PRICING": "comp_billing.pricing.Nope"},
            ("comp_billing.E009", "COMP_BILLING['PRICING']"),
        ),
        ({"PRICING": "decimal.Decimal"}, ("comp_billing.E009", "COMP_BILLING['PRICING']")),
        ({"CLOCK": "nowhere"}, ("comp_billing.E010", "COMP_BILLING['CLOCK']")),
    ],
)
def test_a_mistake_is_named_with_its_setting(
    settings: dict[str, Any], expected: tuple[str, str]
) -> None:
    """By id and object."""
    assert found(**settings) == [expected]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SECRET_KEI": KEY}, ["comp_billing.E002"]),
        ({"WEBHOOK_SECRETS": "whsec_canary"}, ["comp_billing.E003"]),
        ({"SECRET_KEY": None}, ["comp_billing.E003"]),
    ],
)
def test_unknown_and_mistyped_settings_are_named(
    settings: dict[str, Any], expected: list[str]
) -> None:
    """A single text would be taken for a list of one-letter secrets."""
    assert [identifier for identifier, _ in found(**settings)] == expected


@override_settings(COMP_CORE={"METER": "comp_billing.metering.StripeMeter"})
def test_metering_without_a_key_is_told() -> None:
    """Runs are free then, which may be a surprise."""
    assert found(SECRET_KEY="", WEBHOOK_SECRETS=[], THIN_WEBHOOK_SECRETS=[]) == [
        ("comp_billing.W002", "COMP_CORE['METER']")
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("SDK_VERSION", "17.0.0"), ("SDK_API_VERSION", "2027-03-31.fern")]
)
def test_another_sdk_than_the_tested_one_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """It works, with the version named in each request."""
    monkeypatch.setattr(stripe_api, name, value)
    assert found() == [("comp_billing.W003", "stripe")]


@override_settings(
    COMP_BILLING={
        "SECRET_KEY": "sk_live_canary",
        "WEBHOOK_SECRETS": ["whsec_canary", ""],
        "THIN_WEBHOOK_SECRETS": ["whsec_canary"],
    }
)
def test_no_check_shows_a_secret_and_each_shows_a_way_out() -> None:
    """Checks end up in logs."""
    messages = [m for m in run_checks() if str(m.id).startswith("comp_billing")]
    assert (len(messages), "canary" in str(messages), all(m.hint for m in messages)) == (
        2,
        False,
        True,
    )
