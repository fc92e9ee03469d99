"""Whether the mirror is true as far as it knows: rows in doubt, and lists that were read whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q
from django.utils import timezone

from comp_billing.mirror import KINDS
from comp_billing.models import StripeObject, Sync
from comp_billing.probes.words import LOOPS, about_billing, ago, some
from comp_core.doctor import Finding, ok, problem, warning

LONG = timedelta(hours=1)
# The pauses between so many attempts add up to an hour.
MANY_ATTEMPTS = 8
SHOW = 'Look at them in the admin: of each kind, "To be fetched"; the worker\'s log says why.'


@about_billing
def mirror() -> Iterator[Finding]:
    """What is to be fetched is fetched, within an hour."""
    since = timezone.now() - LONG
    found = {model.kind: _in_doubt(model, since) for model in KINDS.values()}
    awaited = _words({kind: counts["awaited"] for kind, counts in found.items()})
    overdue = _words({kind: counts["overdue"] for kind, counts in found.items()})
    failing = _words({kind: counts["failing"] for kind, counts in found.items()})
    if awaited:
        what = f"Objects named more than an hour ago and still not received: {awaited}."
        yield warning(what, SHOW)
    if overdue:
        what = f"Objects that were to be fetched from Stripe more than an hour ago: {overdue}."
        yield problem(what, LOOPS)
    if failing:
        what = f"Objects that could not be fetched from Stripe for more than an hour: {failing}."
        yield problem(what, SHOW)
    if not overdue and not failing:
        waiting = _words({kind: counts["all"] for kind, counts in found.items()})
        rest = f"Objects about to be fetched: {waiting}." if waiting else "No object is in doubt."
        yield ok(f"The mirror holds what Stripe last said. {rest}")


def _in_doubt(model: type[StripeObject], since: datetime) -> dict[str, int]:
    """Of the rows that are to be fetched, which an index holds."""
    overdue, failing = Q(fetch_at__lt=since), Q(fetch_attempts__gte=MANY_ATTEMPTS)
    return model.all_objects.filter(fetch_at__isnull=False).aggregate(
        all=Count("pk"),
        overdue=Count("pk", filter=overdue & ~failing),
        failing=Count("pk", filter=failing),
        awaited=Count("pk", filter=Q(as_of=None) & (overdue | failing)),
    )


def _words(numbers: dict[str, int]) -> str:
    return some((f"{kind} {number}" for kind, number in numbers.items() if number), most=10)


@about_billing
def syncs() -> Iterator[Finding]:
    """When each kind's list was last read as a whole, and readings that do not get on."""
    rows = {row.kind: row for row in Sync.objects.all()}
    since = timezone.now() - LONG
    for kind, row in rows.items():
        if row.error:
            what = f'The last reading of Stripe\'s list "{kind}" ended in an error.'
            yield warning(what, "The admin has it under Syncs; ask for it again when it is mended.")
        elif row.requested_at and row.requested_at < since and not _is_read(row):
            what = f'The list "{kind}" was to be read {ago(row.requested_at)} ago.'
            yield problem(f"{what} Nobody reads it.", LOOPS)
    listed = [kind for kind, model in KINDS.items() if model.collection and model.is_listed]
    whole = {kind: rows[kind].complete_as_of for kind in listed if kind in rows}
    read = {kind: as_of for kind, as_of in whole.items() if as_of}
    if not read:
        yield ok("No list of Stripe's has been read as a whole; events keep the mirror true.")
        return
    oldest = min(read, key=lambda kind: read[kind])
    age = ago(datetime.fromtimestamp(read[oldest], UTC))
    never = some(sorted(set(listed) - set(read)), most=len(listed))
    rest = f" Never read: {never}." if never else ""
    yield ok(f"Lists read as a whole: {len(read)} kinds, {oldest} first, {age} ago.{rest}")


def _is_read(row: Sync) -> bool:
    return row.lease_expires_at is not None and row.lease_expires_at > timezone.now()
