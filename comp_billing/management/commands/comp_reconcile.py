"""Compare the books: ``manage.py comp_reconcile``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Exists, OuterRef, Q

from comp_billing import books, stripe_api
from comp_billing.exceptions import StripeError
from comp_billing.models import Customer, Subscription, UsageRecord
from comp_users.models import Project

# Exit statuses, beside 0: everything agrees, or what does not is explained. (Of a choice that makes
# no sense, too, nothing was compared.)
DIFFERS, NOT_COMPARED = 1, 2
TOLD_EVERY = 20
NO_KEY = (
    'No Stripe key (COMP_BILLING["SECRET_KEY"]): nothing is billed here. Runs, usage records and'
    " mirrored invoices are compared, as far as there are any."
)


class Command(BaseCommand):
    """Reads only. May be run at any time, beside workers."""

    help = (
        "Compare runs, usage records, Stripe's meter totals and invoice lines, for each customer,"
        " project and billing period. Exits with 1 when there is a difference that no visible state"
        " explains, with 2 when Stripe could not be asked, or nothing was chosen."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--customer", help="One customer only: its id at Stripe, or the user's name or address."
        )
        parser.add_argument("--project", default="", help="One project only: its slug.")
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--month", type=month, metavar="MONTH", help="Periods that touch a month: 2026-11."
        )
        when.add_argument(
            "--since",
            type=moment,
            metavar="DATE",
            help="Periods that end after a date, or date and time; UTC unless it says otherwise.",
        )
        parser.add_argument(
            "--until", type=moment, metavar="DATE", help="Periods that begin before a date."
        )
        parser.add_argument(
            "--offline", action="store_true", help="Make no call to Stripe: compare what is here."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON document instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["month"] and options["until"]:
            raise CommandError("--month and --until exclude each other.", returncode=NOT_COMPARED)
        since, until = options["since"], options["until"]
        if since and until and since >= until:
            raise CommandError("--since is not before --until.", returncode=NOT_COMPARED)
        self.verbosity = int(options["verbosity"])
        self.done = self.calls = 0
        self._compare(chosen(options["customer"]), self._reconciler(options), options["json"])

    def _reconciler(self, options: dict[str, Any]) -> books.Reconciler:
        slug = options["project"]
        if slug and not Project.objects.filter(slug=slug).exists():
            raise CommandError(f"There is no project {slug!r}.", returncode=NOT_COMPARED)
        offline = options["offline"]
        if not stripe_api.is_configured():
            self.stderr.write(NO_KEY)
            offline = True
        span = options["month"] or books.Span(options["since"], options["until"])
        return books.Reconciler(span=span, project=slug, tick=None if offline else self._tick)

    def _compare(self, customers: Iterator[Any], by: books.Reconciler, as_json: bool) -> None:
        rows: list[books.Row] = []
        problem: StripeError | None = None
        for customer_id, user_id in customers:
            try:
                rows += by.books_of(customer_id, user_id)
            except StripeError as exc:
                problem = exc
                break
            self.done += 1
            self._tell_progress()
        self._print(rows, as_json)
        if problem is not None:
            text = f"Stripe could not be asked: {problem} {self.done} customers were compared."
            raise CommandError(text, returncode=NOT_COMPARED)
        differences = sum(len(row.differences) for row in rows)
        if differences:
            number = f"{differences} difference{'s' if differences > 1 else ''}"
            raise CommandError(f"{number} that no visible state explains.", returncode=DIFFERS)

    def _print(self, rows: list[books.Row], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([books.as_json(row) for row in rows], indent=2))
            return
        for line in books.table(rows) if rows else ["Nothing has been used or billed."]:
            self.stdout.write(line)

    # -- progress

    def _tick(self) -> None:
        self.calls += 1
        if self.calls % (TOLD_EVERY * 10) == 0:
            self._say()

    def _tell_progress(self) -> None:
        if self.done % TOLD_EVERY == 0:
            self._say()

    def _say(self) -> None:
        if self.verbosity:
            self.stderr.write(f"{self.done:,} customers compared, {self.calls:,} calls to Stripe")


def chosen(name: str | None) -> Iterator[Any]:
    """The id and the user's id of the customers to compare: one, or all that ever were billed."""
    customers = Customer.all_objects.order_by("pk")
    if name:
        users = get_user_model()
        username = {f"user__{users.USERNAME_FIELD}": name}
        address = {f"user__{users.get_email_field_name()}__iexact": name}
        customers = customers.filter(Q(pk=name) | Q(**username) | Q(**address))
        if not customers.exists():
            raise CommandError(f"There is no customer {name!r}.", returncode=NOT_COMPARED)
    else:
        has_usage = Exists(UsageRecord.objects.filter(stripe_customer_id=OuterRef("pk")))
        subscribed = Exists(Subscription.all_objects.filter(customer=OuterRef("pk")))
        customers = customers.filter(has_usage | subscribed)
    return customers.values_list("pk", "user_id").iterator(chunk_size=100)


def moment(text: str) -> datetime:
    """Of an ISO date, or date and time; UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: write 2026-11-01.") from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def month(text: str) -> books.Span:
    """A calendar month in the site's time zone."""
    try:
        return books.Span.of_month(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is no month: write 2026-11.") from exc
