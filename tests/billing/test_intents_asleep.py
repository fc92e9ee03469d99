"""A worker that slept, with its whole machine perhaps, between the last look and the call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from comp_billing import intents
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
