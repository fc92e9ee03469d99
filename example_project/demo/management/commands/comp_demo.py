"""``comp_demo``: the library's main job, from an empty machine to a paid invoice."""

from __future__ import annotations

import shlex
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from rich.console import Console

from comp_core.metering import get_meter
from demo.exceptions import DemoError, FiguresDisagree, StoppedEarly
from demo.figures import invoice_figures, line_figures, run_figures
from demo.folder import claimed, end_leftovers, require_readable
from demo.processes import HOST, MANAGE, Processes, ended_by_signals, free_port, require_free
from demo.report import Report, as_json
from demo.site import start_site
from demo.story import ADMIN, USER, Story

DEFAULT_PORT = 8000
MAX_PORT = 65_535
# What shells report for a command that Ctrl+C ended.
INTERRUPTED = 130


def port_number(text: str) -> int:
    """A TCP port, for argparse."""
    if not (text.isdecimal() and 0 < int(text) <= MAX_PORT):
        raise ArgumentTypeError(f"{text} is not a port; ports are 1 to {MAX_PORT}.")
    return int(text)


class Command(BaseCommand):
    """Migrates, starts the site beside a stand-in for Stripe, tells the story, and serves."""

    # Whether every figure has been shown to agree: what exit status 0 stands for.
    _is_told = False
    help = "Show the whole of it: sign-up, runs, usage, invoice. Payments are simulated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="End after the story.")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="Describe this file.")
        parser.add_argument(
            "--port",
            type=port_number,
            help=f"Port of the site (default: {DEFAULT_PORT} when serving).",
        )
        parser.add_argument("--json", action="store_true", help="Print the figures as JSON too.")

    def handle(self, *args: Any, **options: Any) -> None:
        # The wrapper ends every write with a newline, which would break the bar.
        console = Console(file=cast("IO[str]", self.stdout._out))
        try:
            with ended_by_signals():
                self._demonstrate(console, options)
        except DemoError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as error:
            if not self._is_told:
                raise CommandError(str(StoppedEarly()), returncode=INTERRUPTED) from error
            console.print("Stopped.")

    def _demonstrate(self, console: Console, options: dict[str, Any]) -> None:
        csv = options["csv"]
        if csv is not None:
            require_readable(csv)
        folder = Path(settings.DEMO_DIR)  # type: ignore[misc]  # the example's own setting
        report = Report(console)
        with claimed(folder):
            if end_leftovers(folder):
                report.step("Ended what an earlier demonstration had left running")
            port = options["port"] or (free_port() if options["no_serve"] else DEFAULT_PORT)
            require_free(port)
            self._run_site(console, report, folder, f"http://{HOST}:{port}", options)

    def _run_site(
        self, console: Console, report: Report, folder: Path, site_url: str, options: dict[str, Any]
    ) -> None:
        report.step(f"Preparing the database in {folder}")
        self._prepare()
        with Processes(folder) as processes:
            report.step("Starting the stand-in for Stripe, the web server and the worker")
            control = start_site(processes, site_url)
            story = Story(site_url=site_url, control=control, processes=processes, teller=report)
            self._tell(story, report, options["csv"], as_json_too=options["json"])
            if not options["no_serve"]:
                self._serve(console, processes, site_url)

    def _prepare(self) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        users = get_user_model()._default_manager
        if not users.filter(username=ADMIN.username).exists():
            users.create_superuser(ADMIN.username, ADMIN.email, ADMIN.password)

    def _tell(self, story: Story, report: Report, csv: Path | None, *, as_json_too: bool) -> None:
        story.sign_up()
        story.wait_for_billing_account()
        story.add_card()
        story.run_models(csv)
        story.wait_for_usage()
        story.bill_the_month()
        runs = run_figures(story.profile)
        lines = line_figures(story.profile, story.control.ledger()["events"])
        invoices = invoice_figures(story.profile)
        report.figures(runs, lines, invoices, get_meter().currency)
        if as_json_too:
            self.stdout.write(as_json(runs, lines, invoices))
        agreeing = [each.agrees for rows in (runs, lines, invoices) for each in rows]
        if not (runs and lines and all(agreeing)):
            raise FiguresDisagree
        self._is_told = True

    def _serve(self, console: Console, processes: Processes, site_url: str) -> None:
        console.print(f"\nThe site: [bold]{site_url}/[/]  (Ctrl+C ends it)", highlight=False)
        console.print(f"  user   {USER.username} / {USER.password}", highlight=False)
        console.print(f"  admin  {ADMIN.username} / {ADMIN.password}", highlight=False)
        console.print("\nCommands, from another terminal, such as comp_doctor or comp_reconcile:")
        environment = shlex.quote(str(processes.write_environment()))
        command = shlex.join([sys.executable, str(MANAGE), "comp_reconcile"])
        console.print(f"  . {environment}; {command}", highlight=False, soft_wrap=True)
        while True:
            processes.check()
            time.sleep(1)
