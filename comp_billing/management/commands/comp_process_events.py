"""Process stored events again, or fetch missed ones: ``manage.py comp_process_events``."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from comp_billing import events, stripe_api
from comp_billing.exceptions import ListBusy, StripeError
from comp_billing.management.commands.comp_sync_stripe import unix_seconds
from comp_billing.models import Event, EventState
from comp_billing.sync import gaps
from comp_billing.sync.gaps import Tally

PROGRESS = 1000
PROGRESS_PAGES = 10
STATES = {
    "failed": "Events whose handlers failed.",
    "dead": "Events that were given up.",
    "pending": "Events whose stored handlers are due.",
    "processed": "Events that are done: e-mails and the like are sent once more.",
}
MISTAKEN = (
    'Events that were taken for the other mode\'s and stored only, until COMP_BILLING["LIVEMODE"]'
    " was corrected."
)
# What says which stored events are meant, or what to do with them.
STORED = ("ids", *STATES, "mistaken", "enqueue")
AGAIN = "What was ingested stays: run the command again, and it passes over that."
FAILED = (
    "Events whose handlers failed: {count}. Their errors are in the log and in the admin, under"
    " Events; the worker tries them again until they are given up."
)


class Command(BaseCommand):
    """May be interrupted and repeated, beside workers and other such commands."""

    help = (
        "Process stored events again: those that are not done, or those chosen. With --from-stripe,"
        " fetch what never arrived from Stripe's list of events, which goes back 30 days."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "ids", nargs="*", metavar="id", help="Ids of events, whatever became of them."
        )
        for state, what in STATES.items():
            parser.add_argument(f"--{state}", action="store_true", help=what)
        parser.add_argument("--mistaken", action="store_true", help=MISTAKEN)
        parser.add_argument(
            "--type",
            action="append",
            default=[],
            dest="types",
            metavar="TYPE",
            help='Only these: "invoice.paid", or a beginning, "invoice.*". May be repeated. Also'
            " takes events that were stored only, if there is a handler for them by now.",
        )
        parser.add_argument(
            "--since",
            type=unix_seconds,
            metavar="DATE",
            help="Only events created since then (2026-11-01, or with a time of day; UTC).",
        )
        parser.add_argument(
            "--enqueue", action="store_true", help="Leave the processing to the worker."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be done, and do nothing."
        )
        parser.add_argument(
            "--from-stripe",
            action="store_true",
            help="Fetch events that never arrived; those that are here are passed over. Without"
            " --since: since the last such repair, or all that Stripe has.",
        )
        parser.add_argument(
            "--undelivered",
            action="store_true",
            help="With --from-stripe, only what Stripe could not deliver. It leaves out what was"
            " never sent, as while the endpoint was missing or disabled.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity = int(options["verbosity"])
        if options["from_stripe"]:
            self._repair(options)
        elif options["undelivered"]:
            raise CommandError("--undelivered goes with --from-stripe.")
        else:
            self._process(options)

    def _say(self, text: str) -> None:
        if self.verbosity:
            self.stdout.write(text)

    # -- stored events

    def _process(self, options: dict[str, Any]) -> None:
        rows = chosen(options)
        self._name_others(options["ids"])
        self._tell_of_mistaken(options)
        if options["dry_run"]:
            self._list(rows)
        elif options["enqueue"]:
            self._say(f"Events left to the worker: {events.process_again(rows):,}.")
        else:
            self._process_now(list(rows.order_by("created", "pk").values_list("pk", flat=True)))

    def _name_others(self, ids: list[str]) -> None:
        """Of those named: what is not here, and what cannot be processed."""
        named = Event.objects.filter(pk__in=ids)
        here = set(named.values_list("pk", flat=True))
        if unknown := [key for key in ids if key not in here]:
            raise CommandError(f"No such events here: {', '.join(unknown)}. Nothing was done.")
        for key in named.filter(events.idle()).order_by("pk").values_list("pk", flat=True):
            self.stderr.write(f"{key} is stored only: nothing here is concerned with it.")

    def _tell_of_mistaken(self, options: dict[str, Any]) -> None:
        """They may be old news by now: nobody is written to about them unasked."""
        is_meant = options["mistaken"] or options["ids"]
        left = 0 if is_meant else Event.objects.filter(events.mistaken()).count()
        if left:
            self.stderr.write(
                f"Events that came under the other LIVEMODE, and are ours by this one: {left:,}."
                " --mistaken processes them."
            )

    def _list(self, rows: QuerySet[Event]) -> None:
        groups = rows.order_by().values_list("state", "type").annotate(Count("pk"))
        total = 0
        for state, event_type, count in groups.order_by("state", "type"):
            total += count
            self._say(f"{count:>8,}  {EventState(state).label}: {event_type}")
        self._say(f"Events that would be processed: {total:,}.")

    def _process_now(self, keys: list[str]) -> None:
        failed = 0
        for number, key in enumerate(keys, start=1):
            failed += not events.process_now(key)
            if number % PROGRESS == 0:
                self._say(f"Events processed: {number:,} of {len(keys):,}, {failed:,} failed.")
        self._say(
            f"Events processed: {len(keys):,} ({len(keys) - failed:,} done, {failed:,} failed)."
        )
        if failed:
            raise CommandError(FAILED.format(count=f"{failed:,}"))

    # -- Stripe's list

    def _repair(self, options: dict[str, Any]) -> None:
        if given := [name for name in STORED if options[name]]:
            names = ", ".join(given)
            raise CommandError(
                f"--from-stripe does not go with {names}: those choose stored events."
            )
        if not stripe_api.is_configured():
            raise CommandError('No Stripe key: set COMP_BILLING["SECRET_KEY"] first.')
        self.pages = 0
        try:
            tally = gaps.repair(
                since=moment(options["since"]),
                undelivered=options["undelivered"],
                types=options["types"],
                dry_run=options["dry_run"],
                told=self._tell,
            )
        except (StripeError, ListBusy) as exc:
            raise CommandError(f"The repair ended: {exc} {AGAIN}") from exc
        except KeyboardInterrupt as exc:
            raise CommandError(f"Interrupted. {AGAIN}", returncode=130) from exc
        self._sum_up(tally)

    def _tell(self, tally: Tally) -> None:
        self.pages += 1
        if self.verbosity > 1 or self.pages % PROGRESS_PAGES == 0:
            self._say(in_words(tally))

    def _sum_up(self, tally: Tally) -> None:
        self._say(in_words(tally))
        if tally.is_too_late:
            self.stderr.write(gaps.TOO_LATE)
        troubles = []
        if tally.missed:
            names = ", ".join(tally.named) + (" …" if tally.missed > len(tally.named) else "")
            troubles.append(f"Events not ingested: {tally.missed:,} ({names}); see the log.")
        if tally.failing:
            troubles.append(FAILED.format(count=f"{tally.failing:,}"))
        if troubles:
            raise CommandError(" ".join(troubles))


def chosen(options: dict[str, Any]) -> QuerySet[Event]:
    """The stored events that the options name; for none, those that are not done.

    One that somebody works on at this moment is left out, unless it is named.
    """
    rows = Event.objects.exclude(events.idle())
    rows = rows.filter(pk__in=options["ids"]) if options["ids"] else rows.filter(_fate(options))
    if options["types"]:
        rows = rows.filter(matching(options["types"]))
    if options["since"] is not None:
        rows = rows.filter(created__gte=moment(options["since"]))
    return rows


def _fate(options: dict[str, Any]) -> Q:
    """What has become of the events that are chosen."""
    states = [name for name in STATES if options[name]]
    is_any = not states and not options["mistaken"]
    taken = Q(state=EventState.PENDING, next_attempt_at__gt=timezone.now())
    found = Q(state__in=["failed", "dead", "pending"] if is_any else states) & ~taken
    if options["mistaken"]:
        found |= events.mistaken()
    if is_any and options["types"]:
        found |= events.awaited()
    return found


def matching(types: list[str]) -> Q:
    """Events of these types, or of types that begin like one that ends in ``.*``."""
    found = Q()
    for name in types:
        prefix = name.removesuffix("*")
        found |= Q(type=name) if prefix == name else Q(type__startswith=prefix)
    return found


def moment(seconds: int | None) -> datetime | None:
    """Of Unix seconds."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def in_words(tally: Tally) -> str:
    """The numbers of a repair."""
    new = "would be ingested" if tally.is_dry else "new"
    return (
        f"Events that Stripe listed: {tally.listed:,} ({tally.new:,} {new}, {tally.known:,} known,"
        f" {tally.missed:,} failed)."
    )
