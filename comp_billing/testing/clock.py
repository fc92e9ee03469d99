"""The stand-in's time as the library's clock, where the site's settings name a stand-in."""

from datetime import datetime

from django.conf import settings

from comp_billing.testing.control import StandInControl


def now() -> datetime:
    """The aware time of the stand-in at `COMP_BILLING["API_BASE"]`; one HTTP call."""
    return StandInControl(str(settings.COMP_BILLING["API_BASE"])).now()
