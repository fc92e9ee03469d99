"""``comp_runs``: an operator's look at runs, and verbs, at the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError

from comp_core.doctor import said
from comp_core.listing import NotFound, as_dict, chosen, listed, listing, running_on, sheet
from comp_core.models import Run
from comp_core.operating import VERBS, Done, summary
from comp_core.status import RunStatus

ID_HELP = "Ids, or at least their first 8 characters; - reads them from standard input."


class Command(BaseCommand):
    """Exit status 0 only when every run that was named was moved; else 1."""

    help = "List and show runs; cancel them, start them again, give them up as lost."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="verb", required=True)
        _add_list(commands.add_parser("list", help="The newest runs, one a line."))
        show = commands.add_parser("show", help="Everything that is known of one run.")
        show.add_argument("id", help="Its id, or at least the first 8 characters.")
        show.add_argument("--json", action="store_true", help="Print one JSON object.")
        for name, words in VERB_HELP.items():
            verb = commands.add_parser(name, help=words)
            verb.add_argument("ids", nargs="*", metavar="ID", help=ID_HELP)
            if name != "cancel":
                verb.add_argument(
                    "--all-running-on", metavar="WORKER", help="Every run that this worker holds."
                )

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        own = {"list": self._list, "show": self._show}
        try:
            own[verb](options) if verb in own else self._move(verb.replace("-", "_"), options)
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"{said(error)}\nAsk comp_doctor what is wrong.") from error

    def _list(self, options: dict[str, Any]) -> None:
        names = ("status", "project", "owner", "queue")
        runs = listed(**{name: options[name] for name in names}, limit=options["limit"])
        if options["json"]:
            self._write_json([as_dict(run) for run in runs])
        elif options["ids"]:
            self._write_lines(str(run.pk) for run in runs)
        else:
            self._write_lines(listing(runs))

    def _show(self, options: dict[str, Any]) -> None:
        try:
            run = chosen(options["id"])
        except NotFound as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self._write_json(as_dict(run, whole=True))
        else:
            self._write_lines(sheet(run))

    def _move(self, verb: str, options: dict[str, Any]) -> None:
        """Move what can be moved, then say what could not: one wrong id stops no other."""
        runs, unknown = self._named(options["ids"])
        worker = options.get("all_running_on")
        if worker:
            runs += running_on(worker)
        if not runs and not unknown:
            where = f"No run is running on {worker!r}." if worker else "Name at least one run."
            raise CommandError(where)
        done = [self._do(verb, run) for run in runs]
        for words in unknown:
            self.stderr.write(self.style.ERROR(words))
        if done:
            self.stdout.write(summary(done))
        if unknown or not all(each.result.moved for each in done):
            sys.exit(1)

    def _do(self, verb: str, run: Run) -> Done:
        done = VERBS[verb](run)
        self.stdout.write(f"{run.pk} {done.words}")
        return done

    def _named(self, texts: list[str]) -> tuple[list[Run], list[str]]:
        """The runs of these ids, each once, and a sentence for each that names none."""
        runs: dict[Any, Run] = {}
        unknown: list[str] = []
        for text in _spelled_out(texts):
            try:
                run = chosen(text)
            except NotFound as error:
                unknown.append(str(error))
            else:
                runs[run.pk] = run
        return list(runs.values()), unknown

    def _write_lines(self, lines: Iterable[str]) -> None:
        try:
            for line in lines:
                self.stdout.write(line)
            self.stdout.flush()
        except BrokenPipeError:
            # The reader, such as head, has seen enough. What is left must not fail at the exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _write_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=2, cls=DjangoJSONEncoder))


VERB_HELP = {
    "cancel": "Stop runs: at once while they wait, within seconds while they run.",
    "requeue": "Have runs start again from their beginning; a worker that holds one discards it.",
    "mark-lost": "Give running runs up; a worker that holds one discards it.",
}


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=RunStatus.values)
    parser.add_argument("--project", metavar="SLUG")
    parser.add_argument("--owner", metavar="NAME", help="A user's name, as it is logged in with.")
    parser.add_argument("--queue")
    parser.add_argument("--limit", type=int, default=50, help="At most so many; 0: all of them.")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="Print one JSON array.")
    form.add_argument("--ids", action="store_true", help="Print ids only, for the other verbs.")


def _spelled_out(texts: list[str]) -> list[str]:
    """The ids that were given, those of standard input in the place of ``-``."""
    spelled: list[str] = []
    for text in texts:
        spelled += sys.stdin.read().split() if text == "-" else [text]
    return spelled
