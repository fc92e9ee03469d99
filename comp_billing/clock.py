"""The clock that Stripe's time windows are measured on: the site's own, or a test's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.module_loading import import_string

from comp_billing.conf import conf
from comp_billing.exceptions import StripeUnavailable


def now() -> datetime:
    """The aware moment that ``COMP_BILLING["CLOCK"]`` tells.

    A clock that is asked over the network may fail: StripeUnavailable.
    """
    read: Any = import_string(conf.CLOCK)
    try:
        moment: datetime = read()
    except OSError as exc:
        raise StripeUnavailable("The clock could not be read.") from exc
    return moment
