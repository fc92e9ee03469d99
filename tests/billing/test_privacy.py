"""No address and no key in a log, in a row that outlives its use, or in an error (invariant 12)."""

from __future__ import annotations

import logging
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives

from comp_billing import handlers, stripe_api
from comp_billing.events import process_due_events
from comp_billing.exceptions import StripeMisconfigured, StripeRefused
from comp_billing.models import Event, Intent
from comp_billing.tracing import describe, log_error
from comp_billing.webhooks import event_of, ingest
from tests.billing.builders import Site

ADDRESS = "canary@example.org"


def test_address_that_stripe_refuses_is_not_in_the_error(site: Site) -> None:
    """Stripe repeats the address, which may not even look like one."""
    with pytest.raises(StripeRefused) as refused:
        stripe_api.call("post", "/v1/customers", {"email": "canary"})

    assert str(refused.value) == "Invalid email address: [address]"


def test_address_is_forgotten_with_the_intent_done(site: Site) -> None:
    """From then on it stands in the customer's row alone."""
    get_user_model().objects.create_user("canary", ADDRESS, "pw", first_name="Canaria")

    site.work()

    intent = Intent.objects.get(kind="customer.create")
    assert (intent.state, sorted(intent.params)) == ("succeeded", ["metadata"])


def test_sdk_logs_neither_addresses_nor_secrets(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Even on a site that logs everything."""
    caplog.set_level(logging.DEBUG)
    site.user("canary")

    site.work()
    stripe_api.call(
        "post", "/v1/webhook_endpoints", {"url": "https://a.test/", "enabled_events": ["*"]}
    )

    assert [word for word in ("canary", "whsec_") if word in caplog.text] == []


def test_address_that_the_mail_server_refuses_is_not_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The event waits with the error's kind and place; so does the log tell it."""
    caplog.set_level(logging.INFO)
    payer = site.subscriber("canary")

    def refuse(message: EmailMultiAlternatives) -> None:
        raise SMTPRecipientsRefused({message.to[0]: (550, b"no such user")})

    monkeypatch.setattr(EmailMultiAlternatives, "send", refuse)
    invoice = {"object": "invoice", "id": "in_1", "customer": payer.user.customer.pk}
    ingest(event_of(told("invoice.payment_failed", invoice)))

    process_due_events()

    event = Event.objects.get()
    assert (event.state, "SMTPRecipientsRefused" in event.error) == ("failed", True)
    assert "SMTPRecipientsRefused in" in caplog.text
    assert "canary" not in event.error + caplog.text


def test_text_of_a_handlers_error_is_not_logged(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is that of the error which caused it."""
    caplog.set_level(logging.INFO)

    @handlers.on("x.y")
    def fail(*arguments: Any) -> None:
        """Raise an error out of another."""
        try:
            raise ValueError(ADDRESS)
        except ValueError as exc:
            raise KeyError(ADDRESS) from exc

    ingest(event_of(told("x.y", {"id": "x_1"})))
    handlers.unregister(fail)

    assert "KeyError in fail" in caplog.text
    assert "caused by ValueError in fail" in caplog.text
    assert ADDRESS not in caplog.text + Event.objects.get().error


def test_those_who_ask_for_it_are_told_everything(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the error's text is logged too."""
    caplog.set_level(logging.DEBUG)

    log_error(logging.getLogger("comp_billing"), "%s failed", "It", exc=KeyError(ADDRESS))

    assert [record.levelname for record in caplog.records] == ["ERROR", "DEBUG"]
    assert ADDRESS in caplog.text


def test_error_that_was_never_raised_has_a_kind_only() -> None:
    """There is no place to tell."""
    assert describe(KeyError(ADDRESS)) == "KeyError"


def test_missing_permission_of_a_restricted_key_is_named(site: Site) -> None:
    """What Stripe says is lacking, without the key."""
    site.standin.faults.add("403")

    with pytest.raises(StripeMisconfigured) as refused:
        stripe_api.call("post", "/v1/products", {"name": "Epidemic"})

    assert "/v1/products (403)" in str(refused.value)
    assert "rak_standin_write" in str(refused.value)
    assert "rk_test" not in str(refused.value)


def told(event_type: str, obj: dict[str, Any]) -> dict[str, Any]:
    """An event of Stripe's as its JSON is."""
    return {
        "id": "evt_1",
        "object": "event",
        "type": event_type,
        "created": 1_800_000_000,
        "livemode": False,
        "data": {"object": obj},
    }
