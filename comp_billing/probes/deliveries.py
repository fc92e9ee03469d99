"""Whether what Stripe has told has arrived: its own list of events beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from comp_billing import shapes
from comp_billing.models import Event
from comp_billing.probes import endpoints
from comp_billing.probes.words import some
from comp_core.doctor import Finding, ok, problem, warning
from comp_core.probes.runs import in_words

PATH = "/v1/events"
# Seconds: deliveries take a moment, and a worker, or a restart, may be in between.
ON_THE_WAY = 120
# From here on it is no hiccup.
LATE = 3600
# How long Stripe keeps events.
KEPT = 30 * 86_400
TODO = (
    "See why Stripe could not deliver them (its dashboard shows each answer), then fetch them: "
    "python manage.py comp_process_events --from-stripe"
)
Json = dict[str, Any]


def missing(
    recent: list[Json] | None, undelivered: list[Json] | None, hooks: list[Json] | None, *, now: int
) -> Iterator[Finding]:
    """Events that the site's endpoint was to send, and that are not here. ``now`` is Stripe's.

    Without an endpoint nothing was to be sent, and one that has told nothing yet is well.
    """
    hook = endpoints.ours(hooks)
    if hook is None or recent is None:
        return
    since = shapes.integer(hook.get("created")) or 0
    listed = {_id(event): event for event in [*recent, *(undelivered or ())]}
    due = {
        key: event
        for key, event in listed.items()
        if since <= _created(event) <= now - ON_THE_WAY
        and endpoints.sends(hook, shapes.text(event.get("type")))
    }
    here = set(Event.objects.filter(pk__in=list(due)).values_list("pk", flat=True))
    absent = [event for key, event in due.items() if key not in here]
    if absent:
        yield _judged(absent, now=now)
    elif due:
        yield ok(f"The {len(due)} newest events that Stripe was to deliver here have arrived.")
    else:
        yield ok("Stripe has had nothing to deliver here yet, or nothing for a month.")


def _judged(absent: list[Json], *, now: int) -> Finding:
    age = now - min(_created(event) for event in absent)
    types = some(sorted({shapes.text(event.get("type")) for event in absent}))
    oldest = f"the oldest for {in_words(timedelta(seconds=age))}"
    what = f"Events that Stripe has and this site has not: {len(absent)} ({types}), {oldest}."
    return problem(what, TODO) if age > LATE else warning(what, TODO)


def _id(event: Json) -> str:
    return shapes.ref(event) or ""


def _created(event: Json) -> int:
    return shapes.integer(event.get("created")) or 0
