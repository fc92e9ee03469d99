"""Usage on its way to Stripe, exactly once: the reporter, what is in doubt, what is corrected."""

from comp_billing.usage.limits import OLDEST_USAGE, OPEN, UNSETTLED
from comp_billing.usage.outcomes import reject
from comp_billing.usage.reporting import report_due
from comp_billing.usage.stamps import stamp

__all__ = ["OLDEST_USAGE", "OPEN", "UNSETTLED", "reject", "report_due", "stamp"]
