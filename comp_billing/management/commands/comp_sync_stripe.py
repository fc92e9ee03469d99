"""Read everything that Stripe has: ``manage.py comp_sync_stripe``."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import ListBusy, OtherAccount, StripeError
from comp_billing.models import StripeObject, Sync
from comp_billing.sync import accounts, bulk, fetching, pacing
from comp_billing.sync.bulk import Tally

PROGRESS_PAGES = 100
FETCHED_TOGETHER = 100
FETCHED_AT_MOST = 1000
HEADS = ("kind", "listed", "written", "missing", "calls", "seconds")
AGAIN = "What was read stays: run the command again, and it goes on from there."


@dataclass(frozen=True)
class Line:
    """What was done about one kind."""

    tally: Tally
    calls: int
    seconds: float

    def cells(self) -> list[str]:
        tally = self.tally
        numbers = [tally.listed, tally.written, tally.missing, self.calls]
        return [tally.kind, *(f"{number:,}" for number in numbers), f"{self.seconds:.1f}"]


class Command(BaseCommand):
    """May be interrupted and repeated, beside workers and other such commands."""

    help = (
        "Read Stripe's lists of products, customers, subscriptions, invoices and all other"
        " mirrored kinds into the database, to begin with or after an outage. It can be interrupted"
        " and run again; what is unchanged is not written."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "kinds", nargs="*", metavar="kind", help="Kinds to read, e.g. customer; all by default."
        )
        newer = parser.add_mutually_exclusive_group()
        newer.add_argument(
            "--since",
            type=unix_seconds,
            metavar="DATE",
            help="Read only objects created since then (2026-11-01, or with a time of day; UTC)."
            " Changes of older objects, and what was deleted, come through events: see"
            " comp_process_events.",
        )
        newer.add_argument(
            "--incremental",
            action="store_true",
            help="The same, since the last whole reading of each kind began. What was never read is"
            " read whole.",
        )
        parser.add_argument(
            "--restart",
            action="store_true",
            help="Begin anew instead of going on where the last reading was interrupted.",
        )
        parser.add_argument(
            "--rewrite",
            action="store_true",
            help="Write unchanged rows too, which fills columns that an upgrade has added.",
        )
        _add_consents(parser)
        parser.add_argument(
            "--no-fetch",
            action="store_true",
            help="Leave it to the worker to fetch, one by one, what the lists leave in doubt.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not stripe_api.is_configured():
            raise CommandError('No Stripe key: set COMP_BILLING["SECRET_KEY"] first.')
        self.verbosity = int(options["verbosity"])
        self.lines: list[Line] = []
        models = chosen(options["kinds"])
        self.kind = models[0].kind
        try:
            self._accept_account(options)
            busy = [model.kind for model in models if not self._read(model, options)]
        except OtherAccount as exc:
            raise CommandError(str(exc)) from exc
        except StripeError as exc:
            self._tell_summary()
            raise CommandError(f"Reading {self.kind} objects ended: {exc} {AGAIN}") from exc
        except KeyboardInterrupt as exc:
            self._tell_summary()
            raise CommandError(f"Interrupted. {AGAIN}", returncode=130) from exc
        self._tell_summary()
        if not options["no_fetch"]:
            self._fetch()
        if busy:
            raise CommandError(f"Not read: {', '.join(busy)}. {ListBusy.__doc__}")

    # -- lists

    def _accept_account(self, options: dict[str, Any]) -> None:
        if not options["accept_account"]:
            return
        own = accounts.accept()
        if self.verbosity:
            said = f"The account mirrored here is {own}." if own else accounts.UNKNOWN
            self.stdout.write(said)

    def _read(self, model: type[StripeObject], options: dict[str, Any]) -> bool:
        """Read a kind's list; False when another process is at it."""
        self.kind, begun, calls = model.kind, time.monotonic(), pacing.asked()
        progress = Progress(self, begun)
        try:
            tally = bulk.read(
                model,
                created_gte=last_whole(model) if options["incremental"] else options["since"],
                anew=options["restart"],
                rewrite=options["rewrite"],
                accept_missing=options["accept_missing"],
                told=progress.tell,
            )
        except ListBusy:
            return False
        finally:
            progress.end()
        line = Line(tally, pacing.asked() - calls, time.monotonic() - begun)
        self.lines.append(line)
        return True

    def _tell_summary(self) -> None:
        if self.verbosity:
            for row in table([list(HEADS), *(line.cells() for line in self.lines)]):
                self.stdout.write(row)

    # -- what is in doubt

    def _fetch(self) -> None:
        """Fetch what is due, so far as it is few; the worker fetches the rest."""
        fetched = 0
        while fetched < FETCHED_AT_MOST:
            settled = fetching.fetch_due(limit=FETCHED_TOGETHER)
            if not settled:
                break
            fetched += settled
        if self.verbosity:
            left = sum(
                model.all_objects.filter(fetch_at__isnull=False).count()
                for model in mirror.KINDS.values()
            )
            rest = f" The worker will fetch {left:,} more." if left else ""
            self.stdout.write(f"Fetched one by one: {fetched:,}.{rest}")


class Progress:
    """How a list gets on: one line that is written over on a terminal, else now and then a line."""

    def __init__(self, command: Command, begun: float) -> None:
        self.stdout, self.verbosity, self.begun = command.stdout, command.verbosity, begun
        self.at_once = self.verbosity > 0 and self.stdout.isatty()
        self.width = 0

    def tell(self, tally: Tally) -> None:
        if self.at_once:
            text = self.text(tally)
            self.stdout.write("\r" + text.ljust(self.width), ending="")
            self.stdout.flush()
            self.width = len(text)
        elif self.verbosity > 1 or (self.verbosity and tally.pages % PROGRESS_PAGES == 0):
            self.stdout.write(self.text(tally))

    def text(self, tally: Tally) -> str:
        seconds = max(time.monotonic() - self.begun, 0.001)
        rate = tally.listed_now / seconds
        resumed = " (gone on with)" if tally.is_resumed else ""
        numbers = f"{tally.listed:,} read, {tally.written:,} written"
        return f"{tally.kind}{resumed}: {numbers}, {rate:,.0f} a second"

    def end(self) -> None:
        if self.width:
            self.stdout.write("")


def _add_consents(parser: argparse.ArgumentParser) -> None:
    """What is only believed when told so."""
    parser.add_argument(
        "--accept-missing",
        action="store_true",
        help="Take it that objects are missing even if Stripe lists none of those that are"
        " here, such as after an account's test data was deleted.",
    )
    parser.add_argument(
        "--accept-account",
        action="store_true",
        help="Take the key's Stripe account as the one that is mirrored here from now on.",
    )


def unix_seconds(text: str) -> int:
    """Of an ISO date, or date and time; UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: write 2026-11-01.") from exc
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def chosen(kinds: list[str]) -> list[type[StripeObject]]:
    """The models of these kinds, of all by default, parents before children."""
    models = bulk.listed_kinds()
    names = [model.kind for model in models]
    if unknown := sorted(set(kinds) - set(names)):
        raise CommandError(f"Stripe has no list of {', '.join(unknown)}: use {', '.join(names)}.")
    return [model for model in models if not kinds or model.kind in kinds]


def last_whole(model: type[StripeObject]) -> int | None:
    """When the last whole reading of a kind began, in Unix seconds; None when there was none."""
    return Sync.objects.filter(pk=model.kind).values_list("complete_as_of", flat=True).first()


def table(rows: list[list[str]]) -> list[str]:
    """Lines of columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
