"""What every page of the example site knows."""

from __future__ import annotations

from django.http import HttpRequest

from comp_billing.conf import conf


def payments(request: HttpRequest) -> dict[str, bool]:
    """Whether the site talks to a stand-in instead of Stripe, which visitors must be told."""
    is_stripe = conf.API_BASE.startswith("https://api.stripe.com")
    return {"payments_are_simulated": bool(conf.SECRET_KEY) and not is_stripe}
