"""E-mails to the operators about usage that will not be billed unless somebody acts."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from comp_billing.models import UsageRecord, UsageState
from comp_billing.operators import tell_operators
from comp_billing.usage.limits import NEARLY_LOST, OPEN, UNSETTLED

BATCH = 1000


def tell_of_unbilled() -> int:
    """For the maintenance loop: one e-mail about everything that nobody has been told of yet;
    answers about how many. At least once each.

    What still waits after 30 days (Stripe takes usage of the past 35), what is unclear and what has
    expired or was refused.
    """
    now = timezone.now()
    late = Q(state__in=UNSETTLED, used_at__lte=now - NEARLY_LOST)
    untold = UsageRecord.objects.filter(late | Q(state__in=OPEN), alarmed_at__isnull=True)
    records = list(untold.order_by("used_at")[:BATCH])
    if not records:
        return 0
    counts = {str(state): 0 for state in (*OPEN, UsageState.PENDING)}
    for record in records:
        waits = record.state in UNSETTLED
        counts[str(UsageState.PENDING) if waits else record.state] += 1
    context = {**counts, "count": len(records), "oldest": records[0].used_at}
    if not tell_operators("usage_unbilled", context):
        return 0
    # After the e-mail: one too many is better than none.
    keys = [record.pk for record in records]
    return UsageRecord.objects.filter(pk__in=keys).update(alarmed_at=now)
