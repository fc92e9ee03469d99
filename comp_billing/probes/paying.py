"""Whether users can change how they pay."""

from __future__ import annotations

from collections.abc import Iterator

from comp_billing.models import Customer
from comp_billing.paying.portal import configuration_id
from comp_billing.probes.words import about_billing
from comp_core.doctor import Finding, ok, warning


@about_billing
def portal() -> Iterator[Finding]:
    """The customer portal is set up once there is anybody who could use it."""
    if configuration_id():
        yield ok("Stripe's customer portal is set up: users can change how they pay.")
    elif Customer.objects.exists():
        what = "Stripe's customer portal is not set up: users cannot change how they pay there."
        yield warning(what, "python manage.py comp_setup_stripe makes its configuration.")
