"""Correct usage: ``manage.py comp_correct_usage RECORD … --credit --reason "…"``."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comp_billing.exceptions import CannotCorrect
from comp_billing.models import Correction, UsageRecord
from comp_billing.usage import corrections

VERBS: dict[str, tuple[Callable[..., Correction], str]] = {
    "take_back": (
        corrections.take_back,
        "Have Stripe forget accepted usage: it is on no invoice. For a day after it was sent.",
    ),
    "report_again": (
        corrections.report_again,
        "Report usage once more that Stripe has surely not counted.",
    ),
    "mark_counted": (
        corrections.mark_counted,
        "Unclear usage that you have found among Stripe's.",
    ),
    "waive": (corrections.waive, "Give up usage that Stripe has not counted."),
}
CREDIT = "Credit what the runs cost to the balances of their customers, together."


class Command(BaseCommand):
    """Each correction is kept with its reason; the worker makes the calls that it takes."""

    help = "Correct usage records: what was billed wrongly, or is not billed. One verb at a time."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "records", nargs="+", type=uuid.UUID, metavar="RECORD", help="Ids of usage records."
        )
        verb = parser.add_mutually_exclusive_group(required=True)
        for name, (_, what) in VERBS.items():
            verb.add_argument(
                f"--{name.replace('_', '-')}",
                dest="verb",
                action="store_const",
                const=name,
                help=what,
            )
        verb.add_argument(
            "--credit", dest="verb", action="store_const", const="credit", help=CREDIT
        )
        parser.add_argument("--reason", required=True, help="Why; kept with the correction.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = UsageRecord.objects.select_related("run").in_bulk(options["records"])
        missing = [str(key) for key in options["records"] if key not in found]
        if missing:
            raise CommandError(f"No usage record has the id {', '.join(missing)}.")
        records = [found[key] for key in dict.fromkeys(options["records"])]
        try:
            self._correct(options["verb"], records, options["reason"])
        except CannotCorrect as exc:
            raise CommandError(str(exc)) from exc

    def _correct(self, verb: str, records: list[UsageRecord], reason: str) -> None:
        if verb == "credit":
            made = corrections.credit(records, reason=reason)
            self.stdout.write(f"Runs credited: {len(made)}. The worker tells Stripe.")
            return
        correct = VERBS[verb][0]
        for record in records:
            one = correct(record, reason=reason)
            self.stdout.write(f"{record.pk}: {one.get_kind_display()}.")
