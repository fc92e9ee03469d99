"""A worker that was late: it slept, or another one was faster, between its look and its call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from comp_billing import catalog, intents, subscriptions
from comp_billing.exceptions import StripeUnavailable
from comp_billing.models import Intent, IntentState
from tests.billing.builders import Site


def test_process_that_has_slept_makes_no_call(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look and the call a day went by: meanwhile another worker may have made it,
    under a key that Stripe has forgotten."""
    site.user()
    intent = intents.claim(Intent.objects.get(kind="customer.create"))
    assert intent is not None
    now = timezone.now()
    moments = iter([now, now + timedelta(hours=25)])
    monkeypatch.setattr("comp_billing.clock.now", lambda: next(moments))

    with pytest.raises(StripeUnavailable, match="slept"):
        intents.carry_out(intent)

    assert (site.objects("customer"), Intent.objects.get().state) == ([], IntentState.PENDING)


def test_what_another_worker_made_meanwhile_is_no_refusal(site: Site) -> None:
    """Stripe refuses a second item of a plan: the first one is what was wanted."""
    site.shop()
    site.subscriber()
    second = site.public_project("Second")
    catalog.set_up_catalog([second])
    subscriptions.ensure_items()
    intent = intents.claim(Intent.objects.get(kind="subscription_item.create"))
    again = intents.claim(Intent.objects.get(pk=intent.pk)) if intent else None
    assert intent is not None
    assert again is not None
    intents.carry_out(intent)
    Intent.objects.filter(pk=intent.pk).update(state=IntentState.PENDING, result_id="")
    again.generation = 2

    intents.carry_out(again)

    made = Intent.objects.get(pk=intent.pk)
    assert (made.state, made.error_message) == (IntentState.SUCCEEDED, "")
