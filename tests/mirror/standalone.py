"""The histories outside of pytest: sets Django and an empty database up, tells how far it is."""

from __future__ import annotations

import sys
import time

import django
from django.core.management import call_command
from django.db import connection

django.setup()

from tests.mirror.campaign import Totals, campaign  # noqa: E402

TOLD_SECONDS = 10.0


def run(number: int, *, first: int) -> Totals:
    """So many histories on an empty database; answers the figures, which are printed too."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        call_command("migrate", verbosity=0)
    else:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    started = time.monotonic()
    totals = campaign(number, first=first, told=_Teller(number))
    seconds = time.monotonic() - started
    connection.close()
    if connection.vendor == "postgresql":
        connection.creation.destroy_test_db(name, verbosity=0)
    if totals.divergent:
        sys.stdout.write(f"{totals.report()}\n")
    told = f"{totals.counts['events']} events, seed {first}, {seconds:.0f} s"
    sys.stdout.write(f"{connection.vendor}: {totals.line()} ({told})\n")
    return totals


class _Teller:
    def __init__(self, number: int) -> None:
        self.number, self.next = number, time.monotonic() + TOLD_SECONDS

    def __call__(self, totals: Totals) -> None:
        """Figures now and then."""
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + TOLD_SECONDS
            sys.stderr.write(f"{connection.vendor}: {totals.line()} (of {self.number})\n")
