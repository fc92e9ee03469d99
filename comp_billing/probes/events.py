"""What became of the events that have arrived."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from comp_billing.events import DUE
from comp_billing.models import Event, EventState
from comp_billing.probes.words import LOOPS, about_billing, ago, counted
from comp_core.doctor import Finding, ok, problem, warning

# A round takes seconds; an event that has been due for longer finds nobody to work on it.
OVERDUE = timedelta(minutes=10)
AGAIN = 'remove the cause, then choose "Process again" for them.'


@about_billing
def events() -> Iterator[Finding]:
    """The newest one, those that failed, and whether the worker gets on."""
    newest = Event.objects.order_by("-created").defer("payload").first()
    if newest is None:
        yield ok("No event has arrived yet: as it is where nothing has happened at Stripe.")
        return
    came = ago(newest.received_at)
    yield ok(f"The newest event, {newest.type}, arrived {came} ago.")
    if dead := counted(Event.objects.filter(state=EventState.DEAD), "type", "created"):
        what = f"Events that were given up, their handlers having failed too often: {dead}."
        yield problem(what, f"Look at them in the admin, under Events, given up: {AGAIN}")
    if failed := counted(Event.objects.filter(state=EventState.FAILED), "type", "created"):
        what = f"Events whose handlers failed, and which are tried again: {failed}."
        yield warning(what, f"Look at their errors in the admin, under Events: {AGAIN}")
    late = Event.objects.filter(state__in=DUE, next_attempt_at__lt=timezone.now() - OVERDUE)
    if waiting := counted(late, "type", "created"):
        yield problem(f"Events that nobody works on, although they are due: {waiting}.", LOOPS)
    elif not dead and not failed:
        yield ok("Every event that has arrived is worked through, or about to be.")
