"""``comp_prune``: removes what has been kept for long enough, and what belongs to nothing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from comp_core.exceptions import CompError
from comp_core.outputs.files import Tally
from comp_core.outputs.orphans import sweep_orphans
from comp_core.retention import PRUNE, kept_days

PROGRESS_SECONDS = 5
HOURS = {"d": 24, "h": 1}

WORDS = {
    "outputs": "Outputs of {rows} ended runs: {files} files, {size}",
    "inputs": "Inputs that were never run: {rows}, with {files} files, {size}",
    "logs": "Prints and tracebacks of {rows} ended runs",
    "orphans": "Files that belong to nothing, in the folders of {rows} runs: {files} files, {size}",
}


def days(text: str) -> float:
    """A duration such as ``90d`` or ``36h`` in days."""
    found = re.fullmatch(r"(\d{1,5})([dh])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90d or 36h.")
    return int(found[1]) * HOURS[found[2]] / 24


class Command(BaseCommand):
    """May be interrupted and repeated, beside workers; never touches times, costs or usage."""

    help = (
        "Remove what has been kept for as long as the settings say: files of outputs, inputs that "
        "were never run, prints of models. Time, cost and usage stay."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count, and remove nothing.")
        parser.add_argument(
            "--older-than",
            type=days,
            metavar="90d",
            help="Remove outputs of runs that ended so long ago, whatever KEEP_OUTPUTS_DAYS says.",
        )
        parser.add_argument(
            "--orphans",
            action="store_true",
            help="Walk the whole storage too, and remove what no run of this database names. "
            "Never with a storage that another site uses as well.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        tallies = self._prune(options)
        if options["json"]:
            found = {name: one and dataclasses.asdict(one) for name, one in tallies.items()}
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **found}))
        else:
            for name, tally in tallies.items():
                self.stdout.write(sentence(name, tally, dry_run=options["dry_run"]))
        failed = sum(tally.failed for tally in tallies.values() if tally)
        if failed:
            raise CommandError(f"{failed} could not be removed: the log says why. Run this again.")

    def _prune(self, options: dict[str, Any]) -> dict[str, Tally | None]:
        """A tally for each rule; None where everything is kept for ever."""
        kept, dry = kept_days(), bool(options["dry_run"])
        if options["older_than"] is not None:
            kept["outputs"] = options["older_than"]
        tallies: dict[str, Tally | None] = {}
        for name, limit in kept.items():
            tell = self._progress(name, options["verbosity"])
            tallies[name] = None if limit is None else PRUNE[name](limit, dry_run=dry, tell=tell)
        if options["orphans"]:
            try:
                tell = self._progress("orphans", options["verbosity"])
                tallies["orphans"] = sweep_orphans(dry_run=dry, tell=tell)
            except CompError as error:
                raise CommandError(str(error)) from error
        return tallies

    def _progress(self, name: str, verbosity: int) -> Callable[[Tally], None]:
        """Says every few seconds how far long work has come, apart from the result."""
        said = time.monotonic()

        def tell(tally: Tally) -> None:
            nonlocal said
            if verbosity and time.monotonic() - said >= PROGRESS_SECONDS:
                said = time.monotonic()
                self.stderr.write(f"{name}: {tally.rows} done, {tally.files} files ...")

        return tell


def sentence(name: str, tally: Tally | None, *, dry_run: bool) -> str:
    """What was, or would be, removed by a rule."""
    if tally is None:
        return f"{name.capitalize()}: kept for ever, as the settings say."
    size = filesizeformat(tally.bytes).replace("\xa0", " ")
    found = WORDS[name].format(rows=tally.rows, files=tally.files, size=size)
    return f"{found} {'would be removed' if dry_run else 'removed'}."
