"""System checks of comp_billing; they touch neither database nor network and show no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core import checks
from django.utils.module_loading import import_string

from comp_billing import stripe_api
from comp_billing.conf import conf
from comp_billing.confirmation import BaseAdmission, ConfirmedEmail
from comp_billing.metering import StripeMeter
from comp_billing.money import is_currency
from comp_billing.pricing import BasePricing
from comp_core.conf import conf as core_conf

TESTED_SDK_MAJOR = "16"
SECRET_PREFIXES = ("sk_test_", "rk_test_", "sk_live_", "rk_live_")
LIVE_PREFIXES = ("sk_live_", "rk_live_")


def check_settings(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    wrong = conf.check(prefix="comp_billing")
    # The others read values whose types have to be right.
    return wrong or [
        *_check_key(),
        *_check_webhook_secrets(),
        *_check_currency(),
        *_check_paths(),
        *_check_sign_up(),
        *_check_meter(),
        *_check_sdk(),
    ]


def _setting(key: str) -> str:
    return f"COMP_BILLING[{key!r}]"


def _check_key() -> list[checks.CheckMessage]:
    key = conf.SECRET_KEY
    if not key:
        return []
    if not key.startswith(SECRET_PREFIXES):
        return [
            checks.Error(
                "The Stripe key is neither a secret nor a restricted key.",
                hint="Take the one that starts with sk_ or rk_ from Stripe's dashboard; "
                "keys that start with pk_ are for browsers.",
                obj=_setting("SECRET_KEY"),
                id="comp_billing.E004",
            )
        ]
    if key.startswith(LIVE_PREFIXES) == conf.LIVEMODE:
        return []
    key_mode, site_mode = ("test", "live") if conf.LIVEMODE else ("live", "test")
    return [
        checks.Error(
            f"The Stripe key is for {key_mode} mode, but this site mirrors {site_mode} mode.",
            hint="One database mirrors one mode: change the key, or LIVEMODE together with the "
            "database.",
            obj=_setting("SECRET_KEY"),
            id="comp_billing.E005",
        )
    ]


def _check_webhook_secrets() -> list[checks.CheckMessage]:
    return [
        *_check_secrets("WEBHOOK_SECRETS", conf.WEBHOOK_SECRETS, _no_webhook_secret),
        *_check_secrets("THIN_WEBHOOK_SECRETS", conf.THIN_WEBHOOK_SECRETS, _no_thin_secret),
    ]


def _check_secrets(
    key: str, secrets: list[str], without: Callable[[], checks.CheckMessage]
) -> list[checks.CheckMessage]:
    if not all(isinstance(secret, str) and secret.strip() for secret in secrets):
        return [
            checks.Error(
                "A webhook secret is empty or no text.",
                hint="Anybody could sign with an empty secret, so it is never accepted; remove it, "
                "and see whether the environment variable behind it is set.",
                obj=_setting(key),
                id="comp_billing.E006",
            )
        ]
    return [without()] if conf.SECRET_KEY and not secrets else []


def _no_webhook_secret() -> checks.CheckMessage:
    return checks.Warning(
        "There is a Stripe key but no webhook secret: all news from Stripe is refused.",
        hint="comp_setup_stripe --webhook-url makes an endpoint and shows its secret once.",
        obj=_setting("WEBHOOK_SECRETS"),
        id="comp_billing.W001",
    )


def _no_thin_secret() -> checks.CheckMessage:
    return checks.Warning(
        "There is a Stripe key but no secret for thin events: Stripe's reports of usage that it "
        "did not count are refused.",
        hint="comp_setup_stripe --webhook-url makes their destination and shows its secret once.",
        obj=_setting("THIN_WEBHOOK_SECRETS"),
        id="comp_billing.W004",
    )


def _check_currency() -> list[checks.CheckMessage]:
    if not is_currency(conf.CURRENCY):
        return [
            checks.Error(
                "Stripe knows no such currency.",
                hint="Write a three-letter ISO 4217 code in lower case, such as usd, eur or jpy.",
                obj=_setting("CURRENCY"),
                id="comp_billing.E007",
            )
        ]
    return []


def _check_paths() -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    pricing, clock = _imported(conf.PRICING), _imported(conf.CLOCK)
    if not (isinstance(pricing, type) and issubclass(pricing, BasePricing)):
        messages.append(
            checks.Error(
                "The pricing policy is none.",
                hint="Name a subclass of comp_billing.pricing.BasePricing, such as the default "
                "MicroUnitPricing.",
                obj=_setting("PRICING"),
                id="comp_billing.E009",
            )
        )
    if not callable(clock):
        messages.append(
            checks.Error(
                "The clock cannot be called.",
                hint="Name a function that returns an aware datetime, such as the default "
                "django.utils.timezone.now.",
                obj=_setting("CLOCK"),
                id="comp_billing.E010",
            )
        )
    return messages


def _check_sign_up() -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    admission = _imported(conf.CUSTOMER_WHEN)
    if not (isinstance(admission, type) and issubclass(admission, BaseAdmission)):
        messages.append(
            checks.Error(
                "The rule for who becomes a customer is none.",
                hint="Name a subclass of comp_billing.confirmation.BaseAdmission, such as the "
                "default Everybody.",
                obj=_setting("CUSTOMER_WHEN"),
                id="comp_billing.E011",
            )
        )
    elif issubclass(admission, ConfirmedEmail) and not _has_model(admission.model):
        messages.append(
            checks.Error(
                f"Nothing here keeps confirmed e-mail addresses: {'.'.join(admission.model)}.",
                hint="Install django-allauth and its app allauth.account, or name your own table "
                "in a subclass of ConfirmedEmail.",
                obj=_setting("CUSTOMER_WHEN"),
                id="comp_billing.E012",
            )
        )
    if conf.SUBSCRIBE_ON not in ("sign_up", "first_run"):
        messages.append(
            checks.Error(
                "Customers cannot be subscribed at such a time.",
                hint="Write 'sign_up' or 'first_run'.",
                obj=_setting("SUBSCRIBE_ON"),
                id="comp_billing.E013",
            )
        )
    return messages


def _has_model(name: tuple[str, str]) -> bool:
    try:
        apps.get_model(*name)
    except LookupError:
        return False
    return True


def _check_meter() -> list[checks.CheckMessage]:
    meter = _imported(core_conf.METER)
    bills = isinstance(meter, type) and issubclass(meter, StripeMeter)
    if bills and not conf.SECRET_KEY:
        return [
            checks.Warning(
                "Runs are metered for Stripe, but there is no Stripe key: they are free.",
                hint="Set COMP_BILLING['SECRET_KEY'], or leave COMP_CORE['METER'] at its default.",
                obj="COMP_CORE['METER']",
                id="comp_billing.W002",
            )
        ]
    return []


def _check_sdk() -> list[checks.CheckMessage]:
    major = stripe_api.SDK_VERSION.partition(".")[0]
    if major == TESTED_SDK_MAJOR and stripe_api.SDK_API_VERSION == stripe_api.API_VERSION:
        return []
    return [
        checks.Warning(
            f"Stripe's SDK {stripe_api.SDK_VERSION} is made for another API version than "
            f"{stripe_api.API_VERSION}, with which this library was tested.",
            hint=f"Requests name the version, so the site works; prefer a {TESTED_SDK_MAJOR}.x "
            "release of that version.",
            obj="stripe",
            id="comp_billing.W003",
        )
    ]


def _imported(path: str) -> Any:
    """What a dotted path names; None when it names nothing."""
    try:
        return import_string(path)
    except (ImportError, ValueError):
        return None
